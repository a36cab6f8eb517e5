"""Waits for other threads and for a user's own asynchronous function, whatever loop the caller may run in."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Awaitable, Iterator
from concurrent.futures import Future, wait
from typing import TypeVar

_Returned = TypeVar("_Returned")


class Loop:
    """An event loop in its own thread: the caller's loop may be running, and clients stay with their first loop."""

    def __init__(self) -> None:
        """Start no thread yet; the first wait does."""
        self._running: asyncio.AbstractEventLoop | None = None

    def finished(self, returned: object) -> object:
        """Return a function's result once all of it is there: awaited, or drawn from a generator of either kind."""
        if inspect.isasyncgen(returned):
            returned = _collected(returned)
        if inspect.isawaitable(returned):
            returned = self.wait_for(returned)
        return list(returned) if isinstance(returned, Iterator) else returned

    def wait_for(self, awaitable: Awaitable[object]) -> object:
        """Return the result of an awaitable.

        Raises:
            RuntimeError: If the awaitable ends the program (``sys.exit``): that would end the loop, and the wait hang.
        """
        if self._running is None:
            self._running = asyncio.new_event_loop()
            threading.Thread(target=self._running.run_forever, name="embedqa-python", daemon=True).start()

        async def awaited() -> object:
            try:
                return await awaitable
            except SystemExit as error:
                raise RuntimeError(f"SystemExit: {error}") from error

        return result_of(asyncio.run_coroutine_threadsafe(awaited(), self._running))

    def close(self) -> None:
        """Stop the loop, if it runs."""
        if self._running is not None:
            self._running.call_soon_threadsafe(self._running.stop)
            self._running = None


def result_of(future: Future[_Returned]) -> _Returned:
    """Return the result of a future, whenever it comes; Ctrl-C ends the wait.

    In a wait without a limit, Python sees a signal that comes just before it only when the wait ends, maybe never.
    """
    while not wait([future], timeout=1).done:
        pass
    return future.result()


async def _collected(given: AsyncIterator[object]) -> list[object]:
    return [one async for one in given]

"""Waits for what a user's own asynchronous function returns, whatever loop the caller may run in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable


class Loop:
    """An event loop in a thread of its own: the caller's may be running, and clients stay with the loop they began in."""

    def __init__(self) -> None:
        """It starts with the first thing to wait for."""
        self._running: asyncio.AbstractEventLoop | None = None

    def wait_for(self, awaitable: Awaitable[object]) -> object:
        """The result of an awaitable."""
        if self._running is None:
            self._running = asyncio.new_event_loop()
            threading.Thread(target=self._running.run_forever, name="embedqa-python", daemon=True).start()

        async def awaited() -> object:
            return await awaitable

        return asyncio.run_coroutine_threadsafe(awaited(), self._running).result()

    def close(self) -> None:
        """Stop the loop, if it runs."""
        if self._running is not None:
            self._running.call_soon_threadsafe(self._running.stop)
            self._running = None

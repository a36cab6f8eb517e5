"""Requests side by side, in threads for which no program waits: one that is interrupted ends, though a server may hang."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

from pytest_embedqa.encoders.awaiting import result_of

_Given = TypeVar("_Given")
_Returned = TypeVar("_Returned")


def side_by_side(function: Callable[[_Given], _Returned], items: Sequence[_Given], most: int) -> list[_Returned]:
    """What a function returns for each item, in their order.

    As an executor of the standard library does it, but for the end: there the interpreter joins every thread before it exits.

    Args:
        function: Is called in several threads at once; what it raises first is raised here, and no further item is begun.
        items: What it is called with.
        most: Threads at the same time.
    """
    futures: list[Future[_Returned]] = [Future() for _ in items]
    left = iter(list(zip(futures, items, strict=True)))

    def work() -> None:
        for future, item in left:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function(item))
                except BaseException as error:  # noqa: BLE001  raised where it is waited for
                    future.set_exception(error)

    for _ in range(min(most, len(items))):
        Thread(target=work, name="embedqa-requests", daemon=True).start()
    try:
        return [result_of(future) for future in futures]
    finally:
        for future in futures:
            future.cancel()

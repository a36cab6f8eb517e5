"""Requests side by side, in threads that do not keep the program from exiting, even if a server hangs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

from pytest_embedqa.encoders.awaiting import result_of

_Given = TypeVar("_Given")
_Returned = TypeVar("_Returned")


def side_by_side(function: Callable[[_Given], _Returned], items: Sequence[_Given], most: int) -> list[_Returned]:
    """Call a function for each item in threads, and return its results in the order of the items.

    Unlike with an executor of the standard library, the interpreter does not join these threads before it exits.

    Args:
        function: Function to call in several threads at once; its first error is raised, and no further item begun.
        items: Arguments of the calls.
        most: Largest number of threads at the same time.
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

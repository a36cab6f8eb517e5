"""For whom this process waits at present, so that people can be told: a silent server looks like a test that hangs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(eq=False)
class Wait:
    """A request that is not answered yet.

    Attributes:
        whom: Who is to answer.
        attempts: How often it is asked at most.
        attempt: Which of these it is, from 1.
        began: When it was first asked, on the monotonic clock.
    """

    whom: str
    attempts: int = 1
    attempt: int = 1
    began: float = field(default_factory=time.monotonic)

    def __str__(self) -> str:
        """For instance ``waits for the server at http://h:1/v1 since 20 s (attempt 1 of 6)``."""
        attempt = f" (attempt {self.attempt} of {self.attempts})" if self.attempts > 1 else ""
        return f"waits for {self.whom} since {time.monotonic() - self.began:.0f} s{attempt}"


_waits: list[Wait] = []


@contextmanager
def waiting(whom: str, attempts: int = 1) -> Iterator[Wait]:
    """Around a request, with all attempts to have it answered and the pauses between them."""
    wait = Wait(whom, attempts)
    _waits.append(wait)
    try:
        yield wait
    finally:
        _waits.remove(wait)


def oldest() -> Wait | None:
    """The request of this process that waits longest."""
    return min(list(_waits), key=lambda wait: wait.began, default=None)

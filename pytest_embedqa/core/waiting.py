"""Requests that this process waits for, so that people can be told: a silent server looks like a test that hangs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(eq=False)
class Wait:
    """A request that has no answer yet.

    Attributes:
        whom: Name of the party that is to answer.
        attempts: Number of attempts allowed.
        attempt: Number of the current attempt, from 1.
        began: Time of the first attempt, on the monotonic clock.
    """

    whom: str
    attempts: int = 1
    attempt: int = 1
    began: float = field(default_factory=time.monotonic)

    def __str__(self) -> str:
        """Return a description such as ``waits for the server at http://h:1/v1 since 20 s (attempt 1 of 6)``."""
        attempt = f" (attempt {self.attempt} of {self.attempts})" if self.attempts > 1 else ""
        return f"waits for {self.whom} since {time.monotonic() - self.began:.0f} s{attempt}"


_waits: list[Wait] = []


@contextmanager
def waiting(whom: str, attempts: int = 1) -> Iterator[Wait]:
    """Record a wait inside this context: around a request, with all its attempts and the pauses between them."""
    wait = Wait(whom, attempts)
    _waits.append(wait)
    try:
        yield wait
    finally:
        _waits.remove(wait)


def oldest() -> Wait | None:
    """Return the request of this process that has waited longest, or ``None``."""
    return min(list(_waits), key=lambda wait: wait.began, default=None)

"""What the tests of a marker have in common: its arguments are parsed once, looked up before anything is loaded, and judged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    import pytest

    from pytest_embedqa.session import Session

Parsed = TypeVar("Parsed")


class Check(ABC, Generic[Parsed]):
    """How the tests of one marker are read and judged."""

    @abstractmethod
    def parse(self, item: pytest.Item, mark: pytest.Mark) -> Parsed:
        """Understand the arguments of a marker.

        Raises:
            EmbedQAError: If one is unknown or can't hold.
        """

    def look_up(self, item: pytest.Item, parsed: Parsed) -> None:
        """Look up what the arguments name; nothing is loaded or evaluated.

        Raises:
            EmbedQAError: Saying what there is instead.
        """

    @abstractmethod
    def judge(self, item: pytest.Function, parsed: Parsed, session: Session) -> None:
        """Measure, and fail the test if a requirement does not hold."""

    def ask_ahead(self, item: pytest.Item) -> None:
        """Ask the user's own pipeline, once all fixtures of the test are there: what it raises is an error of the set-up."""

    def why_undecided(self, item: pytest.Item, mark: pytest.Mark) -> str:  # noqa: ARG002  most decide for themselves alone
        """Say why a test that was skipped must not be, as others are left to it; else nothing."""
        return ""

    def shared(self, item: pytest.Item, parsed: Parsed) -> str:  # noqa: ARG002  most share no more
        """Name what is made once if all tests that look at it run in one process: under xdist they do."""
        return str(item.path)

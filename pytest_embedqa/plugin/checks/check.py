"""The interface of each marker's check: parse the arguments once, look them up before loading, judge."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    import pytest

    from pytest_embedqa.session import Session

Parsed = TypeVar("Parsed")


class Check(ABC, Generic[Parsed]):
    """The way in which tests of one marker are read and judged."""

    @abstractmethod
    def parse(self, item: pytest.Item, mark: pytest.Mark) -> Parsed:
        """Parse the arguments of a marker.

        Raises:
            EmbedQAError: If an argument is unknown or can't hold.
        """

    def look_up(self, item: pytest.Item, parsed: Parsed) -> None:
        """Look up the names in the arguments; nothing is loaded or evaluated.

        Raises:
            EmbedQAError: If a name is unknown; the message lists what exists.
        """

    @abstractmethod
    def judge(self, item: pytest.Function, parsed: Parsed, session: Session) -> None:
        """Measure, and fail the test if a requirement does not hold."""

    def ask_ahead(self, item: pytest.Item) -> None:
        """Ask the user's own pipeline, once all fixtures are set up: its exceptions are errors of the set-up."""

    def why_undecided(self, item: pytest.Item, mark: pytest.Mark) -> str:  # noqa: ARG002  most decide for themselves alone
        """Say why a skipped test must not be skipped, because others leave failures to it; otherwise an empty text."""
        return ""

    def shared(self, item: pytest.Item, parsed: Parsed) -> str:  # noqa: ARG002  most share no more
        """Name what tests share in one process; under xdist, tests that share the same thing run on one worker."""
        return str(item.path)

"""The seam between probes and whatever finds passages: a callable, so that any pipeline can be tested as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol


@dataclass(frozen=True)
class Passage:
    """A piece of a document, as it is indexed and as it comes back.

    Attributes:
        text: Its text.
        source: Document it is from: the path below the corpus folder, with ``/``.
        page: Page on which it begins, from 1; ``None`` for documents without pages.
        last_page: Page on which it ends; ``None`` if that is ``page`` or unknown.
        score: How well it fits the query, more is better; ``None`` where the retriever does not say.
        page_starts: Where in the text each page after the first begins, by characters; empty if that is unknown.
        distance: How far it is from the query, less is better, in place of ``score``. A passage that came back for a
            probe has both: the score is the distance with a minus sign.
    """

    text: str
    source: str | None = None
    page: int | None = None
    last_page: int | None = None
    score: float | None = None
    page_starts: tuple[int, ...] = ()
    distance: float | None = None

    @property
    def pages(self) -> dict[int, tuple[int, int]]:
        """Where the text of each of its pages begins and ends, by characters; empty if that is unknown."""
        if self.page is None:
            return {}
        numbers = range(self.page, (self.last_page or self.page) + 1)
        if len(numbers) != len(self.page_starts) + 1:
            return {}
        return dict(zip(numbers, pairwise([0, *self.page_starts, len(self.text)]), strict=True))


class Retriever(Protocol):
    """Finds passages."""

    def __call__(self, query: str, k: int, /) -> Sequence[Passage]:
        """The ``k`` passages that fit a query best, the best first; fewer where there are no more."""
        ...

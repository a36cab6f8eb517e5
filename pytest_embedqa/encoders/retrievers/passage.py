"""The seam between probes and retrievers: a callable, so that any pipeline can be tested as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol


@dataclass(frozen=True)
class Passage:
    """A piece of a document, as it is indexed and as it comes back.

    Attributes:
        text: Text of the passage.
        source: Document of the passage: its path below the corpus folder, with ``/``.
        page: Page on which it begins, from 1; ``None`` for documents without pages.
        last_page: Page on which it ends; ``None`` if that is ``page`` or unknown.
        score: Score for the query, higher is better; ``None`` where the retriever gives none.
        page_starts: Character positions in the text at which each page after the first begins; empty if unknown.
        distance: Distance from the query, lower is better, in place of ``score``. A passage that came back for a
            probe has both: the score is the distance with a minus sign.
        id: Id of its document in the corpus of a task; tests on graded judgements need it where the text is not the
            whole document.
    """

    text: str
    source: str | None = None
    page: int | None = None
    last_page: int | None = None
    score: float | None = None
    page_starts: tuple[int, ...] = ()
    distance: float | None = None
    id: str | None = None

    @property
    def pages(self) -> dict[int, tuple[int, int]]:
        """The start and end of each page's text, in characters; empty if unknown."""
        if self.page is None:
            return {}
        numbers = range(self.page, (self.last_page or self.page) + 1)
        if len(numbers) != len(self.page_starts) + 1:
            return {}
        return dict(zip(numbers, pairwise([0, *self.page_starts, len(self.text)]), strict=True))


class Retriever(Protocol):
    """Any callable that finds passages."""

    def __call__(self, query: str, k: int, /) -> Sequence[Passage]:
        """Return the ``k`` passages that fit a query best, the best first; fewer if there are no more."""
        ...

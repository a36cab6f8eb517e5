"""The seam between probes and whatever finds passages: a callable, so that any pipeline can be tested as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
    """

    text: str
    source: str | None = None
    page: int | None = None
    last_page: int | None = None
    score: float | None = None


class Retriever(Protocol):
    """Finds passages."""

    def __call__(self, query: str, k: int, /) -> Sequence[Passage]:
        """The ``k`` passages that fit a query best, the best first; fewer where there are no more."""
        ...

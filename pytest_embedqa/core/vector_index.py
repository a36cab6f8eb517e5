"""The seam to an index of vectors: what it must offer to be searched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from pytest_embedqa.core.measures import Floats

Hits = Sequence[Sequence[str]]


@runtime_checkable
class VectorIndex(Protocol):
    """An index of vectors under test. A class with these two methods is all that ``index=`` needs."""

    def build(self, vectors: Floats, ids: Sequence[str]) -> None:
        """Index vectors, from scratch.

        Args:
            vectors: float32 of shape (n, dim), as the encoder gives them.
            ids: n distinct ids.
        """

    def search(self, queries: Floats, k: int) -> Hits:
        """Return the ids of the nearest vectors of each query, the nearest first; fewer than ``k`` if fewer come back.

        Args:
            queries: float32 of shape (q, dim).
            k: Number of ids to return for each query.
        """

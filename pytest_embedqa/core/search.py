"""Exact search for the nearest vectors, in blocks: memory is bounded however many documents there are."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from pytest_embedqa.core.measures import Floats

Places = npt.NDArray[np.int64]

# Scores that are held at a time: 32 MiB of float32.
_SCORES = 1 << 23


def best_of(scores: Floats, k: int) -> Places:
    """Places of the ``k`` highest scores of shape (n,), fewer if there are fewer; the highest first, equal ones in order."""
    k = min(k, len(scores))
    places = np.flatnonzero(scores >= np.partition(scores, -k)[-k]) if k else np.arange(0)
    chosen: Places = places[np.argsort(-scores[places], kind="stable")[:k]]
    return chosen


class TopK:
    """The ``k`` highest scores of each query so far, from scores that come in blocks of documents.

    Attributes:
        scores: shape (queries, at most k), the highest first.
        places: The documents they belong to, of the same shape. Of equal scores the earlier document stands first.
    """

    def __init__(self, queries: int, k: int) -> None:
        """Begin with no documents."""
        self._k = k
        self.scores: Floats = np.empty((queries, 0), dtype=np.float32)
        self.places: Places = np.empty((queries, 0), dtype=np.int64)

    def add(self, scores: Floats, start: int, first: int = 0) -> None:
        """Look at the next documents.

        Args:
            scores: shape (n, documents), for the queries from ``start`` on.
            start: The first of these queries.
            first: Number of the first of these documents.
        """
        width = min(self._k, first + scores.shape[1])
        if width > self.scores.shape[1]:
            self._widen(width)
        rows = slice(start, start + len(scores))
        # Only what beats the k-th best can matter; after a few blocks that is next to nothing.
        better = scores > self.scores[rows, -1:]
        for row in np.flatnonzero(better.any(axis=1)):
            columns = np.flatnonzero(better[row])
            found = np.concatenate([self.scores[start + row], scores[row, columns]])
            places = np.concatenate([self.places[start + row], columns + first])
            chosen = best_of(found, width)
            self.scores[start + row], self.places[start + row] = found[chosen], places[chosen]

    def _widen(self, width: int) -> None:
        room = ((0, 0), (0, width - self.scores.shape[1]))
        self.scores = np.pad(self.scores, room, constant_values=-np.inf)
        self.places = np.pad(self.places, room, constant_values=-1)


def even_parts(count: int, most: int) -> list[range]:
    """As few parts as hold at most ``most`` of ``count`` each, as even as can be.

    A BLAS sums a matrix of few rows in another order: parts of about one size keep the scores of equal vectors equal
    where its kernels allow that (OpenBLAS' for AVX-512 do, those for AVX2 differ in the last bit).
    """
    parts = -(-count // most)
    bounds = [count * part // parts for part in range(parts + 1)] if parts else []
    return [range(start, stop) for start, stop in itertools.pairwise(bounds)]


def search(queries: Floats, blocks: Iterable[Floats], k: int) -> TopK:
    """The documents with the highest product with each query.

    Args:
        queries: shape (queries, dim).
        blocks: The documents in order, each block of shape (n, dim); only one is held at a time.
        k: Documents for each query; fewer if there are fewer.
    """
    best = TopK(len(queries), k)
    first = 0
    for block in blocks:
        for part in even_parts(len(queries), max(1, _SCORES // max(1, len(block)))):
            best.add(queries[part.start : part.stop] @ block.T, part.start, first)
        first += len(block)
    return best

"""Exact search for the nearest vectors, in blocks, so that memory stays bounded however many documents there are."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_embedqa.core.measures import Floats

Places = npt.NDArray[np.int64]
Similarity = Callable[[Any, Any], Floats]

# Scores held in memory at a time: 32 MiB of float32.
_SCORES = 1 << 23


def dots(queries: Floats, documents: Floats) -> Floats:
    """Return dot products, shape (queries, documents)."""
    found: Floats = queries @ documents.T
    return found


def best_of(scores: Floats, k: int) -> Places:
    """Return the places of the ``k`` highest scores of an array of shape (n,), the highest first.

    Equal scores stay in order; an array of fewer than ``k`` scores gives all of its places.
    """
    k = min(k, len(scores))
    places = np.flatnonzero(scores >= np.partition(scores, -k)[-k]) if k else np.arange(0)
    chosen: Places = places[np.argsort(-scores[places], kind="stable")[:k]]
    return chosen


class TopK:
    """The ``k`` highest scores of each query so far, collected from blocks of documents.

    Attributes:
        scores: shape (queries, at most k), the highest first.
        places: Numbers of the documents with these scores, same shape; of equal scores the earlier document first.
    """

    def __init__(self, queries: int, k: int) -> None:
        """Begin without documents."""
        self._k = k
        self.scores: Floats = np.empty((queries, 0), dtype=np.float32)
        self.places: Places = np.empty((queries, 0), dtype=np.int64)

    def add(self, scores: Floats, start: int, first: int = 0) -> None:
        """Take the scores of the next documents into account.

        Args:
            scores: shape (n, documents), for the queries from ``start`` on.
            start: The first of these queries.
            first: Number of the first of these documents.
        """
        width = min(self._k, first + scores.shape[1])
        if width > self.scores.shape[1]:
            self._widen(width)
        rows = slice(start, start + len(scores))
        # Only a score above the k-th best can matter; after a few blocks hardly any is.
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
    """Split ``count`` into the fewest parts of at most ``most`` each, as even as possible.

    A BLAS sums a matrix of few rows in another order. Parts of about one size keep the scores of equal vectors equal
    where its kernels allow that (OpenBLAS' for AVX-512 do, those for AVX2 differ in the last bit).
    """
    parts = -(-count // most)
    bounds = [count * part // parts for part in range(parts + 1)] if parts else []
    return [range(start, stop) for start, stop in itertools.pairwise(bounds)]


def search(queries: Any, blocks: Iterable[Any], k: int, similarity: Similarity = dots) -> TopK:
    """Find the documents that are most similar to each query.

    Args:
        queries: The queries: an array of shape (queries, dim), or whatever ``similarity`` takes.
        blocks: The documents in order, a block at a time, likewise; one block is held at a time.
        k: Number of documents for each query; fewer if there are fewer.
        similarity: Returns the similarities of queries and documents, shape (queries, documents); dot products by default.
    """
    best = TopK(count(queries), k)
    first = 0
    for block in blocks:
        for part in even_parts(count(queries), max(1, _SCORES // max(1, count(block)))):
            best.add(similarity(queries[part.start : part.stop], block), part.start, first)
        first += count(block)
    return best


def count(rows: Any) -> int:
    """Return the number of rows of an array, a sparse matrix or a list."""
    return int(rows.shape[0]) if hasattr(rows, "shape") else len(rows)

"""Exact search in blocks: the same as sorting all scores, whatever the blocks."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_embedqa.core import search as module
from pytest_embedqa.core.search import TopK, even_parts, search

RNG = np.random.default_rng(3)
# Whole numbers, whose products are exact: what ties here ties in every BLAS, whatever its order of summing.
# Every third document stands four times, far from each other: ties that must not depend on the blocks.
DISTINCT = RNG.integers(-9, 10, (300, 48)).astype(np.float32)
DOCUMENTS = np.concatenate([DISTINCT, DISTINCT[::3], DISTINCT[::3], DISTINCT[::3]])
QUERIES = RNG.integers(-9, 10, (37, 48)).astype(np.float32)


def blocks(size):
    """All documents, so many at a time."""
    return (DOCUMENTS[part.start : part.stop] for part in even_parts(len(DOCUMENTS), size))


def sorted_by_hand(k):
    """Places by falling score, equal ones in order, from one matrix of all scores."""
    return np.argsort(-(QUERIES @ DOCUMENTS.T), axis=1, kind="stable")[:, :k]


@pytest.mark.parametrize("size", [40, 100, 599, 600, 10_000])
@pytest.mark.parametrize("k", [1, 10, 150])
def test_blocks_change_nothing(size, k):
    """Places and scores are those of one big sort, with ties in the order of the corpus."""
    found = search(QUERIES, blocks(size), k)
    np.testing.assert_array_equal(found.places, sorted_by_hand(k))
    np.testing.assert_array_equal(found.scores, np.take_along_axis(QUERIES @ DOCUMENTS.T, found.places, axis=1))


def test_queries_in_parts(monkeypatch):
    """However few scores are held at a time, the result is the same."""
    whole = search(QUERIES, blocks(100), 10)
    monkeypatch.setattr(module, "_SCORES", 300)
    parts = search(QUERIES, blocks(100), 10)
    np.testing.assert_array_equal(parts.places, whole.places)
    np.testing.assert_allclose(parts.scores, whole.scores, atol=1e-6)


def test_fewer_documents_than_asked_for():
    """All documents come back, and no place that does not exist."""
    found = search(QUERIES, [DOCUMENTS[:3], DOCUMENTS[3:5]], 10)
    assert found.places.shape == (37, 5)
    np.testing.assert_array_equal(np.sort(found.places, axis=1), np.tile(np.arange(5), (37, 1)))


def test_no_documents():
    """An empty corpus gives empty rankings."""
    assert search(QUERIES, [], 10).places.shape == (37, 0)


@pytest.mark.parametrize(("count", "most"), [(10, 3), (600, 599), (5, 9), (9, 9), (0, 3), (7, 1)])
def test_parts_are_even(count, most):
    """All are covered once, in order, in as few parts as possible, whose sizes differ by one at most."""
    parts = even_parts(count, most)
    assert [number for part in parts for number in part] == list(range(count))
    assert len(parts) == -(-count // most)
    assert not parts or max(map(len, parts)) - min(map(len, parts)) <= 1


def test_few_scores_are_looked_at_once_the_best_are_known(monkeypatch):
    """What can't be among the best is not sorted: the work of later blocks does not grow with k."""
    sorted_scores = []
    own = np.partition
    monkeypatch.setattr(
        module.np, "partition", lambda values, kth: sorted_scores.append(len(values)) or own(values, kth)
    )
    best = TopK(1, 10)
    best.add(np.linspace(1, 0.5, 1000, dtype=np.float32)[None], 0, 0)
    best.add(np.linspace(0.4, 0.1, 1000, dtype=np.float32)[None], 0, 1000)
    assert sorted_scores == [1010]

"""Made vectors, and indexes of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pytest_embedqa.index.data import Data
from pytest_embedqa.index.mark import read_mark
from pytest_embedqa.index.measuring import measure


def made(rows=2000, queries=40, *, lengths=None, similarity="cosine", copies=1):
    """Vectors of documents with 32 dimensions, and queries beside some of them.

    Args:
        rows: Number of documents.
        queries: Number of queries.
        lengths: The least and the greatest length of a vector; 1 without it.
        similarity: The model's.
        copies: How often each document is there.
    """
    random, dim = np.random.default_rng(0), 32
    vectors = random.normal(size=(rows // copies, dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    asked = vectors[:queries] + 0.6 * random.normal(size=(queries, dim)) / np.sqrt(dim)
    if lengths:
        vectors *= random.uniform(*lengths, (len(vectors), 1))
    vectors = np.repeat(vectors, copies, axis=0).astype(np.float32)
    ids = [f"d{row}" for row in range(len(vectors))]
    return Data("made", ids, vectors, [f"q{row}" for row in range(queries)], asked.astype(np.float32), {}, similarity)


def made_unlike(rows=3000, dim=32, queries=40, *, longest=1.0):
    """Random vectors of lengths from 1 to ``longest``, compared by cosine, and queries that are unlike all of them."""
    random = np.random.default_rng(7)
    vectors, asked = (random.standard_normal((n, dim)).astype(np.float32) for n in (rows, queries))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    vectors *= random.uniform(1, longest, (rows, 1)).astype(np.float32)
    ids, query_ids = [f"d{row}" for row in range(rows)], [f"q{row}" for row in range(queries)]
    return Data("made", ids, vectors, query_ids, asked, {}, "cosine")


def measured(index, data, **arguments):
    """Measure an index as a test with ``@index_recall`` does."""
    return measure(
        read_mark(pytest.Mark("index_recall", (), {"index": index, **arguments}, _ispytest=True)), data, None
    )


def recalls(result):
    """Mean recall in each state by its name."""
    return {state.name: state.recall for state in result.states}


class Flat:
    """An exact index by cosine, as a user writes it."""

    def build(self, vectors, ids):
        """Keep them."""
        self.vectors, self.ids = {}, list(ids)
        self.add(vectors, ids)

    def add(self, vectors, ids):
        """Keep more."""
        self.vectors |= dict(zip(ids, vectors, strict=True))
        self.ids += [id_ for id_ in ids if id_ not in set(self.ids)]

    def remove(self, ids):
        """Forget some."""
        for id_ in ids:
            del self.vectors[id_]
        self.ids = [id_ for id_ in self.ids if id_ in self.vectors]

    def score(self, vectors, query):
        """Similarities."""
        return (vectors @ query) / np.linalg.norm(vectors, axis=1)

    def search(self, queries, k):
        """Sort all."""
        vectors = np.array([self.vectors[id_] for id_ in self.ids])
        return [[self.ids[row] for row in np.argsort(-self.score(vectors, query))[:k]] for query in queries]


def with_relevant(data, relevant, *, is_own_result=True):
    """The same data with judgements."""
    return replace(data, relevant=relevant, is_own_result=is_own_result)

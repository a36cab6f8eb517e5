"""Made vectors, and what an index returns of them."""

from __future__ import annotations

import numpy as np

from pytest_embedqa.index.data import Data
from pytest_embedqa.index.mark import IndexMark
from pytest_embedqa.index.measuring import measure
from pytest_embedqa.index.spec import parse_index


def made(rows=3000, dim=32, queries=40, *, longest=1.0):
    """Return random vectors of lengths from 1 to ``longest``, as a model gives them that compares by cosine."""
    random = np.random.default_rng(7)
    vectors, asked = (random.standard_normal((n, dim)).astype(np.float32) for n in (rows, queries))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    vectors *= random.uniform(1, longest, (rows, 1)).astype(np.float32)
    ids, query_ids = [f"d{row}" for row in range(rows)], [f"q{row}" for row in range(queries)]
    return Data("made", ids, vectors, query_ids, asked, {}, "cosine")


def measured(spec, data, **more):
    """Return the measures of an index."""
    return measure(IndexMark(parse_index(spec), **more), data, None)


def recalls(result):
    """Return the recall in each state."""
    return {state.name: state.recall for state in result.states}

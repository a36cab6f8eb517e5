"""Slices: their values are the field's own measures, and a head of them is a fair part."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_embedqa.core.measures import spearman
from pytest_embedqa.core.slice import Pairs, Ranking

AXES = np.eye(12)


def ranking(**changes):
    """Two queries and twelve documents."""
    given = {
        "first": ["a", "b"],
        "second": [f"d{row}" for row in range(12)],
        "relevant": {0: {3: 1.0}, 1: {4: 2.0, 5: 1.0}},
        "drawn": {0: [3, 7], 1: [4, 5, 8]},
    }
    return Ranking(**{**given, **changes})


def test_ndcg_is_that_of_trec_eval():
    """Linear gains, log2 discounts, the ideal order in the denominator: worked out by hand."""
    queries = np.zeros((2, 12))
    queries[0, [7, 3]] = 2, 1  # the relevant document comes second
    queries[1, [5, 4]] = 2, 1  # grade 1 before grade 2
    found = ranking().scores(queries, AXES, dot=True)
    ideal = 2 + 1 / np.log2(3)
    assert found == pytest.approx([1 / np.log2(3), (1 + 2 / np.log2(3)) / ideal])


def test_absent_documents_count_in_the_ideal():
    """A relevant document that the corpus lacks can't be found, and its query can't have a perfect score."""
    queries = AXES[[3, 4]]
    whole = ranking().scores(queries, AXES, dot=True)
    lacking = ranking(absent={0: [1.0]}).scores(queries, AXES, dot=True)
    assert whole[0] == 1
    assert lacking[0] == pytest.approx(1 / (1 + 1 / np.log2(3)))
    assert ranking(relevant={}, absent={}).scores(queries, AXES, dot=True).tolist() == [0, 0]


def test_a_query_does_not_find_itself():
    """A query that is among the documents is left out of its own ranking."""
    queries = AXES[[3, 4]] + 0.5 * AXES[[7, 7]]
    found = ranking(relevant={0: {7: 1.0}, 1: {7: 1.0}}, itself={0: 3}).scores(queries, AXES, dot=True)
    assert found == pytest.approx([1, 1 / np.log2(3)])


def test_similarity_is_what_is_asked_for():
    """By dot product a long vector wins, by cosine a near one."""
    documents = AXES.copy()
    documents[7] = 9 * AXES[7] + AXES[3]
    queries = np.stack([AXES[3] + 0.2 * AXES[7]] * 2)
    by_dot, by_cosine = (ranking().scores(queries, documents, dot=dot)[0] for dot in (True, False))
    assert (by_dot, by_cosine) == (pytest.approx(1 / np.log2(3)), 1)


def test_head_of_a_ranking_keeps_its_own_documents():
    """The documents drawn for the first queries stay, rows are counted anew, and the score of a query is about the same texts."""
    part = ranking(itself={0: 7, 1: 8}, absent={1: [1.0]}).head(1)
    assert (list(part.first), list(part.second)) == (["a"], ["d3", "d7"])
    assert part.relevant == {0: {0: 1.0}}
    assert (part.drawn, part.itself, part.absent) == ({0: [0, 1]}, {0: 1}, {})
    assert len(ranking().head(99)) == 2


def test_pairs_add_up_to_spearman():
    """The mean of the pairs' values is Spearman's rho, ties averaged; without any order it is 0, not NaN."""
    rng = np.random.default_rng(0)
    first, second, gold = rng.standard_normal((50, 4)), rng.standard_normal((50, 4)), rng.integers(0, 6, 50)
    part = Pairs(["x"] * 50, ["y"] * 50, gold)
    assert part.scores(first, second, dot=True).mean() == pytest.approx(
        spearman((first * second).sum(axis=1), gold.astype(float))
    )
    assert part.scores(first, first, dot=False).mean() == 0
    assert len(part.head(7)) == len(part.head(7).gold) == 7

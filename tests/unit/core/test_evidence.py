"""Scores from their units: the same as the libraries compute, on every draw."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import average_precision_score

from pytest_embedqa.core.evidence import STATISTICS, Evidence, Units

LIBRARY = {
    "mean": lambda values, labels: values.mean(),  # noqa: ARG005
    "spearman": lambda values, labels: spearmanr(values, labels)[0],
    "pearson": lambda values, labels: pearsonr(values, labels)[0],
    "average_precision": lambda values, labels: average_precision_score(labels, values),
}
# Few distinct values, so that there are ties.
values_and_labels = st.lists(st.tuples(st.integers(-4, 4), st.integers(0, 1)), min_size=6, max_size=40).filter(
    lambda rows: len({row[0] for row in rows}) > 1 and len({row[1] for row in rows}) > 1
)


def units(values, labels=None, subset="default"):
    """Units numbered in order."""
    ids = tuple(map(str, range(len(values))))
    return Units("test", subset, ids, np.asarray(values, float), None if labels is None else np.asarray(labels, float))


def test_every_statistic_has_its_reference():
    """A new statistic needs a library to be checked against."""
    assert set(STATISTICS) == set(LIBRARY)


@pytest.mark.parametrize("statistic", STATISTICS)
@settings(max_examples=50, deadline=None)
@given(rows=values_and_labels, seed=st.integers(0, 100))
def test_statistic_of_a_draw_is_that_of_the_drawn_units(statistic, rows, seed):
    """Counting how often a unit was drawn gives what the library computes on the drawn rows, ties included."""
    values, labels = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    evidence = Evidence(statistic, "pairs", (units(values, None if statistic == "mean" else labels),))
    assert evidence.value == pytest.approx(LIBRARY[statistic](values, labels))
    chosen = np.random.default_rng(seed).integers(0, len(rows), size=len(rows))
    drawn = np.bincount(chosen, minlength=len(rows))[:, None].astype(float)
    (found,) = evidence.kernel(evidence.parts[0])(drawn)
    if statistic != "mean" and len({*labels[chosen]}) < 2:
        assert np.isnan(found) or statistic == "average_precision"
    elif statistic == "mean" or len({*values[chosen]}) > 1:
        assert found == pytest.approx(LIBRARY[statistic](values[chosen], labels[chosen]), abs=1e-9)


def test_parts_weigh_the_same():
    """The score is the mean over splits and subsets, as mteb aggregates, whatever their sizes."""
    evidence = Evidence("mean", "queries", (units([1, 1, 1, 1]), units([0], subset="other")))
    assert evidence.value == 0.5
    assert evidence.count == 5


def test_merit_of_a_pair_is_how_near_its_rank_is_to_that_of_its_grade():
    """A pair in its place has 0, the one that is farthest off the least."""
    part = units([0.1, 0.9, 0.5, 0.2], [0, 5, 3, 4])
    merits = Evidence("spearman", "pairs", (part,)).merits(part)
    assert merits.tolist() == pytest.approx([0, 0, -0.25, -0.25])


def test_merit_of_a_query_is_its_score():
    """More is better."""
    part = units([0.2, 0.7])
    assert Evidence("mean", "queries", (part,)).merits(part).tolist() == [0.2, 0.7]

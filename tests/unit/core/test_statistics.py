"""Confidence intervals: deterministic, of the right width, over independent strata."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pytest_embedqa.core import statistics
from pytest_embedqa.core.evidence import Evidence, Units
from pytest_embedqa.core.statistics import difference, holm, interval, resampled

RNG = np.random.default_rng(7)
SAMPLE = RNG.normal(0.5, 0.2, size=200)


def evidence(strata, statistic="mean", labels=None):
    """Units by stratum."""
    parts = (
        Units("test", str(number), tuple(map(str, range(len(values)))), np.asarray(values), labels)
        for number, values in enumerate(strata)
    )
    return Evidence(statistic, "queries", tuple(parts))


def mean_interval(strata, resamples=None):
    """Interval of the mean over strata."""
    return interval(evidence(strata), resamples)


def width(strata):
    """Width of the interval, from few enough resamples to be quick."""
    low, high = mean_interval(strata, 2000)
    return high - low


@settings(max_examples=20)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=60))
def test_interval_covers_the_mean(values):
    """The measured mean lies in its own interval."""
    low, high = mean_interval([np.array(values)], 500)
    assert low - 1e-9 <= np.mean(values) <= high + 1e-9


def test_interval_is_deterministic():
    """The same evidence gives the same interval, bit for bit."""
    assert mean_interval([SAMPLE]) == mean_interval([SAMPLE.copy()])


def test_interval_matches_the_normal_approximation():
    """For a large sample the interval is mean ± 1.96 standard errors."""
    error = SAMPLE.std() / math.sqrt(len(SAMPLE))
    low, high = mean_interval([SAMPLE])
    assert low == pytest.approx(SAMPLE.mean() - 1.96 * error, abs=0.1 * error)
    assert high == pytest.approx(SAMPLE.mean() + 1.96 * error, abs=0.1 * error)


def test_constant_values_have_no_width():
    """Where every unit scores the same, there is nothing to be unsure about."""
    assert mean_interval([np.full(10, 0.25)], 100) == (0.25, 0.25)


def test_every_stratum_weighs_the_same():
    """The interval is about the mean of the strata's means, as mteb averages subsets, not about the pooled mean."""
    large, small = np.full(1000, 0.2), np.full(10, 0.8)
    assert mean_interval([large, small], 100) == pytest.approx((0.5, 0.5))


def test_units_are_resampled_within_their_stratum():
    """A difference between strata adds nothing to the width of the interval."""
    assert mean_interval([np.zeros(50), np.ones(50)], 200) == pytest.approx((0.5, 0.5))


@pytest.mark.parametrize(
    "second",
    [SAMPLE, np.sort(SAMPLE), np.sort(SAMPLE)[::-1], RNG.permutation(SAMPLE), np.append(SAMPLE, SAMPLE.mean())],
    ids=["same", "sorted", "reversed", "shuffled", "another size"],
)
@pytest.mark.parametrize("first", [SAMPLE, np.sort(SAMPLE)], ids=["drawn", "sorted"])
def test_strata_are_drawn_independently(first, second):
    """Two strata of one spread have an interval narrower by sqrt(2), in whatever order their units stand."""
    assert width([first, second]) == pytest.approx(width([SAMPLE]) / math.sqrt(2), rel=0.1)


def test_blocks_do_not_change_how_many_means_are_drawn(monkeypatch):
    """A sample too large for one block gives as many means as asked, around the mean."""
    monkeypatch.setattr(statistics, "_BLOCK_ELEMENTS", 7 * len(SAMPLE))
    (means,) = resampled([evidence([SAMPLE])], 100)
    assert means.shape == (100,)
    assert len(np.unique(means)) > 90
    assert means.mean() == pytest.approx(SAMPLE.mean(), abs=0.01)


def test_more_units_than_a_block_holds(monkeypatch):
    """Even a single draw larger than a block is drawn."""
    monkeypatch.setattr(statistics, "_BLOCK_ELEMENTS", 3)
    assert resampled([evidence([SAMPLE])], 5).shape == (1, 5)


@pytest.mark.parametrize(("units", "resamples"), [(10, 10_000), (2_500, 10_000), (5_000, 5_000), (40_000, 2_000)])
def test_as_many_resamples_as_units_allow(units, resamples):
    """10,000; for very many units, which each cost time in every resample, fewer and never below 2,000."""
    assert resampled([evidence([np.zeros(units)])]).shape == (1, resamples)


BEFORE = RNG.random(400)


def after(shift, noise=0.1):
    """Values of the same units in a second run."""
    return BEFORE + np.random.default_rng(3).normal(shift, noise, size=len(BEFORE))


@pytest.mark.parametrize("shift", [0, -0.005, -0.01, -0.02, 0.01])
def test_difference_agrees_with_scipy(shift):
    """Interval as scipy's percentile bootstrap, p-value as its randomisation test, within the error of resampling."""
    now = after(shift)
    found = difference(evidence([BEFORE]), evidence([now]))
    theirs = stats.bootstrap((now - BEFORE,), np.mean, n_resamples=9999, method="percentile", rng=1)
    assert found.interval == pytest.approx(tuple(theirs.confidence_interval), abs=0.0006)
    randomised = stats.permutation_test(
        (BEFORE, now),
        lambda x, y, axis: np.mean(y - x, axis=axis),
        permutation_type="samples",
        n_resamples=9999,
        vectorized=True,
        batch=1000,
        rng=1,
    )
    assert found.p_value == pytest.approx(randomised.pvalue, abs=0.02)
    assert found.p_value >= randomised.pvalue - 0.01
    assert found.value == pytest.approx((now - BEFORE).mean())


def test_pairing_takes_out_what_both_share():
    """Queries differ far more from each other than two runs differ on a query."""
    paired = difference(evidence([BEFORE]), evidence([after(-0.02)]))
    low, high = interval(evidence([BEFORE]))
    assert paired.interval[1] - paired.interval[0] < (high - low) / 2
    assert paired.is_drop


def test_statistics_of_pairs_share_their_draws():
    """Spearman of nearly the same similarities: the interval of the difference is far narrower than each one's own."""
    grades = RNG.integers(0, 6, size=300).astype(float)
    first = grades + RNG.normal(size=300)
    second = first + RNG.normal(scale=0.05, size=300)
    before, now = (evidence([values], "spearman", grades) for values in (first, second))
    low, high = difference(before, now).interval
    own_low, own_high = interval(now)
    assert high - low < (own_high - own_low) / 5
    assert low <= now.value - before.value <= high


def test_no_difference_is_not_significant():
    """Equal values: difference 0, p-value 1, and nothing moved."""
    same = difference(evidence([BEFORE]), evidence([BEFORE.copy()]))
    assert (same.value, same.interval, same.p_value, same.moved, same.smallest_drop) == (0, (0, 0), 1, 0, 0)


@pytest.mark.parametrize(("moved", "significant"), [(1, False), (4, False), (5, False), (6, True), (12, True)])
def test_few_queries_that_moved_are_no_proof(moved, significant):
    """Five that all got worse happen by chance in one of sixteen comparisons, however many others stayed."""
    now = BEFORE.copy()
    now[:moved] -= 0.5
    found = difference(evidence([BEFORE]), evidence([now]))
    assert found.moved == moved
    assert found.is_drop is significant


def test_no_more_false_alarms_than_promised():
    """Where each unit might as well have gone the other way, at most one drop in forty is called significant."""
    rng = np.random.default_rng(23)
    alarms = 0
    for _ in range(400):
        moves = np.where(rng.random(60) < 0.3, rng.exponential(0.2, 60), 0) * rng.choice([-1, 1], 60)
        alarms += difference(evidence([np.zeros(60)]), evidence([moves]), 400).is_drop
    assert alarms <= 400 * 0.025 + 3 * math.sqrt(400 * 0.025)


def test_gain_is_no_drop():
    """A significant gain does not alarm."""
    found = difference(evidence([BEFORE]), evidence([after(0.05)]))
    assert found.p_value < 0.01
    assert not found.is_drop


def test_smallest_drop_is_found_in_four_of_five():
    """What is called visible is found significant in about 80 of 100 comparisons."""
    rng = np.random.default_rng(11)
    found = 0
    for _ in range(200):
        noise = rng.normal(0, 0.1, size=150)
        smallest = 2.8 * 0.1 / math.sqrt(150)
        result = difference(evidence([np.zeros(150)]), evidence([noise - smallest]), 500)
        assert result.smallest_drop == pytest.approx(smallest, rel=0.3)
        found += result.is_drop
    assert 0.7 <= found / 200 <= 0.9


def test_holm_adjusts_stepwise():
    """Holm's own rule: the smallest of m times m, the next times m - 1, never below the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []

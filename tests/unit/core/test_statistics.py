"""Confidence intervals: deterministic, of the right width, over independent strata."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_embedqa.core import statistics
from pytest_embedqa.core.statistics import mean_interval, resampled_means

RNG = np.random.default_rng(7)
SAMPLE = RNG.normal(0.5, 0.2, size=200)


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
    monkeypatch.setattr(statistics, "_CHUNK_ELEMENTS", 7 * len(SAMPLE))
    means = resampled_means(SAMPLE, 100)
    assert means.shape == (100,)
    assert len(np.unique(means)) > 90
    assert means.mean() == pytest.approx(SAMPLE.mean(), abs=0.01)


def test_one_block_holds_a_sample_larger_than_its_limit(monkeypatch):
    """A sample beyond the block limit is drawn row by row, not refused."""
    monkeypatch.setattr(statistics, "_CHUNK_ELEMENTS", 10)
    assert resampled_means(SAMPLE, 5).shape == (5,)

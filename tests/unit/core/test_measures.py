"""Measures: against naive implementations and known values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pytest_embedqa.core.measures import (
    SEPARATION_CEILING,
    average_ranks,
    neighbour_overlap,
    paired_cosine,
    separation,
    spearman,
)

# Few distinct values, so that ties are common.
tied = st.lists(st.sampled_from([-2.0, -1.0, 0.0, 0.5, 1.0, 3.0]), min_size=1, max_size=12)
pairs = st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.integers(0, 4)), min_size=2, max_size=12)


def naive_ranks(values):
    """Mean of the places that a value takes in the sorted list."""
    ordered = sorted(values)
    return [np.mean([place for place, other in enumerate(ordered, 1) if other == value]) for value in values]


@given(tied)
def test_ranks_agree_with_a_naive_implementation(values):
    """Tied values share the mean of their places."""
    assert average_ranks(np.array(values)).tolist() == naive_ranks(values)


@given(st.lists(st.floats(allow_nan=False), unique=True, min_size=1))
def test_ranks_without_ties_are_a_permutation(values):
    """Without ties the ranks are 1..n, in the order of the values."""
    ranks = average_ranks(np.array(values))
    assert sorted(ranks) == list(range(1, len(values) + 1))
    assert np.array_equal(np.argsort(ranks), np.argsort(values))


@given(pairs)
def test_spearman_is_pearson_of_naive_ranks(rows):
    """With any ties, rho is Pearson's correlation of the averaged ranks."""
    first, second = zip(*rows, strict=True)
    assume(len(set(first)) > 1 and len(set(second)) > 1)
    expected = np.corrcoef(naive_ranks(first), naive_ranks(second))[0, 1]
    assert spearman(np.array(first), np.array(second)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("first", "second", "rho"),
    [
        ([1.0, 2.0, 3.0], [10.0, 20.0, 30.0], 1.0),
        ([1.0, 2.0, 3.0], [1.0, 8.0, 1e9], 1.0),
        ([1.0, 2.0, 3.0], [3.0, 2.0, 1.0], -1.0),
        # IQ and hours of television, the worked example of the article on Spearman's rho: -29/165.
        ([106, 100, 86, 101, 99, 103, 97, 113, 112, 110], [7, 27, 2, 50, 28, 29, 20, 12, 6, 17], -29 / 165),
        # Ranks 1.5 1.5 3 4 against 1 2 3 4: covariance 4.5 over sqrt(4.5 * 5).
        ([1.0, 1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 4.0], 4.5 / math.sqrt(4.5 * 5)),
    ],
)
def test_spearman_of_known_examples(first, second, rho):
    """Known values, with and without ties."""
    assert spearman(np.array(first, float), np.array(second, float)) == pytest.approx(rho)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]),
        ([1.0, 2.0, 3.0], [5.0, 5.0, 5.0]),
        ([1.0, math.nan, 3.0], [1.0, 2.0, 3.0]),
        ([1.0, 2.0, 3.0], [1.0, 2.0, math.nan]),
    ],
)
def test_spearman_that_does_not_exist_is_nan(first, second):
    """Constant input or NaN has no correlation; it is not zero."""
    assert math.isnan(spearman(np.array(first, float), np.array(second, float)))


def test_paired_cosine_of_known_rows():
    """Parallel, orthogonal, opposite and oblique rows, whatever their lengths."""
    first = np.array([[1, 0], [2, 0], [3, 0], [1, 0]], dtype=np.float32)
    second = np.array([[5, 0], [0, 7], [-2, 0], [4, 4]], dtype=np.float32)
    assert paired_cosine(first, second) == pytest.approx([1, 0, -1, math.sqrt(0.5)])


def test_paired_cosine_of_a_zero_vector_is_zero():
    """A zero vector is similar to nothing, and raises no warning about a division."""
    zero, other = np.zeros((1, 3), np.float32), np.ones((1, 3), np.float32)
    with np.errstate(all="raise"):
        assert paired_cosine(zero, other).tolist() == [0.0]
        assert paired_cosine(other, zero).tolist() == [0.0]


def test_paired_cosine_does_not_overflow_in_half_precision():
    """Half-precision vectors are multiplied in float64."""
    large = np.full((1, 4), 60_000, dtype=np.float16)
    cosine = paired_cosine(large, large)
    assert cosine.dtype == np.float64
    assert cosine == pytest.approx([1.0])


@given(st.integers(1, 40))
def test_perfect_separation_reaches_the_ceiling(count):
    """Balanced classes that are told apart perfectly have rho = sqrt(3)/2 in the limit, never more by more than 1/n."""
    rho = separation(np.linspace(0.6, 0.9, count), np.linspace(0.1, 0.4, count))
    assert rho == pytest.approx(math.sqrt(3 / (4 - 1 / count**2)))
    assert pytest.approx(math.sqrt(3) / 2) == SEPARATION_CEILING


def test_reversed_separation_is_negative():
    """A model that finds random pairs more similar than relevant ones gets the negative ceiling."""
    low, high = np.linspace(0.1, 0.4, 500), np.linspace(0.6, 0.9, 500)
    assert separation(low, high) == pytest.approx(-SEPARATION_CEILING, abs=1e-4)


@pytest.mark.parametrize("relevant", [[], [0.5, 0.5]])
def test_separation_without_information_is_nan(relevant):
    """No pairs, or one similarity for all, is not a score of zero."""
    assert math.isnan(separation(np.array(relevant), np.array(relevant)))


@given(st.integers(0, 1000), st.integers(3, 12), st.integers(1, 4))
def test_overlap_agrees_with_a_naive_implementation(seed, n, k):
    """Without ties: how many of the k nearest of the one are among the k nearest of the other."""
    random = np.random.default_rng(seed)
    first, second = random.standard_normal((n, 5)), random.standard_normal((n, 7))
    k = min(k, n - 1)

    def nearest(vectors, row):
        others = [other for other in range(n) if other != row]
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return set(sorted(others, key=lambda other: -(unit[row] @ unit[other]))[:k])

    expected = [len(nearest(first, row) & nearest(second, row)) / k for row in range(n)]
    np.testing.assert_allclose(neighbour_overlap(first, second, k), expected)


def test_overlap_of_an_embedding_with_itself_is_one():
    """Also where vectors are equal, scaled, turned or zero: those have no order among themselves."""
    random = np.random.default_rng(3)
    vectors = np.concatenate([random.standard_normal((6, 4)), np.zeros((3, 4)), np.ones((5, 4))])
    turned = vectors @ np.linalg.qr(random.standard_normal((4, 4)))[0]
    for other in (vectors, vectors * 7, turned):
        np.testing.assert_array_equal(neighbour_overlap(other, vectors, 4), 1)


def test_overlap_asks_for_no_more_neighbours_than_there_are():
    """With three texts each has two."""
    np.testing.assert_array_equal(neighbour_overlap(np.eye(3), np.eye(3), 10), 1)

"""Signs in scores: saturation, a sigmoid too many, one score for everything. None of them guesses a scale."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_embedqa.encoders.score_scale import same, saturated, sigmoid, through_two_sigmoids


def floats(*numbers):
    """Scores."""
    return np.array(numbers, np.float32)


def test_sigmoid_is_float32_and_knows_no_overflow():
    """Of logits far beyond what the exponential takes."""
    found = sigmoid(floats(-200, 0, 17, 200))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, floats(0, 0.5, 1, 1))


@pytest.mark.parametrize(
    ("scores", "pairs", "note"),
    [
        ((1, 1, 0.5), "abc", "of 3 different pairs 2 have exactly 1, so their order is lost"),
        ((0, 0, 1, 1), "abcd", "of 4 different pairs 2 have exactly 1 and 2 have exactly 0"),
        ((1, 1, 0.5), "aab", None),  # the same pair twice
        ((1, 0.5, 0), "abc", None),
        ((1, 1, 7), "abc", None),  # logits may be 1
        ((1, 1, -0.5), "abc", None),
        ((), "", None),
    ],
)
def test_different_pairs_at_an_end_of_the_scale_are_noted(scores, pairs, note):
    """Several pairs, not several mentions of one; and only where scores are probabilities."""
    found = saturated(floats(*scores), list(pairs))
    assert (note in found) if note else found is None


def test_same_is_equal_but_for_rounding():
    """On the scale of the scores themselves."""
    assert same(floats(0.8, 0.8, 0.8000001))
    assert same(floats(1000, 1000.0001))
    assert not same(floats(0.8, 0.80001))
    assert not same(floats(1e-5, 2e-5))


def test_two_sigmoids_need_enough_scores_between_their_ends():
    """Few scores may lie there by chance; one outside tells."""
    within = np.linspace(0.5, 0.731, 8, dtype=np.float32)
    assert through_two_sigmoids(within)
    assert not through_two_sigmoids(within[:7])
    assert not through_two_sigmoids(floats(*within, 0.49))
    assert not through_two_sigmoids(floats(*within, 0.74))

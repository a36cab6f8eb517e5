"""Requirements: which promises are accepted, and what the refusal of the others says."""

from __future__ import annotations

import re

import pytest

from pytest_embedqa.core.errors import SpecError
from pytest_embedqa.core.requirement import MAIN_SCORE, Kind, Requirement, score_range

NAN = float("nan")
INFINITY = float("inf")


@pytest.mark.parametrize(
    ("kind", "measure", "bound"),
    [
        (Kind.MIN, "ndcg_at_10", 0.48),
        (Kind.MIN, "ndcg_at_10", 1.0),
        (Kind.MAX, "ndcg_at_10", 0.0),
        (Kind.MAX, "ndcg_at_10", 0.9),
        (Kind.MIN, "cosine_spearman", -0.5),
        (Kind.MAX, "spearman", -1.0),
        (Kind.MIN, "nauc_ndcg_at_10_max", -0.2),
        (Kind.MIN, "nauc_ndcg_at_10_max", -3.0),
        (Kind.MIN, "p-MRR", -0.02),
        (Kind.MIN, MAIN_SCORE, -0.02),
        (Kind.MAX, "rmse", 12.5),
        (Kind.VS_PUBLISHED, MAIN_SCORE, -0.015),
        (Kind.VS_PUBLISHED, MAIN_SCORE, 0.0),
        (Kind.VS_PUBLISHED, MAIN_SCORE, 0.02),
        (Kind.MAX_REGRESSION, MAIN_SCORE, 0.0),
        (Kind.MAX_REGRESSION, MAIN_SCORE, 0.01),
    ],
)
def test_possible_bounds_are_accepted(kind, measure, bound):
    """A bound that can hold and can fail is a promise, negative ones of signed metrics among them."""
    assert Requirement(kind, measure, bound).bound == bound


@pytest.mark.parametrize(
    ("kind", "measure", "bound", "says"),
    [
        (Kind.MIN, "ndcg_at_10", 1.5, "min_ndcg_at_10=1.5 can never hold: ndcg_at_10 lies between 0 and 1."),
        (Kind.MIN, "ndcg_at_10", -0.1, "min_ndcg_at_10=-0.1 can never fail: ndcg_at_10 lies between 0 and 1."),
        (Kind.MIN, "ndcg_at_10", 0.0, "min_ndcg_at_10=0 can never fail"),
        (Kind.MIN, "ndcg_at_10", INFINITY, "min_ndcg_at_10=inf can never hold"),
        (Kind.MAX, "ndcg_at_10", 1.0, "max_ndcg_at_10=1 can never fail"),
        (Kind.MAX, "ndcg_at_10", -0.1, "max_ndcg_at_10=-0.1 can never hold"),
        (
            Kind.MIN,
            "cosine_spearman",
            -1.0,
            "min_cosine_spearman=-1 can never fail: cosine_spearman lies between -1 and 1.",
        ),
        (
            Kind.MAX,
            "cosine_pearson",
            -1.1,
            "max_cosine_pearson=-1.1 can never hold: cosine_pearson lies between -1 and 1.",
        ),
        (Kind.MIN, "p-MRR", -1.0, "min_p-MRR=-1 can never fail: p-MRR lies between -1 and 1."),
        (Kind.MIN, "r2", 1.5, "min_r2=1.5 can never hold: r2 lies between -inf and 1."),
        (Kind.MIN, "nauc_map_at_3_std", -INFINITY, "min_nauc_map_at_3_std=-inf can never fail"),
        (Kind.MAX, "rmse", -1.0, "max_rmse=-1 can never hold: rmse lies between 0 and inf."),
        (Kind.MAX, "rmse", INFINITY, "max_rmse=inf can never fail"),
    ],
)
def test_impossible_bound_is_refused_with_the_range_of_the_metric(kind, measure, bound, says):
    """A bound outside a metric's range is an error that says whether it never holds or never fails."""
    with pytest.raises(SpecError, match=f"^{re.escape(says)}"):
        Requirement(kind, measure, bound)


@pytest.mark.parametrize(("bound", "fraction"), [(48, "0.48"), (50.2, "0.502"), (100, "1")])
def test_percentage_is_refused_with_the_fraction_that_was_meant(bound, fraction):
    """Whoever writes 48 reads that scores are fractions and that 0.48 was meant."""
    with pytest.raises(SpecError, match=rf"Scores are fractions: did you mean {re.escape(fraction)}\?$"):
        Requirement(Kind.MIN, "ndcg_at_10", bound)


@pytest.mark.parametrize("bound", [101, -48, 0.0])
def test_bound_that_is_no_percentage_gets_no_hint(bound):
    """No fraction is suggested for a number that can't be a percentage."""
    with pytest.raises(SpecError) as error:
        Requirement(Kind.MIN, "ndcg_at_10", bound)
    assert "did you mean" not in str(error.value)


@pytest.mark.parametrize("kind", Kind)
def test_nan_is_no_bound(kind):
    """NaN is refused for every kind, because every comparison with it is false."""
    with pytest.raises(SpecError, match=r"nan has the bound NaN, which nothing can reach\."):
        Requirement(kind, "ndcg_at_10", NAN)


@pytest.mark.parametrize("bound", [-1.0, 1.0, 1.5, -15, INFINITY])
def test_margin_to_the_published_score_lies_within_one(bound):
    """A margin of a whole score or more is refused, with an example of a usable one."""
    with pytest.raises(SpecError, match=r"^vs_published=.* lies between -1 and 1, e\.g\. -0\.015\.$"):
        Requirement(Kind.VS_PUBLISHED, MAIN_SCORE, bound)


@pytest.mark.parametrize("bound", [-0.01, 1.0, 2, INFINITY])
def test_allowed_drop_is_not_negative_and_below_one(bound):
    """A negative drop (a common slip) is refused, with an example of a usable one."""
    with pytest.raises(SpecError, match=r"^max_regression=.* from 0 up to 1, e\.g\. 0\.01 for one point\.$"):
        Requirement(Kind.MAX_REGRESSION, MAIN_SCORE, bound)


@pytest.mark.parametrize(
    ("requirement", "text"),
    [
        (Requirement(Kind.MIN, "ndcg_at_10", 0.48), "min_ndcg_at_10=0.48"),
        (Requirement(Kind.MAX, "rmse", 2.0), "max_rmse=2"),
        (Requirement(Kind.VS_PUBLISHED, MAIN_SCORE, -0.015), "vs_published=-0.015"),
        (Requirement(Kind.MAX_REGRESSION, MAIN_SCORE, 0.01), "max_regression=0.01"),
    ],
)
def test_text_is_the_marker_argument(requirement, text):
    """Reports show a requirement as its user wrote it."""
    assert str(requirement) == text


@pytest.mark.parametrize(
    ("measure", "low", "high"),
    [
        ("main_score", -1.0, 1.0),
        ("mean", -1.0, 1.0),
        ("mean_by_type", -1.0, 1.0),
        ("p-MRR", -1.0, 1.0),
        ("kendalltau", -1.0, 1.0),
        ("ami", -1.0, 1.0),
        ("alpha_auc", -1.0, 1.0),
        ("robustness_at_10", 0.0, 1.0),
        ("paired_accuracy", 0.0, 1.0),
        ("v_measure", 0.0, 1.0),
        ("r2", -INFINITY, 1.0),
        ("recall_at_100", 0.0, 1.0),
        ("f1", 0.0, 1.0),
        ("spearman", -1.0, 1.0),
        ("manhattan_spearman", -1.0, 1.0),
        ("cosine_pearson", -1.0, 1.0),
        ("nauc_map_at_3_std", -INFINITY, 1.0),
        ("ari", -1.0, 1.0),
        ("marginal", 0.0, 1.0),
        ("mae", 0.0, INFINITY),
    ],
)
def test_range_follows_the_metric(measure, low, high):
    """Correlations and p-MRR can be negative, regression errors and what is compared with a guess have a limit on one side; all else is a fraction."""
    assert score_range(measure) == (low, high)

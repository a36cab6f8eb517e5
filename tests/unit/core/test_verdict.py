"""Verdicts: how a value is judged, and that a verdict survives its travels."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_embedqa.core.requirement import MAIN_SCORE, Kind, Requirement
from pytest_embedqa.core.verdict import Outcome, Verdict, absolute_bound, judge

MINIMUM = Requirement(Kind.MIN, "ndcg_at_10", 0.48)
MAXIMUM = Requirement(Kind.MAX, "ndcg_at_10", 0.48)
VS_PUBLISHED = Requirement(Kind.VS_PUBLISHED, MAIN_SCORE, -0.015)
MAX_REGRESSION = Requirement(Kind.MAX_REGRESSION, MAIN_SCORE, 0.01)

fractions = st.floats(0, 1)
# Letters of several scripts, composed and decomposed, with controls and what a format might trip over.
TRICKY = 'aZ0 é\u0301ß漢\U0001f642\0\n\t"\\/@?&=+%:;#'
texts = st.text(TRICKY, max_size=8)


@pytest.mark.parametrize(
    ("requirement", "value", "reference", "outcome", "reason"),
    [
        (MINIMUM, 0.5, None, Outcome.PASS, "ndcg_at_10 0.5000 is at least 0.4800."),
        (MINIMUM, 0.48, None, Outcome.PASS, "ndcg_at_10 0.4800 is at least 0.4800."),
        (MINIMUM, 0.4666, None, Outcome.FAIL, "ndcg_at_10 0.4666 is below 0.4800, off by 0.0134."),
        (MAXIMUM, 0.4, None, Outcome.PASS, "ndcg_at_10 0.4000 is at most 0.4800."),
        (MAXIMUM, 0.48, None, Outcome.PASS, "ndcg_at_10 0.4800 is at most 0.4800."),
        (MAXIMUM, 0.5, None, Outcome.FAIL, "ndcg_at_10 0.5000 is above 0.4800, off by 0.0200."),
        (
            VS_PUBLISHED,
            0.49,
            0.50,
            Outcome.PASS,
            "main_score 0.4900 is at least 0.4850 (published 0.5000, allowed -0.015, difference -0.0100).",
        ),
        (
            VS_PUBLISHED,
            0.45,
            0.50,
            Outcome.FAIL,
            "main_score 0.4500 is below 0.4850 (published 0.5000, allowed -0.015, difference -0.0500).",
        ),
        (
            MAX_REGRESSION,
            0.495,
            0.50,
            Outcome.PASS,
            "main_score 0.4950 is at least 0.4900 (baseline 0.5000, allowed drop 0.01, difference -0.0050).",
        ),
        (
            MAX_REGRESSION,
            0.45,
            0.50,
            Outcome.FAIL,
            "main_score 0.4500 is below 0.4900 (baseline 0.5000, allowed drop 0.01, difference -0.0500).",
        ),
    ],
)
def test_judgement_and_its_reason(requirement, value, reference, outcome, reason):
    """The reason shows value, bound and, for a relative requirement, what it is relative to."""
    judged, _, says = judge(requirement, value, reference=reference)
    assert (judged, says) == (outcome, reason)


@pytest.mark.parametrize(
    ("requirement", "reference"), [(MINIMUM, None), (MAXIMUM, None), (VS_PUBLISHED, 0.5), (MAX_REGRESSION, 0.5)]
)
def test_nan_never_passes(requirement, reference):
    """A score that is NaN fails every requirement and says so."""
    outcome, _, reason = judge(requirement, float("nan"), reference=reference)
    assert outcome is Outcome.FAIL
    assert reason == f"{requirement.measure} is NaN: there is no score to compare."


@pytest.mark.parametrize(
    ("requirement", "reference", "bound"),
    [
        (MINIMUM, None, 0.48),
        (MAXIMUM, 0.9, 0.48),
        (VS_PUBLISHED, 0.5, 0.485),
        (Requirement(Kind.VS_PUBLISHED, MAIN_SCORE, 0.02), 0.5, 0.52),
        (MAX_REGRESSION, 0.5, 0.49),
    ],
)
def test_absolute_bound_adds_the_reference_to_relative_requirements(requirement, reference, bound):
    """The bound in a verdict is a score, whatever the requirement was relative to."""
    assert absolute_bound(requirement, reference) == pytest.approx(bound)
    assert judge(requirement, 0.3, reference=reference)[1] == pytest.approx(bound)


@given(value=fractions, reference=fractions, margin=st.floats(0, 0.9))
def test_regression_is_a_published_margin_with_the_other_sign(value, reference, margin):
    """``max_regression=x`` and ``vs_published=-x`` agree about the same reference."""
    drop = judge(Requirement(Kind.MAX_REGRESSION, MAIN_SCORE, margin), value, reference=reference)
    difference = judge(Requirement(Kind.VS_PUBLISHED, MAIN_SCORE, -margin), value, reference=reference)
    assert drop[:2] == difference[:2]


@given(value=fractions, bound=st.floats(0.01, 0.99))
def test_value_satisfies_minimum_or_maximum(value, bound):
    """No finite value fails a minimum and a maximum with the same bound."""
    outcomes = {judge(Requirement(kind, "f1", bound), value)[0] for kind in (Kind.MIN, Kind.MAX)}
    assert Outcome.PASS in outcomes


verdicts = st.builds(
    Verdict,
    model=texts,
    task=texts,
    requirement=texts,
    measure=texts,
    value=st.floats(allow_nan=False),
    bound=st.floats(allow_nan=False),
    outcome=st.sampled_from(Outcome),
    reason=texts,
    interval=st.none() | st.tuples(fractions, fractions),
    units=st.integers(0, 10**9),
    published=st.none() | fractions,
    baseline=st.none() | fractions,
    notes=st.lists(texts).map(tuple),
)


@given(verdicts)
def test_verdict_survives_json(verdict):
    """A verdict read from its JSON equals the verdict that was written, as xdist and reports need it."""
    assert Verdict.from_dict(json.loads(json.dumps(verdict.as_dict()))) == verdict


def test_outcome_is_plain_text_in_json():
    """Reports of others read ``pass``, ``fail`` or ``inconclusive``, not the name of a Python class."""
    verdict = Verdict("m", "t", "r", "f1", 0.5, 0.4, Outcome.INCONCLUSIVE, "because")
    assert type(verdict.as_dict()["outcome"]) is str
    assert json.loads(json.dumps(verdict.as_dict()))["outcome"] == "inconclusive"


@pytest.mark.parametrize(
    ("outcome", "passed"), [(Outcome.PASS, True), (Outcome.FAIL, False), (Outcome.INCONCLUSIVE, False)]
)
def test_only_a_pass_has_passed(outcome, passed):
    """Inconclusive is not a pass."""
    assert Verdict("m", "t", "r", "f1", 0.5, 0.4, outcome, "because").passed is passed


def test_labelled_changes_nothing_but_the_task():
    """A verdict under another task name keeps everything else."""
    verdict = Verdict("m", "t", "r", "f1", 0.5, 0.4, Outcome.PASS, "because", notes=("n",))
    labelled = verdict.labelled("t @256")
    assert labelled.task == "t @256"
    assert labelled.labelled("t") == verdict

"""The gate: only what can be compared is compared, with three outcomes and the units that got worse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pytest_embedqa.core.errors import BaselineError
from pytest_embedqa.core.evidence import Evidence
from pytest_embedqa.core.requirement import MAIN_SCORE, Kind, Requirement
from pytest_embedqa.core.verdict import Outcome
from pytest_embedqa.upgrade.gate import compare, gate_verdict, overall, worst

OLD = np.random.default_rng(5).random(300)
# Half of the queries gain what the other half loses.
SWING = np.tile([1.0, -1.0], 150)


def judged(before, after, margin=0.01):
    """Verdict of the gate."""
    return gate_verdict(Requirement(Kind.MAX_REGRESSION, MAIN_SCORE, margin), compare(before, after), "new")


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        (np.full(300, -0.05), Outcome.FAIL),
        (np.full(300, -0.005), Outcome.PASS),
        (np.full(300, 0.05), Outcome.PASS),
        (np.r_[np.full(3, -2.0), np.zeros(297)], Outcome.INCONCLUSIVE),
        (-0.015 + 0.3 * SWING, Outcome.INCONCLUSIVE),
    ],
    ids=["worse", "within the margin", "better", "three queries", "noise"],
)
def test_three_outcomes(queries, change, outcome):
    """A drop fails if it exceeds the margin and is significant; one that chance explains is unsure."""
    assert judged(queries(OLD), queries(OLD + change)).outcome is outcome


def test_inconclusive_says_what_would_have_been_seen(queries):
    """The reader learns how large a drop this test can see."""
    verdict = judged(queries(OLD), queries(OLD - 0.015 + 0.3 * SWING))
    assert f"only a drop of {verdict.change.smallest_drop:.4f} would have been seen" in verdict.reason


def test_pass_of_a_blunt_test_says_so(queries):
    """Where queries move by much, three hundred of them prove little about a point."""
    verdict = judged(queries(OLD), queries(OLD + 0.4 * SWING))
    assert verdict.passed
    assert verdict.notes == (f"300 queries do not rule out a drop of {-verdict.change.interval[0]:.4f}",)
    assert judged(queries(OLD), queries(OLD + 0.001)).notes == ()
    assert judged(queries(OLD), queries(OLD + 0.4 + 0.4 * SWING)).notes == ()


def test_without_units_the_margin_decides(queries):
    """A drop beyond it fails, and a note says that chance could not be told."""
    before, after = (queries(OLD, evidence=None, score=score) for score in (0.5, 0.4))
    verdict = judged(before, after)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.notes == ("no units: the margin alone decides",)


def test_nan_never_passes(queries):
    """A score that is none fails, whatever the margin."""
    verdict = judged(queries(OLD, evidence=None), queries(OLD, evidence=None, score=float("nan")), 0.99)
    assert verdict.outcome is Outcome.FAIL


OTHER = {
    "data": (lambda one: replace(one, data_revision="sha256:other"), "measured on the data sha256:1234, this run on sha256:other"),
    "metric": (lambda one: replace(one, metric="map_at_10"), "another task, or another version of mteb"),
    "type": (lambda one: replace(one, type="Reranking"), "another task, or another version of mteb"),
    "subsets": (lambda one: replace(one, parts={**one.parts, ("test", "de"): 0.5}), "only one side has test/de"),
    "fewer queries": (
        lambda one: replace(one, evidence=Evidence("mean", "queries", (replace(one.evidence.parts[0], ids=one.evidence.parts[0].ids[:200], values=OLD[:200]),))),
        "has 300 queries, this run 200, of which 200 are the same. Queries were added, removed or renamed",
    ),
    "other queries": (
        lambda one: replace(one, evidence=Evidence("mean", "queries", (replace(one.evidence.parts[0], ids=tuple(f"x{i}" for i in range(300))),))),
        "of which 0 are the same",
    ),
    "statistic": (lambda one: replace(one, evidence=replace(one.evidence, statistic="pearson")), "evidence has another form"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHER)
def test_what_is_not_the_same_is_not_compared(queries, name):
    """Each is an error that says what differs, never a pass: even where the new score is far better."""
    change, says = OTHER[name]
    with pytest.raises(BaselineError, match=says) as caught:
        compare(queries(OLD), change(replace(queries(OLD), score=0.99)))
    assert "new baseline" in str(caught.value)


def test_other_grades_are_not_compared(pairs):
    """The same number of pairs with other grades are other data."""
    with pytest.raises(BaselineError, match="grades or labels of the data have changed"):
        compare(pairs([0.1, 0.2, 0.3], [1, 2, 3]), pairs([0.1, 0.2, 0.3], [1, 2, 4]))


def test_another_version_of_the_scorer_is_a_note(queries):
    """The same data scored by other code can differ without any change of the model."""
    found = compare(queries(OLD, libraries={"mteb": "2.20.0"}), queries(OLD))
    assert found.notes == ("scored by mteb 2.26.24, the baseline by 2.20.0",)


def test_repetitions_are_not_called_units(queries):
    """Clusterings of the same texts say nothing about other texts."""
    one = queries(OLD)
    repeated = replace(one, evidence=replace(one.evidence, unit="clusterings"))
    assert "over 300 clusterings of the same texts, not over other texts" in compare(repeated, repeated).notes[0]


def test_worst_units_come_first_with_both_rankings(queries):
    """What was asked, what was found, and where the answer went."""
    first, second, *others = worst(queries([1.0, 1.0, 0.6, 0.2]), queries([0.9, 0.0, 0.4, 0.3]))
    assert [one.unit for one in (first, second)] == ["q1", "q2"]
    assert [one.unit for one in others] == ["q0"]
    assert (first.before, first.after, first.text, first.part) == (1.0, 0.0, "question q1", "test/default")
    assert (first.rank_before, first.rank_after) == (1, 0)
    assert first.found_before[0] == {"id": "d0", "text": "the answer", "relevant": True}
    assert [found["id"] for found in first.found_after] == ["d2", "d1"]


def test_worst_units_are_those_of_all_parts(queries):
    """The second part may hold what got worst."""

    def two(first, second):
        one = queries(first)
        units = one.evidence.parts[0]
        parts = (units, replace(units, subset="other", values=np.asarray(second, dtype=float)))
        return replace(one, evidence=replace(one.evidence, parts=parts))

    found = worst(two([1.0, 1.0], [1.0, 1.0]), two([0.9, 1.0], [1.0, 0.1]))
    assert [(one.part, one.unit) for one in found] == [("test/other", "q1"), ("test/default", "q0")]


def test_worst_pairs_are_those_that_left_their_place(pairs):
    """For graded pairs: the distance between the rank of the similarity and that of the grade."""
    (first, *_) = worst(pairs([1, 2, 3, 4], [1, 2, 3, 4]), pairs([4, 2, 3, 1], [1, 2, 3, 4]))
    assert first.unit in {"0", "3"}
    assert (first.before, first.after) == (0, -0.75)
    assert first.label is not None


def test_facts_count_which_way_units_went(queries):
    """Worse, better, and the parts, ready for a report."""
    facts = compare(queries([1.0, 1.0, 0.6, 0.2]), queries([0.9, 0.0, 0.6, 0.3])).as_dict()
    assert (facts["worse"], facts["better"], facts["change"]["units"]) == (2, 1, 4)
    assert facts["parts"] == [{"part": "test/default", "before": pytest.approx(0.7), "after": pytest.approx(0.45)}]


def test_many_comparisons_are_allowed_for(queries):
    """A drop that is just significant among twenty others that are not does not stand."""
    before = queries(OLD)
    marginal = judged(before, queries(OLD - 0.0193 + 0.145 * SWING), 0)
    assert marginal.outcome is Outcome.FAIL
    assert 0.01 < marginal.change.p_value < 0.05
    clear = judged(before, queries(OLD - 0.1))
    others = [judged(before, queries(OLD + 0.1 * SWING)) for _ in range(20)]
    facts = overall([marginal, clear, *others])
    assert facts["tasks"] == 22
    assert facts["failed"] == 2
    assert [task for task, _ in facts["significant"]] == ["Faq"]
    assert len(overall([marginal])["significant"]) == 1

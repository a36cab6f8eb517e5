"""The outcome of a requirement, with the facts it rests on."""

from __future__ import annotations

import enum
import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pytest_embedqa.core.requirement import Kind, Requirement
from pytest_embedqa.core.statistics import Difference


class Outcome(str, enum.Enum):
    """The outcomes of a requirement: a drop that exceeds its margin but is not significant is neither pass nor fail."""

    PASS = "pass"  # noqa: S105  not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Verdict:
    """A requirement that has been judged.

    Attributes:
        model: Short name of the encoder under test.
        task: Name of the task.
        requirement: The marker argument, e.g. ``min_ndcg_at_10=0.48``.
        measure: The metric that the requirement is about.
        value: The measured value.
        bound: Number that the value had to reach (min) or not exceed (max); absolute, never a difference.
        outcome: Pass, fail or inconclusive.
        reason: Explanation of the outcome, in a sentence.
        interval: 95 % confidence interval of the value, where the task has units to resample.
        units: Number of queries, pairs or sentences the value rests on; 0 if unknown.
        unit: Name of these units, in the plural.
        published: Published score of this model on this task, if known.
        baseline: Score to compare the value with: the baseline encoder's, or the same encoder's with whole vectors.
        change: Difference between value and ``baseline``, where both were measured on the same units.
        notes: Facts that a reader needs to read the value right (sampled, other data revision, …).
        digits: Decimals to show.
        kind: The way to read the bound.
    """

    model: str
    task: str
    requirement: str
    measure: str
    value: float
    bound: float
    outcome: Outcome
    reason: str
    interval: tuple[float, float] | None = None
    units: int = 0
    unit: str = "units"
    published: float | None = None
    baseline: float | None = None
    change: Difference | None = None
    notes: tuple[str, ...] = field(default=())
    digits: int = 4
    kind: Kind = Kind.MIN

    @classmethod
    def of(
        cls,
        requirement: Requirement,
        value: float,
        judged: tuple[Outcome, float, str],
        /,
        *,
        model: str,
        task: str,
        **more: Any,  # as the attributes
    ) -> Verdict:
        """Make the verdict on a requirement.

        Args:
            requirement: The promise.
            value: The measured value.
            judged: Outcome, absolute bound and reason, as ``judge`` gives them.
            model: Short name of the encoder under test.
            task: Name of the task.
            **more: Other attributes; ``requirement`` where the promise was written in other words, ``measure``
                where the metric has another name.
        """
        outcome, bound, reason = judged
        told = {"requirement": str(requirement), "measure": requirement.measure, **more}
        return cls(
            model=model,
            task=task,
            value=value,
            bound=bound,
            outcome=outcome,
            reason=reason,
            kind=requirement.kind,
            **told,
        )

    @property
    def passed(self) -> bool:
        """Whether the requirement holds."""
        return self.outcome is Outcome.PASS

    @property
    def at_most(self) -> bool:
        """Whether the bound is an upper bound."""
        return self.kind is Kind.MAX

    def labelled(self, task: str) -> Verdict:
        """Return the same verdict under another name of the task."""
        return replace(self, task=task)

    def as_dict(self) -> dict[str, Any]:
        """Return a plain dictionary for ``user_properties``, which survives JSON, xdist and JUnit."""
        return {**asdict(self), "outcome": self.outcome.value, "kind": self.kind.value}

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> Verdict:
        """Rebuild a verdict from the dictionary that ``as_dict`` returned."""
        interval, change = facts.get("interval"), facts.get("change")
        return cls(
            **{
                **facts,
                "outcome": Outcome(facts["outcome"]),
                "kind": Kind(facts["kind"]),
                "interval": tuple(interval) if interval else None,
                "change": Difference(**{**change, "interval": tuple(change["interval"])}) if change else None,
                "notes": tuple(facts.get("notes", ())),
            }
        )


def judge(requirement: Requirement, value: float, *, reference: float | None = None) -> tuple[Outcome, float, str]:
    """Compare a value with a requirement.

    Args:
        requirement: The promise.
        value: The measured value. NaN never passes.
        reference: The published or baseline score, where the requirement is relative to one.

    Returns:
        Outcome, the absolute bound, and the reason.
    """
    bound = absolute_bound(requirement, reference)
    if math.isnan(value):
        return Outcome.FAIL, bound, f"{requirement.measure} is NaN: there is no score to compare."
    at_most = requirement.kind is Kind.MAX
    # 0.8 - 0.1 is 0.7000000000000001; a value at its bound must still pass.
    holds = (value <= bound if at_most else value >= bound) or math.isclose(value, bound, abs_tol=1e-9)
    relation = ("at most" if at_most else "at least") if holds else ("above" if at_most else "below")
    digits = requirement.digits
    reason = f"{requirement.measure} {value:.{digits}f} is {relation} {bound:.{digits}f}"
    if requirement.kind is Kind.VS_PUBLISHED:
        reason += f" (published {reference:.4f}, allowed {requirement.bound:+g}, difference {value - bound + requirement.bound:+.4f})"
    elif requirement.kind is Kind.MAX_REGRESSION:
        reason += f" (baseline {reference:.4f}, allowed drop {requirement.bound:g}, difference {value - bound - requirement.bound:+.4f})"
    elif requirement.kind is Kind.MAX_LOSS:
        reason += f" (whole vectors {reference:.4f}, allowed loss {requirement.bound:g}, difference {value - bound - requirement.bound:+.4f})"
    elif not holds:
        reason += f", off by {abs(value - bound):.{digits}f}"
    return (Outcome.PASS if holds else Outcome.FAIL), bound, reason + "."


def judge_drop(
    requirement: Requirement, value: float, reference: float, change: Difference | None
) -> tuple[Outcome, float, str]:
    """Compare a value with a reference: a drop fails if it exceeds its margin and is significant.

    Args:
        requirement: The allowed drop.
        value: The measured value. NaN never passes.
        reference: The score that the value must not fall far below.
        change: The difference on the same units. Without it chance can't be told from a drop, and the margin decides.

    Returns:
        Outcome, the absolute bound, and the reason.
    """
    outcome, bound, reason = judge(requirement, value, reference=reference)
    if change is None or math.isnan(value):
        return outcome, bound, reason
    low, high = change.interval
    reason = f"{reason[:-1]}; 95 % interval of the difference {low:+.4f} to {high:+.4f}."
    if outcome is Outcome.FAIL and not change.is_drop:
        outcome = Outcome.INCONCLUSIVE
        reason = (
            f"{reason[:-1]}, which chance explains: only a drop of {change.smallest_drop:.4f} would have been seen."
        )
    return outcome, bound, reason


def absolute_bound(requirement: Requirement, reference: float | None) -> float:
    """Return the bound as a score: a relative requirement adds its reference."""
    if requirement.kind is Kind.VS_PUBLISHED:
        assert reference is not None  # noqa: S101  the caller raises PublishedScoreError before
        return reference + requirement.bound
    if requirement.kind in {Kind.MAX_REGRESSION, Kind.MAX_LOSS}:
        assert reference is not None  # noqa: S101
        return reference - requirement.bound
    return requirement.bound

"""The gate: a new score against the baseline's on the same units, with the units that got worse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pytest_embedqa.core.errors import BaselineError
from pytest_embedqa.core.evaluation import Evaluation
from pytest_embedqa.core.evidence import Exhibit, Units
from pytest_embedqa.core.measures import Floats
from pytest_embedqa.core.requirement import Kind, Requirement
from pytest_embedqa.core.statistics import ALPHA, MOVED, Difference, difference, holm
from pytest_embedqa.core.verdict import Outcome, Verdict, judge_drop
from pytest_embedqa.upgrade.evaluation_facts import RANKED, SHOWN

# Number of units kept of those that got worse most.
WORST = 10
# Share of the candidates that two rerankers must have in common. On another processor the last few of a first stage's list may
# change places with the next.
_SAME_CANDIDATES = 0.99


@dataclass(frozen=True)
class Moved:
    """A unit whose score got worse.

    Attributes:
        part: Split and subset of the unit.
        unit: Id of the unit.
        text: Text of the unit, cut.
        before: Earlier score; for pairs, minus the distance of the pair's rank from its grade's rank, as a share.
        after: The same for the new score.
        label: Grade or class of a pair.
        found_before: First documents found before, each with ``id``, ``text`` and whether it is ``relevant``.
        found_after: First documents found now.
        rank_before: Rank of the first relevant document before; 0 if beyond the first ten; ``None`` without rankings.
        rank_after: Rank of the first relevant document now.
    """

    part: str
    unit: str
    text: str
    before: float
    after: float
    label: float | None = None
    found_before: tuple[dict[str, Any], ...] = ()
    found_after: tuple[dict[str, Any], ...] = ()
    rank_before: int | None = None
    rank_after: int | None = None


@dataclass(frozen=True)
class Comparison:
    """A comparison of two evaluations of the same subject.

    Attributes:
        before: Evaluation of the baseline's encoder.
        after: Evaluation of the encoder under test.
        change: The difference with its certainty; ``None`` if the task has no units.
        notes: Facts that a reader needs to read the comparison right.
    """

    before: Evaluation
    after: Evaluation
    change: Difference | None
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for a report, JSON-serialisable."""
        return {
            "task": self.after.subject.label,
            "subject": str(self.after.subject),
            "measure": self.after.metric,
            "before": self.before.score,
            "after": self.after.score,
            "change": asdict(self.change) if self.change else None,
            "parts": [
                {"part": "/".join(part), "before": self.before.parts[part], "after": score}
                for part, score in self.after.parts.items()
                if part in self.before.parts
            ],
            "worst": [asdict(one) for one in worst(self.before, self.after)],
            "better": self._count(1),
            "worse": self._count(-1),
            "notes": list(self.notes),
        }

    def _count(self, sign: int) -> int:
        """Count the units that changed for the better (1) or for the worse (-1)."""
        return sum(int((sign * gains > MOVED).sum()) for _, gains in _gains(self.before, self.after))


def compare(before: Evaluation, after: Evaluation) -> Comparison:
    """Compare two evaluations.

    Raises:
        BaselineError: If they were made on different data, so that a difference would say nothing.
    """
    _require_same_data(before, after)
    _require_same_candidates(before, after)
    both = before.evidence and after.evidence
    change = difference(before.evidence, after.evidence) if before.evidence and after.evidence else None
    return Comparison(
        before, after, change, tuple(_notes(before, after) if both else ["no units: the margin alone decides"])
    )


def _require_same_data(before: Evaluation, after: Evaluation) -> None:
    what = str(after.subject)
    if before.type != after.type or before.metric != after.metric:
        raise BaselineError(
            f"{what}: the baseline has {before.metric} ({before.type}), and this run has {after.metric} ({after.type}): "
            "that is another task, or another version of mteb. Make a new baseline."
        )
    if before.data_revision != after.data_revision:
        raise BaselineError(
            f"{what}: the baseline was measured on the data {_short(before.data_revision)}, this run on {_short(after.data_revision)}. "
            "Evaluate on the same data, or make a new baseline on this data."
        )
    if set(before.parts) != set(after.parts):
        differ = ", ".join("/".join(part) for part in sorted(set(before.parts) ^ set(after.parts)))
        raise BaselineError(f"{what}: only one side has {differ}. Make a new baseline.")
    if before.evidence is None or after.evidence is None:
        return
    for old, new in zip(before.evidence.parts, after.evidence.parts, strict=False):
        if old.ids != new.ids:
            raise BaselineError(
                f"{what}: the baseline has {len(old.ids):,} {before.evidence.unit}, this run {len(new.ids):,}, of which {len(set(old.ids) & set(new.ids)):,} are the same. "
                "Queries were added, removed or renamed: make a new baseline."
            )
        if old.labels is not None and not np.array_equal(old.labels, new.labels if new.labels is not None else []):
            raise BaselineError(f"{what}: grades or labels of the data have changed. Make a new baseline.")
    if len(before.evidence.parts) != len(after.evidence.parts) or before.evidence.statistic != after.evidence.statistic:
        raise BaselineError(f"{what}: the baseline's evidence has another form. Make a new baseline.")


def _require_same_candidates(before: Evaluation, after: Evaluation) -> None:
    """Refuse to compare two rerankers on different candidates; two first stages before one reranker find others."""
    one_reranker = before.stages.get("reranker") == after.stages.get("reranker")
    share = _shared_candidates(before, after)
    if not after.subject.top_k or share >= _SAME_CANDIDATES or (after.subject.first_stage is None and one_reranker):
        return
    raise BaselineError(
        f"{after.subject}: the baseline's reranker saw other candidates: {share:.1%} of them are the same. Two rerankers can be compared only "
        "behind the same first stage: take the one of the baseline, or make the baseline anew with this one."
    )


def _shared_candidates(before: Evaluation, after: Evaluation) -> float:
    """Return the share of the candidates, over all queries, that both evaluations have."""
    total = common = 0
    for part in before.candidates.keys() | after.candidates.keys():
        old, new = before.candidates.get(part, {}), after.candidates.get(part, {})
        for query in old.keys() | new.keys():
            first, second = set(old.get(query, ())), set(new.get(query, ()))
            total += len(first | second)
            common += len(first & second)
    return common / total if total else 1.0


def _notes(before: Evaluation, after: Evaluation) -> Iterator[str]:
    for name, version in after.libraries.items():
        if before.libraries.get(name) != version:
            yield f"scored by {name} {version}, the baseline by {before.libraries.get(name, 'another')}"
    if after.candidates and before.candidates and (share := _shared_candidates(before, after)) < 1:
        yield f"{share:.1%} of the candidates are those of the baseline"
    evidence = after.evidence
    if evidence and evidence.unit in {"clusterings", "experiments"}:
        yield f"the interval is over {evidence.count} {evidence.unit} of the same texts, not over other texts"


def _short(revision: str) -> str:
    return revision if len(revision) < 24 else f"{revision[:19]}…"  # noqa: PLR2004  a digest


def gate_verdict(requirement: Requirement, comparison: Comparison, model: str) -> Verdict:
    """Judge an allowed drop (``max_regression``).

    Args:
        requirement: The allowed drop.
        comparison: The new score against the old.
        model: Short name of the encoder under test.
    """
    after, change = comparison.after, comparison.change
    judged = judge_drop(requirement, after.score, comparison.before.score, change)
    notes = comparison.notes
    if change and judged[0] is Outcome.PASS and change.interval[0] < -requirement.bound - MOVED:
        notes = (*notes, f"{change.units:,} {change.unit} do not rule out a drop of {-change.interval[0]:.4f}")
    return Verdict.of(
        requirement,
        after.score,
        judged,
        model=model,
        task=after.subject.label,
        measure=after.metric,
        units=change.units if change else 0,
        unit=change.unit if change else "units",
        baseline=comparison.before.score,
        change=change,
        notes=notes,
    )


def worst(before: Evaluation, after: Evaluation, count: int = WORST) -> list[Moved]:
    """Return the units that got worse most, the worst first."""
    found = [
        (gain, old, new, row)
        for (old, new), gains in _gains(before, after)
        for row in np.argsort(gains, kind="stable")[:count]
        if (gain := float(gains[row])) < -MOVED
    ]
    found.sort(key=lambda one: one[0])
    return [_moved(before, after, old, new, int(row)) for _, old, new, row in found[:count]]


def _gains(before: Evaluation, after: Evaluation) -> Iterator[tuple[tuple[Units, Units], Floats]]:
    if before.evidence and after.evidence:
        for old, new in zip(before.evidence.parts, after.evidence.parts, strict=True):
            yield (old, new), after.evidence.merits(new) - before.evidence.merits(old)


def _moved(before: Evaluation, after: Evaluation, old: Units, new: Units, row: int) -> Moved:
    assert before.evidence  # noqa: S101  there are units
    assert after.evidence  # noqa: S101
    part, unit = (new.split, new.subset), new.ids[row]
    was, now = before.exhibits.get(part, Exhibit()), after.exhibits.get(part, Exhibit())
    return Moved(
        part="/".join(part),
        unit=unit,
        text=now.texts.get(unit) or was.texts.get(unit, ""),
        before=float(before.evidence.merits(old)[row]),
        after=float(after.evidence.merits(new)[row]),
        label=None if new.labels is None else float(new.labels[row]),
        found_before=_found(was, now, unit),
        found_after=_found(now, was, unit),
        rank_before=_rank(was, unit),
        rank_after=_rank(now, unit),
    )


def _found(exhibit: Exhibit, other: Exhibit, unit: str) -> tuple[dict[str, Any], ...]:
    relevant = set(exhibit.relevant.get(unit, ()))
    return tuple(
        {
            "id": document,
            "text": exhibit.documents.get(document) or other.documents.get(document, ""),
            "relevant": document in relevant,
        }
        for document in exhibit.rankings.get(unit, ())[:SHOWN]
    )


def _rank(exhibit: Exhibit, unit: str) -> int | None:
    if unit not in exhibit.rankings:
        return None
    relevant = set(exhibit.relevant.get(unit, ()))
    found = exhibit.rankings[unit][:RANKED]
    return next((place for place, document in enumerate(found, 1) if document in relevant), 0)


def overall(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Combine all tasks: count the drops that stand after a correction for many comparisons (Holm).

    Args:
        verdicts: Gate verdicts, a verdict for each task.
    """
    judged = [verdict for verdict in verdicts if verdict.change]
    adjusted = holm([verdict.change.p_value for verdict in judged if verdict.change])
    stand = [
        (verdict.task, p_value)
        for verdict, p_value in zip(judged, adjusted, strict=True)
        if p_value < ALPHA and verdict.outcome is Outcome.FAIL
    ]
    count = {outcome: sum(verdict.outcome is outcome for verdict in verdicts) for outcome in Outcome}
    return {
        "tasks": len(verdicts),
        "failed": count[Outcome.FAIL],
        "inconclusive": count[Outcome.INCONCLUSIVE],
        "significant": stand,
    }


def is_gate(verdict: Verdict) -> bool:
    """Return whether a verdict comes from the gate."""
    return verdict.kind is Kind.MAX_REGRESSION

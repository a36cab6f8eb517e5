"""Results of a diagnosis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from pytest_embedqa.diagnosis.published import Standing


@dataclass(frozen=True)
class LikelyCause:
    """A cause of a low score.

    Attributes:
        cause: The fault, e.g. ``query prompt is missing``.
        evidence: The change that was made, and the points that it recovered.
        advice: Advice to the user.
        recovered: Points of the measure that undoing the fault gave back on the slice.
    """

    cause: str
    evidence: str
    advice: str
    recovered: float

    def __str__(self) -> str:
        """Return cause, evidence and advice, a sentence each."""
        return f"{self.cause}: {self.evidence}. {self.advice}"


@dataclass(frozen=True)
class Observation:
    """A change that raises the score but is no cause: the model's own files ask for the present set-up, or say nothing.

    Attributes:
        evidence: The change that was made, and the points that it gained.
        reason: Reason why it is no advice.
        gained: Points of the measure that the change gained on the slice.
    """

    evidence: str
    reason: str
    gained: float

    def __str__(self) -> str:
        """Return evidence and reason, a sentence each."""
        return f"observed, no advice: {self.evidence}. {self.reason}"


@dataclass(frozen=True)
class Diagnosis:
    """The explanation of a low score. ``dataclasses.asdict`` of it can be written as JSON.

    Attributes:
        findings: Causes, the likely one first; empty if no cause is sure.
        score: The measure on the slice with the encoder as it is; ``None`` if it was not measured.
        measure: ``ndcg_at_10`` or ``spearman``.
        units: Number and name of the units, e.g. ``60 queries``.
        tried: Points that each change recovered, even if chance can explain them; a change without effect on a
            part of the slice was tried on that part only.
        not_tried: Changes that were not tried, with the reasons.
        seen: Facts that may matter and that no change here can alter.
        seconds: Wall time of the diagnosis.
        observations: Changes that raise the score but are no advice; empty if there is a cause.
        standing: The whole task's score beside the published score; ``None`` if no published score is comparable.
    """

    findings: tuple[LikelyCause, ...]
    score: float | None
    measure: str
    units: str
    tried: Mapping[str, float] = field(default_factory=dict)
    not_tried: Mapping[str, str] = field(default_factory=dict)
    seen: tuple[str, ...] = ()
    seconds: float = 0.0
    observations: tuple[Observation, ...] = ()
    standing: Standing | None = None

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Diagnosis:
        """Rebuild a diagnosis from what ``dataclasses.asdict`` returned; unknown keys are ignored."""
        told = {one.name: facts[one.name] for one in fields(cls) if one.name in facts}
        told["findings"] = tuple(LikelyCause(**one) for one in facts["findings"])
        told["observations"] = tuple(Observation(**one) for one in facts.get("observations", ()))
        told["standing"] = Standing(**facts["standing"]) if facts.get("standing") else None
        return cls(**told)

    @property
    def is_as_published(self) -> bool:
        """Whether the encoder reaches the published score of its model, so that its set-up is sound."""
        return self.standing is not None and self.standing.is_reached and not self.findings

    @property
    def lines(self) -> list[str]:
        """Lines of a failure text."""
        reasons: dict[str, list[str]] = {}
        for what, why in self.not_tried.items():
            reasons.setdefault(why, []).append(what)
        return [
            *(map(str, self.findings) if self.findings else self.without_cause),
            *self.seen,
            *(f"not tried, {why}: {', '.join(some)}." for why, some in reasons.items()),
        ]

    @property
    def without_cause(self) -> list[str]:
        """Lines for a diagnosis that names no cause."""
        if self.is_as_published and self.standing:
            if self.standing.is_equal or not self.standing.interval:
                return [f"set up as published ({self.standing}); this model scores no more here."]
            low, high = self.standing.interval
            return [
                f"taken as set up as published: {self.standing}, within the 95 % interval {low:.4f} to {high:.4f} of this score."
            ]
        if self.observations:
            return ["no cause is sure.", *map(str, self.observations)]
        found = f"{self.measure} {self.score:.3f} on {self.units}" if self.score is not None else "nothing measured"
        return [f"nothing that was tried recovers more than chance ({found}){self._most()}."]

    def _most(self) -> str:
        """Describe the largest recovery: with few queries even a real cause can't be told from chance."""
        if not self.tried:
            return ""
        best = max(self.tried, key=lambda change: self.tried[change])
        others = len(self.tried) - 1
        if self.tried[best] <= 0:
            return f"; {'each of ' if others else ''}{len(self.tried)} {'changes' if others else 'change'} left it as it is or lowered it"
        less = f", {others} other {'changes' if others > 1 else 'change'} less" if others else ""
        return f"; the most: {self.tried[best]:+.3f} {best}{less}"


def diagnosis_facts(model: str, task: str, diagnosis: Diagnosis) -> dict[str, Any]:
    """Return the explanation of a task's low score, JSON-serialisable."""
    return {"model": model, "task": task, **asdict(diagnosis)}

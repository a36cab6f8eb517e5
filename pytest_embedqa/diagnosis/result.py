"""What a diagnosis says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One cause of a low score.

    Attributes:
        cause: What is wrong, e.g. ``query prompt is missing``.
        evidence: What was changed and what that recovered.
        advice: What to do.
        recovered: Points of the measure that undoing it gave back on the slice.
    """

    cause: str
    evidence: str
    advice: str
    recovered: float

    def __str__(self) -> str:
        """One sentence of each."""
        return f"{self.cause}: {self.evidence}. {self.advice}"


@dataclass(frozen=True)
class Diagnosis:
    """Why a score is low. ``dataclasses.asdict`` of it can be written as JSON.

    Attributes:
        findings: Causes, the likely one first; empty if nothing recovers more than chance.
        score: The measure on the slice as the encoder is; ``None`` if the time did not suffice for it.
        measure: ``ndcg_at_10`` or ``spearman``.
        units: What was scored on, e.g. ``60 queries``.
        tried: Points that each change recovered, also where chance can explain them; a change that did nothing on a
            part of the slice was tried on that part only.
        not_tried: Changes that were not tried, and why.
        seen: Facts that may matter and that nothing here can change.
        seconds: Wall time it took.
    """

    findings: tuple[Finding, ...]
    score: float | None
    measure: str
    units: str
    tried: Mapping[str, float] = field(default_factory=dict)
    not_tried: Mapping[str, str] = field(default_factory=dict)
    seen: tuple[str, ...] = ()
    seconds: float = 0.0

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Diagnosis:
        """The diagnosis that ``dataclasses.asdict`` wrote; what else stands there is left alone."""
        told = {one.name: facts[one.name] for one in fields(cls) if one.name in facts}
        return cls(**{**told, "findings": tuple(Finding(**one) for one in facts["findings"])})

    @property
    def lines(self) -> list[str]:
        """What a failure text shows, a line each."""
        causes = [str(finding) for finding in self.findings]
        if not causes:
            found = f"{self.measure} {self.score:.3f} on {self.units}" if self.score is not None else "nothing measured"
            causes = [f"nothing that was tried recovers more than chance ({found}){self._most()}."]
        reasons: dict[str, list[str]] = {}
        for what, why in self.not_tried.items():
            reasons.setdefault(why, []).append(what)
        return [*causes, *self.seen, *(f"not tried, {why}: {', '.join(some)}." for why, some in reasons.items())]

    def _most(self) -> str:
        """What came nearest: with few queries even a real cause can't be told from chance."""
        if not self.tried:
            return ""
        best = max(self.tried, key=lambda change: self.tried[change])
        others = f", {len(self.tried) - 1} other changes less" if len(self.tried) > 1 else ""
        return f"; the most: {self.tried[best]:+.3f} {best}{others}"

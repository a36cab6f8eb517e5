"""The wording of an invariant's failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_embedqa.encoders.wording import identity_line

if TYPE_CHECKING:
    from pytest_embedqa.core.verdict import Verdict
    from pytest_embedqa.encoders.encoder import Encoder
    from pytest_embedqa.encoders.reranker import Reranker
    from pytest_embedqa.invariants.invariant import Finding, Invariant


def invariant_failure_text(verdict: Verdict, invariant: Invariant, finding: Finding, model: Encoder | Reranker) -> str:
    """Say what does not hold, the example that shows it, and where the fault was seen before."""
    lines = [f"{verdict.task}: {verdict.reason}", f"  promised   {invariant.promise}"]
    if finding.example:
        lines.append(f"  seen       {finding.example:.500}")
    lines += [f"  note       {note}" for note in finding.notes]
    lines.append(
        f"  {'reranker' if model.kind == 'reranker' else 'encoder ':<10} {identity_line(model.identity.as_dict())}"
    )
    lines.append(f"  known from {invariant.source}")
    lines.append(
        f'  try        if this model is meant to be so: expected_failures={{"{invariant.name}": "why"}}, or bounds={{"{invariant.name}": ...}}.'
    )
    return "\n".join(lines)

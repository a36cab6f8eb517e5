"""The facts of a speed measurement, and the wording of its failure."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pytest_embedqa.encoders.wording import identity_line

if TYPE_CHECKING:
    from pytest_embedqa.core.verdict import Verdict
    from pytest_embedqa.speed.measuring import SpeedResult


def speed_facts(result: SpeedResult) -> dict[str, Any]:
    """Return the measured figures, JSON-serialisable."""
    return {"model": str(result.encoder.spec), **asdict(result.details)}


def speed_failure_text(failed: list[Verdict], result: SpeedResult) -> str:
    """Say what was measured, how often, and on what."""
    speed = result.details
    lines = [f"{verdict.task}: {verdict.reason}" for verdict in failed]
    lines.append("  measured   " + ", ".join(f"{name} {value:,.2f}" for name, value in speed.figures.items()))
    each = f"each with {speed.batch_size} documents, " if speed.unit == "pairs" else ""
    lines.append(
        f"  on         {speed.rounds} rounds in batches of {speed.batch_size}, {speed.calls} single queries, {each}{speed.unit} of {speed.length} tokens"
    )
    lines += [f"  note       {note}" for note in speed.notes]
    lines.append(f"  encoder    {identity_line(result.encoder.identity.as_dict())}")
    lines.append(
        "  try        the same test with the old model, or min_ratio= against it: both in one run, on one machine."
    )
    return "\n".join(lines)

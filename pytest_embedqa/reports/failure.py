"""The text of a failed quality test: what was measured, what was promised, what to try."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pytest_embedqa.core.requirement import Kind
from pytest_embedqa.encoders.wording import identity_line, prompts_line
from pytest_embedqa.quality.published import OFF_THE_LEADERBOARD
from pytest_embedqa.quality.task import TOKENS_LOST, TRUNCATED
from pytest_embedqa.reports.terminal import strata_lines
from pytest_embedqa.upgrade import wording as upgrade
from pytest_embedqa.upgrade.gate import is_gate

if TYPE_CHECKING:
    from pytest_embedqa.core.verdict import Verdict
    from pytest_embedqa.encoders.encoder import Encoder
    from pytest_embedqa.engine_parity.comparison import ParityResult
    from pytest_embedqa.invariants.invariant import Finding, Invariant
    from pytest_embedqa.quality.task import TaskResult
    from pytest_embedqa.speed.measuring import SpeedResult

_MOST_LINES, _MOST_CAUSES, _MOST_DIFFERENCES = 20, 4, 5


def failure_text(
    failed: list[Verdict],
    verdicts: list[Verdict],
    result: TaskResult,
    upgrades: Sequence[dict[str, Any]] = (),
    causes: Sequence[str] = (),
) -> str:
    """At most sixteen lines.

    Args:
        failed: What does not hold.
        verdicts: All that was judged.
        result: The task's result.
        upgrades: Its comparisons with the baseline.
        causes: What a diagnosis found, the likely cause first.
    """
    lines = [f"{verdict.task}: {verdict.reason}" for verdict in failed[:4]]
    if len(failed) > len(lines):
        lines.append(f"… and {len(failed) - len(lines)} more requirements that do not hold.")
    first = failed[0]
    lines.append(f"  promised   {', '.join(dict.fromkeys(verdict.requirement for verdict in verdicts))}")
    if first.interval:
        low, high = first.interval
        lines.append(f"  certainty  95 % interval {low:.4f} to {high:.4f} over {first.units:,} {first.unit}")
    lines += [
        f"  saves      {point.saved:.0%}: {point.bytes:,} bytes a vector instead of {result.curve[0].bytes:,}"
        for point in result.curve
        if first.task == f"{result.query.name} {point.label}"
    ]
    for facts in upgrades:
        if facts["change"] and any(
            is_gate(verdict) and verdict.task == facts["task"] and verdict.value == facts["after"] for verdict in failed
        ):
            lines.append(f"  changed    {upgrade.counts_line(facts)}")
            lines += [f"  part       {line}" for line in list(upgrade.part_lines(facts))[:2]]
            lines += [f"  worst      {line}" for line in upgrade.short_lines(facts)]
            shown, more = facts["differences"][:_MOST_DIFFERENCES], len(facts["differences"]) - _MOST_DIFFERENCES
            lines += [f"  differs    {line}" for line in shown]
            lines += [f"  differs    and {more} more: embedqa compare shows all"] if more > 0 else []
            break
    lines += [f"  note       {note}" for note in first.notes[:2]]
    lines.append(f"  encoder    {identity_line(result.identity.as_dict())}")
    lines.append(f"  prompts    {prompts_line(result.encoder.prompts.origin, result.identity.prompts)}")
    cut = result.details.truncation
    if cut.lost:
        lines.append(
            f"  truncated  {cut.share:.1%} of {cut.texts:,} texts; {cut.lost_share:.1%} of the tokens are never seen"
        )
    lines = lines[:_MOST_LINES]
    lines += [f"  {'cause' if number == 0 else '':<10} {cause}" for number, cause in enumerate(causes[:_MOST_CAUSES])]
    return "\n".join([*lines, f"  try        {_advice(first)}"])


def parity_failure_text(failed: list[Verdict], result: ParityResult, causes: list[str]) -> str:
    """What broke first, why, and how far each sort of text is off."""
    comparison = result.comparison
    first = comparison.strata[0]
    lines = [f"{verdict.task}: {verdict.reason}" for verdict in failed]
    lines.append(f"  worst      {first.name}, batch size {first.batch_size}: {first.text!r:.60}")
    lines += [f"  cause      {cause}" for cause in causes] or ["  cause      none was found"]
    lines += [f"  note       {note}" for note in comparison.notes]
    lines += [f"  {line}" for line in strata_lines(asdict(comparison))]
    lines.append(f"  encoder    {identity_line(result.encoder.identity.as_dict())}")
    lines.append(f"  reference  {identity_line(result.reference().identity.as_dict())}")
    return "\n".join(lines)


def invariant_failure_text(verdict: Verdict, invariant: Invariant, finding: Finding, encoder: Encoder) -> str:
    """What does not hold, what shows it, and where it was seen before."""
    lines = [f"{verdict.task}: {verdict.reason}", f"  promised   {invariant.promise}"]
    if finding.example:
        lines.append(f"  seen       {finding.example:.500}")
    lines += [f"  note       {note}" for note in finding.notes]
    lines.append(f"  encoder    {identity_line(encoder.identity.as_dict())}")
    lines.append(f"  known from {invariant.source}")
    lines.append(
        f'  try        if this model is meant to be so: expected_failures={{"{invariant.name}": "why"}}, or bounds={{"{invariant.name}": ...}}.'
    )
    return "\n".join(lines)


def speed_failure_text(failed: list[Verdict], result: SpeedResult) -> str:
    """What was measured, how often, and on what."""
    speed = result.details
    lines = [f"{verdict.task}: {verdict.reason}" for verdict in failed]
    lines.append("  measured   " + ", ".join(f"{name} {value:,.2f}" for name, value in speed.figures.items()))
    lines.append(
        f"  on         {speed.rounds} rounds in batches of {speed.batch_size}, {speed.calls} single queries, texts of {speed.length} tokens"
    )
    lines += [f"  note       {note}" for note in speed.notes]
    lines.append(f"  encoder    {identity_line(result.encoder.identity.as_dict())}")
    lines.append(
        "  try        the same test with the old model, or min_ratio= against it: both in one run, on one machine."
    )
    return "\n".join(lines)


def _advice(verdict: Verdict) -> str:
    published = verdict.published
    if verdict.measure in {TRUNCATED, TOKENS_LOST}:
        return "raise max_length= in the spec if the model takes more, split the texts, or allow more."
    if verdict.requirement.startswith(Kind.MAX_LOSS.value):
        return "keep more dimensions or a finer precision, rescore=, or a model that was trained for it (Matryoshka)."
    if verdict.requirement.startswith(Kind.MAX_REGRESSION.value):
        return "keep the baseline's model; if this drop is acceptable, raise max_regression=, or save a new baseline."
    if published is not None and verdict.value < published - OFF_THE_LEADERBOARD:
        return f"the published model scores {published:.4f}: compare prompts, pooling, normalisation, max length and dtype above with the model card."
    if published is not None and verdict.bound > published:
        return (
            f"the published score of this model is {published:.4f}, below the bound: another model, or a lower bound."
        )
    return "if the model or its settings changed, compare with the old ones: --embedqa-model OLD --embedqa-model NEW."

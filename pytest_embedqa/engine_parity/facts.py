"""The facts of a comparison of two encoders, and the wording of its failure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pytest_embedqa.encoders.wording import identity_line

if TYPE_CHECKING:
    from pytest_embedqa.core.verdict import Verdict
    from pytest_embedqa.engine_parity.comparison import ParityResult


def parity_facts(result: ParityResult) -> dict[str, Any]:
    """Return the facts of a comparison, JSON-serialisable."""
    return {
        "model": str(result.encoder.spec),
        "reference": str(result.reference().spec),
        **asdict(result.comparison),
    }


# Even in float32, rounding differs between batches in the sixth decimal.
_BATCHES_DIFFER = 1e-5


def strata_lines(facts: Mapping[str, Any]) -> list[str]:
    """Return the agreement by kind of text, the worst first, and by batch size where that makes a difference."""
    worst = f"worst {facts.get('by', 'cosine')}"
    lines = [f"{'texts':<20} {'n':>3} {worst:>13} {'mean':>8} {'overlap@10':>10} {'worst at batch':>14}"]
    lines += [
        f"{one['name']:<20} {one['texts']:>3} {one['worst']:>13.6f} {one['mean']:>8.5f} {one['overlap']:>10.3f} {one['batch_size']:>14}"
        for one in facts["strata"]
    ]
    by_size = facts["worst_by_batch_size"]
    if max(by_size.values()) - min(by_size.values()) > _BATCHES_DIFFER:
        lines.append("worst by batch size: " + ", ".join(f"{size}: {worst:.6f}" for size, worst in by_size.items()))
    return lines


def parity_failure_text(failed: list[Verdict], result: ParityResult, causes: list[str]) -> str:
    """Say what broke first, why, and how far off each kind of text is."""
    comparison = result.comparison
    first = comparison.strata[0]
    lines = [f"{verdict.task}: {verdict.reason}" for verdict in failed]
    lines.append(f"  worst      {first.name}, batch size {first.batch_size}: {first.text!r:.60}")
    lines += [f"  cause      {cause}" for cause in causes] or ["  cause      none was found"]
    lines += [f"  note       {note}" for note in comparison.notes]
    lines += [f"  {line}" for line in strata_lines(asdict(comparison))]
    lines.append(
        f"  {'reranker' if result.encoder.kind == 'reranker' else 'encoder':<10} {identity_line(result.encoder.identity.as_dict())}"
    )
    lines.append(f"  reference  {identity_line(result.reference().identity.as_dict())}")
    return "\n".join(lines)

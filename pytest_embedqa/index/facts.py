"""The facts of an index that was measured, and the wording of its failure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pytest_embedqa.core.verdict import Verdict
from pytest_embedqa.index.losses import losses
from pytest_embedqa.index.result import IndexResult


def index_facts(result: IndexResult, model: str) -> dict[str, Any]:
    """Return the facts of an index, JSON-serialisable."""
    return {
        "model": model,
        "index": result.index,
        "task": result.data.name,
        "rows": len(result.data.ids),
        "queries": len(result.data.query_ids),
        "k": result.k,
        "states": [{"name": state.name, "short": state.short, **result.measures(state)} for state in result.states],
        "curve": [asdict(point) for point in result.curve],
        "notes": list(result.notes),
    }


def index_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """Return the lines of an index for a terminal."""
    k = facts["k"]
    yield f"{facts['index']} on {facts['task']}: {facts['rows']:,} rows, {facts['queries']:,} queries"
    yield f"{'state':<34} {f'recall@{k}':>10} {'worst 10 %':>10} {'ndcg lost':>9} {'p50 ms':>8} {'p95 ms':>8} {'short':>6}"
    for one in facts["states"]:
        loss = f"{one['ndcg_loss']:.4f}" if "ndcg_loss" in one else "–"
        yield (
            f"{one['name'] or 'built':<34} {one[f'recall_at_{k}']:>10.4f} {one['worst_decile']:>10.4f} {loss:>9} "
            f"{_ms(one, 'p50_ms')} {_ms(one, 'p95_ms')} {one['short']:>6}"
        )
    for point in facts["curve"]:
        yield f"{point['setting'] + '=' + point['value']:<34} {point['recall']:>10.4f} {'':>10} {'':>9} {point['p50_ms']:>8.2f}"


def _ms(state: Mapping[str, Any], measure: str) -> str:
    return f"{state[measure]:>8.2f}" if measure in state else f"{'–':>8}"


def index_failure_text(failed: Sequence[Verdict], result: IndexResult, causes: Sequence[str], model: str) -> str:
    """Say which bound broke, why, and what the index did in each state."""
    lines = [f"{verdict.task}: {verdict.reason}" for verdict in failed]
    lines += [f"  cause      {cause}" for cause in causes]
    lines += [f"  lost       {one}" for one in losses(result)]
    notes = dict.fromkeys([note for verdict in failed for note in verdict.notes] + list(result.notes))
    lines += [f"  note       {note}" for note in notes]
    lines += [f"  {line}" for line in index_lines(index_facts(result, model))]
    return "\n".join(lines)

"""Facts that the evaluation of a task gives to reports, and the text of its failure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pytest_embedqa.core.requirement import MAIN_SCORE, Kind
from pytest_embedqa.encoders.wording import encoder_facts, identity_line, max_lengths, prompts_line
from pytest_embedqa.quality.published import OFF_THE_LEADERBOARD
from pytest_embedqa.quality.retrievers.system import KIND as RETRIEVER
from pytest_embedqa.quality.task import TOKENS_LOST, TRUNCATED

if TYPE_CHECKING:
    from pytest_embedqa.core.verdict import Verdict
    from pytest_embedqa.quality.task import TaskResult


def task_facts(result: TaskResult) -> dict[str, Any]:
    """Return the facts and the scores of a task, part by part, JSON-serialisable."""
    scores = result.details
    metric = scores.metric(MAIN_SCORE)
    return {
        "model": str(result.encoder.spec),
        "task": scores.task,
        "type": scores.type,
        "measure": metric,
        "score": scores.score(),
        "units": scores.units,
        "limit": scores.limit,
        "seconds": scores.seconds,
        "encoded": scores.encoded,
        "data_revision": scores.data_revision,
        **_of_kind(result),
        "parts": [
            {
                "split": split,
                "subset": subset,
                "languages": [str(one).partition("-")[0] for one in part.get("languages", ())],
                "score": float(part[metric]),
            }
            for split, subsets in scores.scores.items()
            for subset, part in subsets.items()
        ],
    }


def _of_kind(result: TaskResult) -> dict[str, Any]:
    """Return what only kinds of systems other than dense encoders have."""
    scores = result.details
    if result.encoder.kind == "dense":
        return {}
    return {
        "kind": result.encoder.kind,
        "bytes": scores.bytes,
        "stages": scores.stages.as_dict() if scores.stages else None,
        "notes": list(scores.notes),
    }


def truncation_facts(result: TaskResult) -> dict[str, Any]:
    """Return how much of a task's texts the encoder under test did not see, JSON-serialisable."""
    length, *others = set(max_lengths(result.identity.as_dict()).values())
    return {
        "model": str(result.encoder.spec),
        "task": result.query.name,
        "max_length": None if others or length is None else int(length),  # a multi-vector model has one for each role
        **asdict(result.details.truncation),
    }


def curve_facts(result: TaskResult) -> dict[str, Any]:
    """Return the quality of a task over the size of a vector, JSON-serialisable."""
    return {
        "model": str(result.encoder.spec),
        "task": result.query.name,
        "measure": result.details.main_score,
        "points": [asdict(point) for point in result.curve],
    }


_MOST_LINES, _MOST_CAUSES = 20, 4


def failure_text(
    failed: list[Verdict],
    verdicts: list[Verdict],
    result: TaskResult,
    changed: Sequence[str] = (),
    causes: Sequence[str] = (),
) -> str:
    """Return the text of a failure, in at most sixteen lines.

    Args:
        failed: Verdicts that do not hold.
        verdicts: All verdicts.
        result: The task's result.
        changed: Comparison with the baseline, in lines.
        causes: Causes found by a diagnosis, the likely one first.
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
    lines += changed
    stages = result.details.stages.lines if result.details.stages else []
    lines += [f"  {'stages' if place == 0 else '':<10} {line}" for place, line in enumerate(stages)]
    lines += [f"  note       {note}" for note in [note for note in first.notes if note not in stages][:2]]
    facts = encoder_facts(result.encoder)
    lines.append(f"  {'encoder' if facts.get('kind') != RETRIEVER else RETRIEVER:<10} {identity_line(facts)}")
    if facts.get("kind") != RETRIEVER:
        lines.append(f"  prompts    {prompts_line(facts['prompts_from'], facts['prompts'])}")
    cut = result.details.truncation
    if cut.lost:
        lines.append(
            f"  truncated  {cut.share:.1%} of {cut.texts:,} texts; {cut.lost_share:.1%} of the tokens are never seen"
        )
    lines = lines[:_MOST_LINES]
    lines += [f"  {'cause' if number == 0 else '':<10} {cause}" for number, cause in enumerate(causes[:_MOST_CAUSES])]
    return "\n".join([*lines, f"  try        {_advice(first, str(facts.get('kind')))}"])


def _advice(verdict: Verdict, kind: str) -> str:
    published = verdict.published
    if verdict.measure in {TRUNCATED, TOKENS_LOST}:
        return "raise max_length= in the spec if the model takes more, split the texts, or allow more."
    if verdict.kind is Kind.MAX_LOSS:
        return "keep more dimensions or a finer precision, rescore=, or a model that was trained for it (Matryoshka)."
    if verdict.kind is Kind.MAX_REGRESSION:
        return "keep the baseline's model; if this drop is acceptable, raise max_regression=, or save a new baseline."
    if published is not None and verdict.value < published - OFF_THE_LEADERBOARD:
        return f"the published model scores {published:.4f}: compare prompts, pooling, normalisation, max length and dtype above with the model card."
    if published is not None and verdict.bound > published:
        return (
            f"the published score of this model is {published:.4f}, below the bound: another model, or a lower bound."
        )
    return (
        "compare with a saved run, or with a model: --embedqa-baseline=PATH, or =SPEC."
        if kind == RETRIEVER
        else "if the model or its settings changed, compare with the old ones: --embedqa-model OLD --embedqa-model NEW."
    )

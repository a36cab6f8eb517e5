"""The verdicts on measured figures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.core.requirement import Requirement
from pytest_embedqa.core.verdict import Outcome, Verdict, judge
from pytest_embedqa.encoders.system import System
from pytest_embedqa.speed.mark import LATENCY, RATIO, SpeedMark
from pytest_embedqa.speed.measuring import Speed


def speed_verdicts(mark: SpeedMark, speed: Speed, encoder: System) -> Iterator[Verdict]:
    """Judge bounds on figures.

    Raises:
        EngineError: If a bounded figure can't be measured for this encoder.
    """
    for requirement in mark.requirements:
        if requirement.measure not in speed.figures:
            raise EngineError(f"{requirement} can't be judged: {_absence(requirement.measure, encoder)}.")
        yield _verdict(requirement, mark, speed, encoder)


def named(speed: Speed, encoder: System) -> dict[str, Any]:
    """Return the attributes of a verdict that say what was measured."""
    return {
        "model": str(encoder.spec),
        "task": f"speed, {speed.length} tokens",
        "units": speed.rounds or speed.calls,
    }


def _absence(measure: str, model: System) -> str:
    """Say why a figure was not measured."""
    if measure == "texts_per_s":
        return f"'{model.spec}' is a reranker and scores pairs; ask for min_pairs_per_s="
    if measure == "pairs_per_s":
        return f"'{model.spec}' is an encoder and encodes texts; ask for min_texts_per_s="
    if measure == "tokens_per_s":
        return "the engine does not count tokens"
    return "the encoder does not run on a GPU of this process"


def _verdict(requirement: Requirement, mark: SpeedMark, speed: Speed, encoder: System) -> Verdict:
    value = speed.figures[requirement.measure]
    outcome, bound, reason = judge(requirement, value)
    interval, units = None, speed.calls if requirement.measure in LATENCY else speed.rounds
    if requirement.measure == RATIO and speed.ratio:
        interval, units = speed.ratio.interval, speed.ratio.pairs
        low, high = interval
        outcome = Outcome.PASS if low >= bound else Outcome.FAIL if high < bound else Outcome.INCONCLUSIVE
        reason = f"{requirement.measure} {value:.4f} to {mark.against}; 99 % interval {low:.4f} to {high:.4f} over {units} pairs, {bound:g} required."
    of = {**named(speed, encoder), "units": units, "interval": interval}
    return Verdict.of(requirement, value, (outcome, bound, reason), notes=speed.notes, digits=requirement.digits, **of)

"""The measures of all probes of a file together: shares, ranks, and robustness to variations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pytest_embedqa.core.errors import SpecError
from pytest_embedqa.core.evaluation import Evaluation, Subject
from pytest_embedqa.core.evidence import Evidence, Exhibit, Units
from pytest_embedqa.core.requirement import Kind, Requirement
from pytest_embedqa.core.statistics import interval
from pytest_embedqa.core.verdict import Verdict, judge
from pytest_embedqa.rag.judging import Answer
from pytest_embedqa.rag.probe import MRR, PASS_RATE, RECALL, Probe, Robustness
from pytest_embedqa.rag.variations import VARIATIONS

_VALUES: Mapping[str, Callable[[Answer], float | None]] = {
    PASS_RATE: lambda answer: float(answer.holds),
    RECALL: lambda answer: answer.recall,
    MRR: lambda answer: None if answer.recall is None else 1 / answer.rank if answer.rank else 0.0,
}
UNIT = "probes"


def evidence(measure: str, answers: Sequence[Answer]) -> Evidence:
    """Return the value of each probe; probes that expect nothing have no recall and no rank.

    Args:
        measure: ``pass_rate``; ``recall_at_k``, the mean share of expected pieces among the k passages; or ``mrr``, the
            mean of the reciprocal rank of the first (Voorhees, The TREC-8 question answering track report, 1999).
        answers: The answers.

    Raises:
        SpecError: If no probe has a value.
    """
    values = {answer.probe.name: _VALUES[measure](answer) for answer in answers}
    known = {name: value for name, value in values.items() if value is not None}
    if not known:
        raise SpecError(f"{measure} needs probes that expect something. Give one expect, or leave {measure} out.")
    return Evidence("mean", UNIT, (Units(UNIT, "default", tuple(known), np.array(list(known.values()))),))


def verdict(file: str, measure: str, bound: float, answers: Sequence[Answer], model: str) -> Verdict:
    """Judge a bound on all probes of a file."""
    requirement = Requirement(Kind.MIN, measure, bound)
    units = evidence(measure, answers)
    outcome, absolute, reason = judge(requirement, units.value)
    return Verdict.of(
        requirement,
        units.value,
        (outcome, absolute, f"{file}: {reason}"),
        model=model,
        task=file,
        requirement=f"{measure}={bound:g}",
        interval=interval(units),
        units=units.count,
        unit=UNIT,
    )


def evaluation(name: str, answers: Sequence[Answer], revision: str) -> Evaluation:
    """Return the pass rate of a file as an evaluation for the upgrade gate.

    Args:
        name: Name by which a baseline knows the file.
        answers: The answers to all its probes.
        revision: Digest of corpus and probes.
    """
    units = evidence(PASS_RATE, answers)
    documents = {
        f"{answer.probe.name}/{rank}": passage.text
        for answer in answers
        for rank, passage in enumerate(answer.passages, 1)
    }
    exhibit = Exhibit(
        texts={answer.probe.name: answer.probe.ask for answer in answers},
        rankings={
            answer.probe.name: [f"{answer.probe.name}/{rank}" for rank, _ in enumerate(answer.passages, 1)]
            for answer in answers
        },
        relevant={
            answer.probe.name: [f"{answer.probe.name}/{rank}" for rank in answer.ranks if rank] for answer in answers
        },
        documents=documents,
    )
    part = (UNIT, "default")
    return Evaluation(
        Subject(name),
        "Probes",
        PASS_RATE,
        units.value,
        {part: units.value},
        revision,
        evidence=units,
        exhibits={part: exhibit},
    )


@dataclass(frozen=True)
class Decay:
    """The effect of a variation on the probes that hold without it.

    Attributes:
        variation: Name of the variation.
        level: Strength of the variation.
        probes: Number of probes that could be varied.
        held: Number of these that still hold.
        lost: Names of those that no longer hold.
    """

    variation: str
    level: int
    probes: int
    held: int
    lost: tuple[str, ...]

    @property
    def share(self) -> float:
        """The share that still holds, in [0, 1]; NaN if none could be varied."""
        return self.held / self.probes if self.probes else float("nan")


def variations(robustness: Robustness, answers: Sequence[Answer], *, noise: bool) -> dict[int, list[Probe]]:
    """Return for each level the holding probes with varied questions; probes that can't be varied are left out.

    Args:
        robustness: The variation.
        answers: The answers to the unvaried questions.
        noise: Whether the corpus is varied rather than the question.
    """
    return {
        level: [
            changed
            for answer in answers
            if answer.holds and (changed := _varied(answer.probe, robustness.variation, level, noise=noise)) is not None
        ]
        for level in robustness.levels
    }


def decay(variation: str, varied: Mapping[int, Sequence[Probe]], again: Callable[[Probe, int], Answer]) -> list[Decay]:
    """Count at each level how many of the holding probes still hold.

    Args:
        variation: Name of the variation.
        varied: Varied probes, by level.
        again: Function that asks a probe at a level.
    """
    decays = []
    for level, probes in varied.items():
        lost = tuple(probe.name for probe in probes if not again(probe, level).holds)
        decays.append(Decay(variation, level, len(probes), len(probes) - len(lost), lost))
    return decays


def decay_verdict(file: str, decays: Sequence[Decay], keep: float, model: str) -> Verdict:
    """Judge whether enough probes still hold at the first level that applies to any of them."""
    first = next(one for one in decays if one.probes)
    requirement = Requirement(Kind.MIN, "keep", keep)
    outcome, bound, reason = judge(requirement, first.share)
    return Verdict.of(
        requirement,
        first.share,
        (outcome, bound, f"{file}, {first.variation}: {reason}"),
        model=model,
        task=f"{file} {first.variation}",
        requirement=f"keep={keep:g}",
        units=first.probes,
        unit=UNIT,
    )


def _varied(probe: Probe, variation: str, level: int, *, noise: bool) -> Probe | None:
    timeless = replace(probe, max_latency_ms=None)
    if noise:
        return timeless
    asked = VARIATIONS[variation].vary(probe.ask, level, probe.translation)
    return None if asked is None else replace(timeless, ask=asked)

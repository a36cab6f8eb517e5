"""From a low score to its likely cause, in bounded time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pytest_embedqa.core.errors import EncoderFaultError, TimeLimitError
from pytest_embedqa.core.measures import Floats
from pytest_embedqa.core.slice import Ranking, Slice
from pytest_embedqa.core.statistics import randomised
from pytest_embedqa.diagnosis.chance import adjusted
from pytest_embedqa.diagnosis.changes import (
    batch_changes,
    facts,
    model_changes,
    similarity_changes,
    text_changes,
    vector_changes,
)
from pytest_embedqa.diagnosis.prompting import prompt_changes
from pytest_embedqa.diagnosis.result import Diagnosis, Finding
from pytest_embedqa.diagnosis.trials import Change, Load, Trials
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.prompts import Prompts, TaskContext

_Made = TypeVar("_Made")
# What is smaller is not worth a change, even if it is no chance.
_WORTH_NAMING = 0.01
_CHANCE = 0.05
# Of changes of a kind that recover nearly the same, the better explanation is reported.
_NEARLY = 0.8
# A model's own files are seldom what is wrong: what contradicts them comes first only if it recovers twice as much.
_AGAINST_MODEL = 0.5
# Changes of documents are tried on a part of the slice, and the best of them on all of it.
_SCREENED = 4
_CONFIRMED = 4
_SCREENING_TIME = 0.65
# How many of them there are, about, to choose the size of the slice.
_OF_DOCUMENTS, _OF_QUERIES = 10, 8
_TIMED = 8
# Characters of an error's text.
_REASON = 120


@dataclass(frozen=True)
class _Result:
    """What a change did to each unit, and how much clearer relevance shows with it."""

    change: Change
    values: Floats
    before: Floats
    clearer: float

    @property
    def recovered(self) -> float:
        return float((self.values - self.before).mean())


def diagnose(  # noqa: PLR0913  each is needed
    encoder: Encoder,
    part: Slice,
    context: TaskContext | None,
    load: Load,
    *,
    known_prompts: Sequence[Prompts] = (),
    seconds: float = 60.0,
) -> Diagnosis:
    """Change one thing at a time and see what brings the score back.

    Args:
        encoder: The encoder that scored too low; it is left as it is.
        part: A slice of the task.
        context: The task, for prompts.
        load: Loads a variant of the encoder from a spec; it is closed again here.
        known_prompts: Prompts known for the model, e.g. from mteb; the model's own are looked at anyway.
        seconds: Time to spend; the size of the slice is chosen by it. A batch that is under way is finished.

    Raises:
        EmbedQAError: If the encoder itself can't encode the slice.
    """
    began = time.monotonic()
    trials = Trials(encoder.variant(progress=None), context, load, began + seconds)
    part = part.head(_size(trials, part, seconds))
    units = f"{len(part)} {part.units}"
    try:
        before = trials.values(part)
    except TimeLimitError:
        why = {"everything": f"{seconds:g} seconds did not suffice for {units}"}
        return Diagnosis((), None, part.measure, units, not_tried=why, seconds=time.monotonic() - began)
    not_tried: dict[str, str] = {}
    trials.deadline = began + _SCREENING_TIME * seconds
    small = part.head(max(part.fewest, len(part) // _SCREENED))
    results = [
        result
        for change in _changes(trials, part, known_prompts, not_tried)
        if (result := _try(trials, change, small if change.second else part, not_tried))
    ]
    trials.deadline = began + seconds
    confirmed = {
        result.change: _try(trials, result.change, part, {}) or result for result in _promising(results, len(part))
    }
    results = [confirmed.get(result.change, result) for result in results]
    findings = [*_missing(part, before), *_findings(results, part.units)]
    return Diagnosis(
        findings=tuple(findings),
        score=float(before.mean()),
        measure=part.measure,
        units=units,
        tried={result.change.done: round(result.recovered, 4) for result in results},
        not_tried=not_tried,
        seen=() if findings else tuple(_safely(lambda: facts(trials, small), "facts", {})),
        seconds=time.monotonic() - began,
    )


def _size(trials: Trials, part: Slice, seconds: float) -> int:
    """Units that can be afforded, by the time that a few texts take."""
    texts = [*part.first[:_TIMED], *part.second[:_TIMED]]
    fresh = trials.encoder.computing()
    fresh.encode(texts[:1])  # the first text of an engine takes longer
    begun = time.monotonic()
    try:
        fresh.encode(texts)
    except EncoderFaultError:  # vectors that depend on the batch are what may be found here
        begun = time.monotonic()
        trials.encoder.computing(batch_size=1).encode(texts)
    by_character = (time.monotonic() - begun) / max(1, sum(map(len, texts)))
    first = by_character * sum(map(len, part.first)) / len(part)
    whole = first + by_character * sum(map(len, part.second)) / len(part)
    passes = (1 + _CONFIRMED + _OF_DOCUMENTS / _SCREENED) * whole + _OF_QUERIES * first
    return max(part.fewest, int(0.8 * seconds / passes))


def _changes(
    trials: Trials, part: Slice, known_prompts: Sequence[Prompts], not_tried: dict[str, str]
) -> Iterator[Change]:
    """All changes, cheapest and likeliest first."""
    prompts = list(prompt_changes(trials, part, known_prompts))
    guessed = [change for change in prompts if change.guessed and change.second]
    yield from _safely(lambda: similarity_changes(trials, part), "similarity", not_tried)
    yield from (change for change in prompts if not change.second)
    yield from vector_changes(trials)
    yield from _safely(lambda: text_changes(trials, part), "cleaning", not_tried)
    yield from (change for change in prompts if change.second and change not in guessed)
    yield from _safely(lambda: batch_changes(trials, part), "batches", not_tried)
    yield from _safely(lambda: model_changes(trials, part), "model", not_tried)
    yield from guessed


def _safely(make: Callable[[], Iterator[_Made]], what: str, not_tried: dict[str, str]) -> Iterator[_Made]:
    """What can be made; what can't be had explains nothing."""
    try:
        yield from make()
    except Exception as error:  # noqa: BLE001  a diagnosis must not hide the failure that it explains
        not_tried[what] = _reason(error)


def _try(trials: Trials, change: Change, part: Slice, not_tried: dict[str, str]) -> _Result | None:
    try:
        clarity = [trials.values(part, one, clarity=True) for one in (change, None)]
        return _Result(
            change, trials.values(part, change), trials.values(part), float((clarity[0] - clarity[1]).mean())
        )
    except Exception as error:  # noqa: BLE001  as above: an engine may raise anything
        not_tried[change.done] = _reason(error)
        return None


def _reason(error: Exception) -> str:
    return (
        "for want of time" if isinstance(error, TimeLimitError) else f"{type(error).__name__}: {error}".split("\n")[0]
    )


def _by_kind(results: Iterable[_Result]) -> Mapping[str, list[_Result]]:
    kinds: dict[str, list[_Result]] = {}
    for result in results:
        kinds.setdefault(result.change.kind, []).append(result)
    return kinds


def _promising(results: Sequence[_Result], units: int) -> Iterator[_Result]:
    """Of the changes that were tried on a part only those that help most there: three of prompts, two of others."""
    helping = sorted((result for result in results if result.clearer > 0), key=lambda result: -result.clearer)
    for kind, some in list(_by_kind(helping).items())[:_CONFIRMED]:
        yield from (result for result in some[: 3 if kind == "prompts" else 2] if len(result.values) < units)


def _findings(results: Sequence[_Result], units: str) -> Iterator[Finding]:
    """The best change of each kind, if chance does not explain it; each of those tried had its chance."""
    by_chance = adjusted([randomised(result.values - result.before) for result in results])
    sure = [
        result
        for result, chance in zip(results, by_chance, strict=True)
        if result.recovered >= _WORTH_NAMING and chance < _CHANCE
    ]
    sure.sort(key=lambda result: -result.recovered)
    best = [
        max(
            (result for result in some if result.recovered >= _NEARLY * some[0].recovered),
            key=lambda result: result.change.weight,
        )
        for some in _by_kind(sure).values()
    ]
    for result in sorted(best, key=_likelihood, reverse=True):
        before, after = result.before.mean(), result.values.mean()
        evidence = (
            f"{result.change.done} {after - before:+.3f} on {len(result.values)} {units} ({before:.3f} -> {after:.3f})"
        )
        yield Finding(result.change.cause, evidence, result.change.advice, result.recovered)


def _likelihood(result: _Result) -> float:
    return result.recovered * (_AGAINST_MODEL if result.change.against_model else 1)


def _missing(part: Slice, values: Floats) -> Iterator[Finding]:
    """That relevant documents are not in the corpus: nothing has to be tried for that."""
    if not isinstance(part, Ranking) or not part.missing:
        return
    share, score = part.missing / part.judged, float(values.mean())
    complete = values[[row for row in range(len(part)) if row not in part.absent]]
    evidence = f"{part.missing} of {part.judged} relevant documents are not in it"
    if len(complete):
        evidence += f"; queries whose documents are all there have {complete.mean():.3f}, all together {score:.3f}"
    # What is lost with them, if their queries would do as well as the others.
    recovered = share * float(complete.mean() if len(complete) else 1)
    if recovered >= _WORTH_NAMING:
        yield Finding(
            cause="the corpus is incomplete",
            evidence=evidence,
            advice="Fetch the data again: its corpus file is probably cut off. Its number of lines must be that of the dataset's card.",
            recovered=recovered,
        )

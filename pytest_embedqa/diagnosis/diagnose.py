"""Diagnosis from a low score to its likely cause, in bounded time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from pytest_embedqa.core.errors import EncoderFaultError, TimeLimitError
from pytest_embedqa.core.slice import Slice
from pytest_embedqa.diagnosis.causes import ChangeResult, by_kind, explain, reason_of
from pytest_embedqa.diagnosis.changes import (
    batch_changes,
    facts,
    model_changes,
    similarity_changes,
    text_changes,
    vector_changes,
)
from pytest_embedqa.diagnosis.prompting import prompt_changes
from pytest_embedqa.diagnosis.published import Rescore, Standing
from pytest_embedqa.diagnosis.result import Diagnosis
from pytest_embedqa.diagnosis.trials import Change, Load, Trials
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.prompts import Prompts, TaskContext

_Made = TypeVar("_Made")
# Seconds to score the whole task again.
_RESCORING_TIME = 120
# Changes of documents are tried on a part of the slice, and the best of them on the whole slice.
_SCREENED = 4
_CONFIRMED = 4
_SCREENING_TIME = 0.65
# Approximate numbers of these changes, to choose the size of the slice.
_OF_DOCUMENTS, _OF_QUERIES = 10, 8
_TIMED = 8


def diagnose(  # noqa: PLR0913  each is needed
    encoder: Encoder,
    part: Slice,
    context: TaskContext | None,
    load: Load,
    *,
    known_prompts: Sequence[Prompts] = (),
    standing: Standing | None = None,
    rescore: Rescore | None = None,
    seconds: float = 60.0,
) -> Diagnosis:
    """Change the encoder in one way at a time, and see which change brings the score back.

    A model that reaches its published score is set up right, and nothing is tried. A change that the model's own files
    speak against is a cause only if it brings the whole task to the published score; otherwise it is an observation.

    Args:
        encoder: The encoder that scored too low; it is left as it is.
        part: A slice of the task.
        context: The task, for prompts.
        load: Loads a variant of the encoder from a spec; ``diagnose`` closes it again.
        known_prompts: Known prompts of the model, e.g. from mteb; the model's own prompts are tried anyway.
        standing: Comparison of the whole task's score with the published score, if there is one.
        rescore: Evaluates the whole task with another encoder.
        seconds: Time to spend, which decides the size of the slice. A batch under way is finished. Scoring the
            whole task again takes up to two minutes more.

    Raises:
        EmbedQAError: If the encoder itself can't encode the slice.
    """
    if standing and standing.is_equal:
        return as_published(standing)
    began = time.monotonic()
    trials = Trials(encoder.variant(progress=None), context, load, began + seconds)
    part = part.head(_size(trials, part, seconds))
    units = f"{len(part)} {part.units}"
    try:
        before = trials.values(part)
    except TimeLimitError:
        why = {"everything": f"{seconds:g} seconds did not suffice for {units}"}
        return Diagnosis(
            (), None, part.measure, units, not_tried=why, seconds=time.monotonic() - began, standing=standing
        )
    not_tried: dict[str, str] = {}
    trials.deadline = began + _SCREENING_TIME * seconds
    small = part.head(max(part.fewest, len(part) // _SCREENED))
    results = [
        result
        for change in _changes(trials, part, known_prompts, not_tried)
        if not (change.against and standing and standing.is_reached)
        and (result := _try(trials, change, small if change.second else part, not_tried))
    ]
    trials.deadline = began + seconds
    confirmed = {
        result.change: _try(trials, result.change, part, {}) or result for result in _promising(results, len(part))
    }
    results = [confirmed.get(result.change, result) for result in results]
    findings, observations = explain(
        results,
        part,
        before,
        standing,
        rescore and partial(_rescored, rescore, time.monotonic() + _RESCORING_TIME, not_tried),
    )
    return Diagnosis(
        findings=findings,
        score=float(before.mean()),
        measure=part.measure,
        units=units,
        tried={result.change.done: round(result.recovered, 4) for result in results},
        not_tried=not_tried,
        seen=() if findings else tuple(_safely(lambda: facts(trials, small), "facts", {})),
        seconds=time.monotonic() - began,
        observations=observations,
        standing=standing,
    )


def as_published(standing: Standing) -> Diagnosis:
    """Return the diagnosis of an encoder that reaches the published score of its model."""
    return Diagnosis((), None, standing.measure, "the whole task", standing=standing)


def _size(trials: Trials, part: Slice, seconds: float) -> int:
    """Return the number of units that the time allows, estimated from a few texts."""
    texts = [*part.first[:_TIMED], *part.second[:_TIMED]]
    fresh = trials.encoder.computing()
    fresh.encode(texts[:1])  # the first text of an engine takes longer
    begun = time.monotonic()
    try:
        fresh.encode(texts)
    except EncoderFaultError:  # the diagnosis may find that vectors depend on the batch
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
    """Yield all changes, the cheapest and likeliest first."""
    prompts = list(prompt_changes(trials, part, known_prompts))
    # Changes that nothing speaks for, and that take all documents, come last.
    guessed = [change for change in prompts if change.against and change.second]
    yield from _safely(lambda: similarity_changes(trials, part), "similarity", not_tried)
    yield from (change for change in prompts if not change.second)
    yield from vector_changes(trials)
    yield from _safely(lambda: text_changes(trials, part), "cleaning", not_tried)
    yield from (change for change in prompts if change.second and change not in guessed)
    yield from _safely(lambda: batch_changes(trials, part), "batches", not_tried)
    yield from _safely(lambda: model_changes(trials, part), "model", not_tried)
    yield from guessed


def _safely(make: Callable[[], Iterator[_Made]], what: str, not_tried: dict[str, str]) -> Iterator[_Made]:
    """Yield the changes that can be made; a change that can't be made explains nothing."""
    try:
        yield from make()
    except Exception as error:  # noqa: BLE001  a diagnosis must not hide the failure that it explains
        not_tried[what] = reason_of(error)


def _try(trials: Trials, change: Change, part: Slice, not_tried: dict[str, str]) -> ChangeResult | None:
    try:
        clarity = [trials.values(part, one, clarity=True) for one in (change, None)]
        return ChangeResult(
            change, trials.values(part, change), trials.values(part), float((clarity[0] - clarity[1]).mean())
        )
    except Exception as error:  # noqa: BLE001  as above: an engine may raise anything
        not_tried[change.done] = reason_of(error)
        return None


def _rescored(rescore: Rescore, deadline: float, not_tried: dict[str, str], change: Change) -> Standing | None:
    """Score the whole task with a change."""
    what, left = f"the whole task {change.done}", deadline - time.monotonic()
    try:
        if left > 0 and change.whole:
            with change.whole() as encoder:
                return rescore(encoder, left)
        not_tried[what] = reason_of(TimeLimitError()) if change.whole else "there is no encoder for that"
    except Exception as error:  # noqa: BLE001  as above
        not_tried[what] = reason_of(error)
    return None


def _promising(results: Sequence[ChangeResult], units: int) -> Iterator[ChangeResult]:
    """Yield the changes that helped most on a part of the slice: three of prompts, two of other kinds."""
    helping = sorted((result for result in results if result.clearer > 0), key=lambda result: -result.clearer)
    for kind, some in list(by_kind(helping).items())[:_CONFIRMED]:
        yield from (result for result in some[: 3 if kind == "prompts" else 2] if len(result.values) < units)

"""Sorting of the tried changes into causes, observations and chance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_embedqa.core.errors import TimeLimitError
from pytest_embedqa.core.measures import Floats
from pytest_embedqa.core.slice import Ranking, Slice
from pytest_embedqa.core.statistics import randomised
from pytest_embedqa.diagnosis.chance import adjusted
from pytest_embedqa.diagnosis.published import Standing
from pytest_embedqa.diagnosis.result import LikelyCause, Observation
from pytest_embedqa.diagnosis.trials import Change

# Smaller gains are not worth naming, even if they are not chance.
_WORTH_NAMING = 0.01
_CHANCE = 0.05
# Among changes of a kind that recover at least this share of the best, the best explanation is reported.
_NEARLY = 0.8
# Number of changes with a reason against them that are scored on the whole task, the most helpful first.
_RESCORED = 4


@dataclass(frozen=True)
class ChangeResult:
    """The effect of a change.

    Attributes:
        change: The change.
        values: Value of each unit with the change, shape (n,).
        before: Value of each unit without the change, shape (n,).
        clearer: How much clearer relevance shows with the change.
        standing: Comparison of the whole task's score with the published score, if that was measured.
    """

    change: Change
    values: Floats
    before: Floats
    clearer: float
    standing: Standing | None = None

    @property
    def recovered(self) -> float:
        """Points that the change gains."""
        return float((self.values - self.before).mean())

    @property
    def is_cause(self) -> bool:
        """Whether the change may be advised: nothing speaks against it, or it brings the published score."""
        return not self.change.against or (self.standing is not None and self.standing.is_met)


def explain(
    results: Sequence[ChangeResult],
    part: Slice,
    before: Floats,
    standing: Standing | None,
    rescore: Callable[[Change], Standing | None] | None,
) -> tuple[tuple[LikelyCause, ...], tuple[Observation, ...]]:
    """Tell causes from observations and from chance.

    Args:
        results: Results of all changes that were tried.
        part: The slice.
        before: Value of each unit of the slice with the encoder as it is.
        standing: Comparison of the whole task's score with the published score, if there is one.
        rescore: Scores the whole task with a change; ``None`` where that is not possible.

    Returns:
        Causes, the likely one first; without any, observations.
    """
    standings = _standings(results, rescore) if standing and rescore else {}
    sure = [replace(one, standing=standings.get(one.change)) for one in _sure(results, standings)]
    findings = (*_missing(part, before), *_findings([one for one in sure if one.is_cause], part.units))
    return findings, () if findings else tuple(_observations(sure, part.units, standing))


def _standings(
    results: Sequence[ChangeResult], rescore: Callable[[Change], Standing | None]
) -> dict[Change, Standing | None]:
    """Score the whole task with each of the most helpful changes that have a reason against them."""
    gains = sorted((one for one in results if one.recovered >= _WORTH_NAMING), key=lambda one: -one.recovered)
    return {change: rescore(change) for change in [one.change for one in gains if one.change.against][:_RESCORED]}


def _sure(results: Sequence[ChangeResult], standings: Mapping[Change, Standing | None]) -> list[ChangeResult]:
    """Return the changes with a gain worth naming that is not chance, the largest gain first."""

    def is_no_chance(result: ChangeResult, chance: float) -> bool:
        # A change that brings the whole task to the published score needs no slice to tell it from chance.
        met = standings.get(result.change)
        return chance < _CHANCE or result.change.proven or (met is not None and met.is_met)

    # All tried changes count, as each could have gained by chance.
    by_chance = adjusted([randomised(result.values - result.before) for result in results])
    sure = [
        result
        for result, chance in zip(results, by_chance, strict=True)
        if result.recovered >= _WORTH_NAMING and is_no_chance(result, chance)
    ]
    return sorted(sure, key=lambda result: -result.recovered)


def _findings(causes: Sequence[ChangeResult], units: str) -> Iterator[LikelyCause]:
    """Yield the best change of each kind; a change that brings the whole task to its published score comes first."""
    best = [max(_explaining(some), key=_closeness) for some in by_kind(causes).values()]
    for result in sorted(best, key=_likelihood):
        yield LikelyCause(result.change.cause, _evidence(result, units), result.change.advice, result.recovered)


def _explaining(some: Sequence[ChangeResult]) -> list[ChangeResult]:
    """Return the best explanations among the changes of a kind that gain nearly the most."""
    near = [result for result in some if result.recovered >= _NEARLY * some[0].recovered]
    heaviest = max(result.change.weight for result in near)
    return [result for result in some if result.standing] or [one for one in near if one.change.weight == heaviest]


def _closeness(result: ChangeResult) -> float:
    return -result.standing.distance if result.standing else result.recovered


def _likelihood(result: ChangeResult) -> tuple[bool, float]:
    return result.standing is None, -_closeness(result)


def _observations(sure: Sequence[ChangeResult], units: str, standing: Standing | None) -> Iterator[Observation]:
    """Yield the largest gain of each kind, with the reason why it is no advice."""
    for some in by_kind(sure).values():
        result = some[0]
        if result.standing:
            doubt = f"with it the whole task has {result.standing.score:.4f}, not the published {result.standing.published:.4f}"
        elif standing:
            doubt = f"whether it brings the published {standing.published:.4f} was not measured"
        else:
            doubt = "there is no published score to decide"
        yield Observation(
            _evidence(result, units),
            f"{result.change.against[:1].upper()}{result.change.against[1:]}, and {doubt}.",
            result.recovered,
        )


def _evidence(result: ChangeResult, units: str) -> str:
    before, after = result.before.mean(), result.values.mean()
    evidence = (
        f"{result.change.done} {after - before:+.3f} on {len(result.values)} {units} ({before:.3f} -> {after:.3f})"
    )
    if result.standing and result.standing.is_met:
        evidence += (
            f", and {result.standing.score:.4f} on the whole task, as published ({result.standing.published:.4f})"
        )
    return evidence


def _missing(part: Slice, values: Floats) -> Iterator[LikelyCause]:
    """Yield a finding if relevant documents are missing in the corpus, for which nothing has to be tried."""
    if not isinstance(part, Ranking) or not part.missing:
        return
    share, score = part.missing / part.judged, float(values.mean())
    complete = values[[row for row in range(len(part)) if row not in part.absent]]
    evidence = f"{part.missing} of {part.judged} relevant documents are not in it"
    if len(complete):
        evidence += f"; queries whose documents are all there have {complete.mean():.3f}, all together {score:.3f}"
    # The estimated loss, if the affected queries would do as well as all others.
    recovered = share * float(complete.mean() if len(complete) else 1)
    if recovered >= _WORTH_NAMING:
        yield LikelyCause(
            cause="the corpus is incomplete",
            evidence=evidence,
            advice="Fetch the data again: its corpus file is probably cut off. Its number of lines must be that of the dataset's card.",
            recovered=recovered,
        )


def by_kind(results: Iterable[ChangeResult]) -> Mapping[str, list[ChangeResult]]:
    """Group results by their kind of change, in order."""
    kinds: dict[str, list[ChangeResult]] = {}
    for result in results:
        kinds.setdefault(result.change.kind, []).append(result)
    return kinds


def reason_of(error: Exception) -> str:
    """Describe why something could not be tried, in a line."""
    return (
        "for want of time" if isinstance(error, TimeLimitError) else f"{type(error).__name__}: {error}".split("\n")[0]
    )

"""The verdicts on an index."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_embedqa.core.errors import IndexFaultError
from pytest_embedqa.core.requirement import Requirement
from pytest_embedqa.core.verdict import Verdict, judge
from pytest_embedqa.index.result import IndexResult, State

# Why a measure is missing.
_MISSING = {
    "ndcg_loss": "nothing is judged of the rows that are searched",
    "bytes_per_vector": "the index has no method size() that tells its bytes",
}
_ELSEWHERE = "a retriever's own index is neither built nor timed here"
# Measures of an index as it was built, whatever was done to it later.
_OF_BUILDING = {"build_s", "bytes_per_vector"}


def index_verdicts(requirements: Iterable[Requirement], result: IndexResult, model: str) -> list[Verdict]:
    """Judge bounds on an index in each of its states.

    Raises:
        IndexFaultError: If a measure is not known of this index or task.
    """
    return [
        _verdict(requirement, result, state, model)
        for requirement in requirements
        for state in (result.states[:1] if requirement.measure in _OF_BUILDING else result.states)
    ]


def _verdict(requirement: Requirement, result: IndexResult, state: State, model: str) -> Verdict:
    measures = result.measures(state)
    if requirement.measure not in measures:
        raise IndexFaultError(f"{requirement} can't be judged: {_MISSING.get(requirement.measure, _ELSEWHERE)}.")
    value = measures[requirement.measure]
    is_recall = requirement.measure.startswith("recall")
    return Verdict.of(
        requirement,
        value,
        judge(requirement, value),
        model=model,
        task=", ".join(filter(None, [result.data.name, result.index, state.name])),
        interval=result.intervals[state.name] if is_recall else None,
        units=len(state.recalls if requirement.measure != "ndcg_loss" or state.ndcg is None else state.ndcg),
        unit="queries",
        notes=tuple(_short(state)),
        digits=requirement.digits,
    )


def _short(state: State) -> Iterable[str]:
    if state.short:
        yield f"{state.short} of {len(state.found)} queries got fewer than the {state.wanted} documents they asked for, {state.found.mean():.1f} on average; what is missing counts as lost."

"""Verdicts on the means of a benchmark's main scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_embedqa.core.errors import MissingDataError
from pytest_embedqa.core.verdict import Verdict, judge
from pytest_embedqa.quality.evaluator import benchmark_means
from pytest_embedqa.quality.task import TaskResult

if TYPE_CHECKING:
    from pytest_embedqa.quality.mark import QualityMark


def mean_verdicts(mark: QualityMark, results: Sequence[TaskResult]) -> list[Verdict]:
    """Judge the means of a benchmark's main scores, as the leaderboard takes them.

    Raises:
        EmbedQAError: If one of the tasks can't be evaluated: a mean over the others would be a different number.
    """
    encoder = results[0].encoder
    _require_all(results)
    means = benchmark_means([result.details for result in results])
    verdicts = []
    for requirement in mark.requirements(encoder.name):
        mean = means[requirement.measure]
        outcome, bound, reason = judge(requirement, mean)
        verdicts.append(
            Verdict.of(
                requirement,
                mean,
                (outcome, bound, f"{mark.query.name}, {len(results)} tasks: {reason}"),
                model=str(encoder.spec),
                task=f"{mark.query.name}, mean",
                units=len(results),
            )
        )
    return verdicts


def _require_all(results: Sequence[TaskResult]) -> None:
    """Raise MissingDataError for all tasks without data together: a mean over the rest would be another number."""
    missing = []
    for result in results:
        try:
            result.details  # noqa: B018  evaluated when it is first looked at
        except MissingDataError as error:  # noqa: PERF203  each is looked at
            missing.append((result.query.name, error))
    if missing:
        names = ", ".join(name for name, _ in missing)
        raise MissingDataError(
            f"a mean needs every task, and {len(missing)} of {len(results)} have no data: {names}. The first: {missing[0][1]}"
        )

"""Evaluation of each (task, encoder) once in a session, and the verdicts on it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from pytest_embedqa.core.errors import EmbedQAError, MissingExtraError, PublishedScoreError, TaskError, TimeLimitError
from pytest_embedqa.core.requirement import MAIN_SCORE, Kind, Requirement
from pytest_embedqa.core.slice import Slice
from pytest_embedqa.core.statistics import difference, interval
from pytest_embedqa.core.verdict import Verdict, judge, judge_drop
from pytest_embedqa.encoders.engines.python_callable import PythonEngine
from pytest_embedqa.encoders.prompts import NO_PROMPTS, Prompts, TaskContext
from pytest_embedqa.encoders.system import System
from pytest_embedqa.quality.own_tasks import OwnTask
from pytest_embedqa.quality.published import Published, PublishedScores
from pytest_embedqa.quality.task import (
    MEAN,
    MEAN_BY_TYPE,
    SEPARATION,
    SEPARATION_TYPES,
    TaskQuery,
    TaskResult,
    TaskScores,
)


class Evaluator:
    """An evaluator of tasks, which remembers results by (query, identity) and judges requirements."""

    def __init__(self, *, datasets: Path | None = None, published: Path | None = None) -> None:
        """Take data from the folder ``datasets`` (else the Hub) and published scores from ``published``."""
        self._datasets = datasets
        self._published = PublishedScores(published)
        self._results: dict[tuple[TaskQuery, str], TaskScores | EmbedQAError] = {}

    def result(self, query: TaskQuery, encoder: System, max_minutes: float | None = None) -> TaskResult:
        """Return the result of a task, which is evaluated when it is first looked at."""
        return TaskResult(query, encoder, lambda query, encoder: self._scores(query, encoder, max_minutes))

    def _scores(self, query: TaskQuery, encoder: System, max_minutes: float | None) -> TaskScores:
        key = (query, encoder.identity.digest)
        if key not in self._results:
            try:
                self._results[key] = _evaluate(query, encoder, self._datasets, max_minutes)
            except TimeLimitError:
                raise  # another test may allow more minutes
            except EmbedQAError as error:
                self._results[key] = error
        outcome = self._results[key]
        if isinstance(outcome, EmbedQAError):
            raise outcome
        if max_minutes and outcome.seconds > max_minutes * 60:
            raise TimeLimitError(f"It took {outcome.seconds / 60:.1f} minutes, more than max_minutes={max_minutes:g}.")
        return outcome

    def slice(self, result: TaskResult, part: tuple[str, str] | None) -> tuple[Slice, TaskContext] | None:
        """Return a small part of an evaluated task to diagnose its score on, and the facts that its prompts depend on.

        Args:
            result: The result of the evaluation.
            part: The split and subset to draw from; the first by default.

        Returns:
            ``None`` if this type of task has no slice.
        """
        from pytest_embedqa.quality.mteb import evaluation  # imports mteb: seconds

        return evaluation.slice_of(result.query, result.details, part, datasets=self._datasets)

    def verdicts(
        self,
        requirements: Iterable[Requirement],
        result: TaskResult,
        whole: TaskResult | None = None,
        unjudged: list[str] | None = None,
    ) -> list[Verdict]:
        """Judge requirements against a result, but for ``max_regression``, which needs another encoder.

        Args:
            requirements: The requirements.
            result: The result of the evaluation.
            whole: For ``max_loss``, the same encoder's result with whole vectors.
            unjudged: Collects the reasons why requirements can't be judged, so that all others are.

        Raises:
            PublishedScoreError: If a requirement compares with a published score that does not exist, and
                ``unjudged`` is not given.
        """
        verdicts = []
        for requirement in requirements:
            if requirement.kind is Kind.MAX_REGRESSION:
                continue
            try:
                verdicts.append(self._verdict(requirement, result, whole))
            except PublishedScoreError as error:
                if unjudged is None:
                    raise
                unjudged.append(str(error))
        return verdicts

    def _verdict(self, requirement: Requirement, result: TaskResult, whole: TaskResult | None) -> Verdict:
        scores = result.details
        value, metric = scores.score(requirement.measure), scores.metric(requirement.measure)
        published = None
        try:
            published = self._published_score(result)
        except PublishedScoreError as error:
            if requirement.kind is Kind.VS_PUBLISHED:
                raise PublishedScoreError(
                    f"{requirement} can't be judged against the published score: {error}."
                ) from None
        evidence, change, reference = scores.evidence.get(metric), None, None
        if requirement.kind is Kind.MAX_LOSS and whole:
            reference = whole.details.score(requirement.measure)
            before = whole.details.evidence.get(metric)
            change = difference(before, evidence) if before and evidence else None
            judged = judge_drop(requirement, value, reference, change)
        else:
            judged = judge(requirement, value, reference=published[1] if published else None)
        return Verdict.of(
            requirement,
            value,
            judged,
            model=str(result.encoder.spec),
            task=scores.task,
            measure=metric,
            interval=interval(evidence) if evidence else None,
            units=evidence.count if evidence else scores.units,
            unit=evidence.unit if evidence else "units",
            published=published[1] if published and metric == scores.main_score else None,
            baseline=reference,
            change=change,
            notes=tuple(_notes(requirement, metric, result, published[0] if published else None)),
        )

    def published_gap(self, result: TaskResult) -> float | None:
        """Return the main score less the published score of this model, or ``None`` if there is no comparable one."""
        try:
            return result.main_score - self._published_score(result)[1]
        except PublishedScoreError:
            return None

    def published_parts(self, result: TaskResult) -> dict[tuple[str, str], float]:
        """Return this model's published main score by evaluated split and subset; empty if none is comparable."""
        try:
            published = self._published_score(result)[0]
        except PublishedScoreError:
            return {}
        return {
            (split, subset): published.parts[split][subset]
            for split, subsets in result.scores.items()
            for subset in subsets
        }

    def _published_score(self, result: TaskResult) -> tuple[Published, float]:
        """Return the published main score over the evaluated splits and subsets.

        Raises:
            PublishedScoreError: If no published score is comparable with this result.
        """
        scores = result.details
        identity = result.encoder.identity
        if scores.stages or result.encoder.kind == "retriever":
            raise PublishedScoreError(
                "it is of a model alone, and this is of a first stage and a reranker; use an absolute bound (min_<metric>=)"
            )
        if identity.dim or identity.quantization or scores.limit:
            raise PublishedScoreError(
                "it is for the whole task and whole vectors, not for a sample, nor for vectors that are cut or quantised; "
                "use an absolute bound (min_<metric>=)"
            )
        if isinstance(result.query.task, OwnTask):
            raise PublishedScoreError(
                f"{scores.task} is your own data, not the public task; use an absolute bound (min_<metric>=)"
            )
        encoder = result.encoder
        published = self._published.find(encoder.name, scores.task, encoder.identity.revision)
        return published, published.score(scores.scores)


def _notes(requirement: Requirement, metric: str, result: TaskResult, published: Published | None) -> Iterator[str]:
    """Yield the facts that a reader needs to read the value right."""
    from pytest_embedqa.quality.mteb.registry import registered_revision  # imports mteb: seconds

    scores = result.details
    if scores.limit:
        yield f"a sample of {scores.limit}"
    yield from scores.every_note
    if metric == SEPARATION and scores.type in SEPARATION_TYPES:
        labelled = scores.type == "PairClassification"
        others = "pairs labelled 0" if labelled else "as many random ones; more than 0.866 takes ties"
        yield (
            f"spearman here is ours: how cleanly similarity tells relevant pairs from {others}. "
            f"The leaderboard's metric is {scores.main_score} = {scores.score():.4f}"
        )
    if requirement.kind is Kind.VS_PUBLISHED and published:
        theirs, ours = published.data_revision, scores.data_revision
        if theirs != ours and not ours.startswith("sha256:"):
            yield f"published on data revision {theirs[:8]}, measured on {ours[:8]}"
        measured = result.encoder.identity.revision
        expected = measured or registered_revision(result.encoder.name)
        if expected and not published.model_revision.startswith(expected):
            known = f"revision {published.model_revision[:8]}" if published.names_a_commit else "an unknown revision"
            yield f"published for {known} of the model; {'measured with' if measured else 'mteb names'} {expected[:8]}"


def check(query: TaskQuery, requirements: Sequence[Requirement], *, ranked: bool = False) -> None:
    """Check that task and metrics exist, and that bounds on its main score can hold and fail; nothing is evaluated.

    Args:
        query: The task, or the part of a task.
        requirements: Requirements on it.
        ranked: Whether it must be a task that ranks documents.

    Raises:
        TaskError: If anything does not exist; the text lists what does.
        SpecError: If a bound can't hold or can't fail; the text has the range of the metric.
    """
    require_mteb()
    from pytest_embedqa.quality.mteb import tasks  # imports mteb: seconds

    main_score = tasks.check(query, [requirement.measure for requirement in requirements], ranked=ranked)
    for requirement in requirements:
        if requirement.measure == MAIN_SCORE:
            replace(requirement, measure=main_score)


def benchmark_queries(name: str) -> dict[str, TaskQuery]:
    """Return the queries of a benchmark by the name of the task, with its own choice of splits and subsets.

    Raises:
        TaskError: If there is no such benchmark, or it has no task on text alone.
    """
    require_mteb()
    from pytest_embedqa.quality.mteb import tasks

    return {query.name: query for query in tasks.benchmark_queries(name)}


def benchmark_means(scores: Iterable[TaskScores]) -> dict[str, float]:
    """Return the leaderboard's means of main scores: over a benchmark's tasks, and over the means of task types."""
    by_type: dict[str, list[float]] = {}
    for one in scores:
        by_type.setdefault(one.type, []).append(one.score())
    return {
        MEAN: fmean(score for group in by_type.values() for score in group),
        MEAN_BY_TYPE: fmean(fmean(group) for group in by_type.values()),
    }


def check_means(name: str, requirements: Iterable[Requirement]) -> None:
    """Check that the leaderboard has these means of a benchmark.

    Raises:
        TaskError: If it shows other means, or if some tasks of the benchmark are not on text.
    """
    require_mteb()
    from pytest_embedqa.quality.mteb import tasks

    shown = tasks.means_of(name)
    for requirement in requirements:
        if requirement.measure not in shown:
            raise TaskError(
                f"{requirement}: the leaderboard has no such mean of {name}. "
                + (
                    f"It shows: {', '.join(sorted(shown))}."
                    if shown
                    else "Bound its tasks instead, e.g. vs_published=."
                )
            )


def mteb_prompts(model: str, own: Prompts) -> Prompts | None:
    """Return mteb's prompts for a model that declares ``own``; ``None`` without mteb, or where mteb uses ``own``."""
    if importlib.util.find_spec("mteb") is None:
        return None
    # mteb takes seconds to load, and each model whose prompts it knows is called ORG/MODEL.
    if "/" not in model and own == NO_PROMPTS:
        return own
    from pytest_embedqa.quality.mteb import prompts

    return prompts.model_prompts(model, own)


def mteb_engine(model: Any) -> PythonEngine:  # any class that follows the protocol
    """Make an engine around a model of mteb's protocol."""
    require_mteb()
    from pytest_embedqa.quality.mteb.protocol import MtebEngine

    return MtebEngine.of(model)


def _evaluate(query: TaskQuery, encoder: System, datasets: Path | None, max_minutes: float | None) -> TaskScores:
    require_mteb()
    from pytest_embedqa.quality.mteb import evaluation

    return evaluation.evaluate(query, encoder, datasets=datasets, max_minutes=max_minutes)


def require_mteb() -> None:
    """Require the package that evaluates.

    Raises:
        MissingExtraError: If it is not installed.
    """
    if importlib.util.find_spec("mteb") is None:
        raise MissingExtraError("mteb", "quality", "@mteb_task")

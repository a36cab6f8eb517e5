"""Evaluation of an encoder with mteb's own code."""

from __future__ import annotations

import contextlib
import io
import logging
import time
import traceback
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import mteb
from mteb.abstasks import AbsTask, AbsTaskRetrieval
from mteb.abstasks.aggregated_task import AbsTaskAggregate

from pytest_embedqa.core.errors import DataError, EmbedQAError, TaskError
from pytest_embedqa.core.retrieval_data import RetrievalData
from pytest_embedqa.core.slice import Ranking, Slice
from pytest_embedqa.encoders.composites import Composite, Rerank
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.prompts import TaskContext
from pytest_embedqa.encoders.representations import MULTI_VECTOR
from pytest_embedqa.encoders.system import System
from pytest_embedqa.quality.datasets import loading, locate, reading, revision_of
from pytest_embedqa.quality.mteb.evidence import EvidenceRecorder
from pytest_embedqa.quality.mteb.prompts import task_context
from pytest_embedqa.quality.mteb.rows import check_rows
from pytest_embedqa.quality.mteb.searchers import RerankModel, Searcher, model_of
from pytest_embedqa.quality.mteb.searching import (
    SearchedModel,
    documents_of,
    searched,
    texts_of,
    without_deeper,
)
from pytest_embedqa.quality.mteb.separation import task_separation
from pytest_embedqa.quality.mteb.slices import count_judged, make_slice
from pytest_embedqa.quality.mteb.stages import has_candidates, notes_on, stages_of
from pytest_embedqa.quality.mteb.tasks import find_task
from pytest_embedqa.quality.own_tasks import OwnTask
from pytest_embedqa.quality.retrievers.system import RetrieverSystem
from pytest_embedqa.quality.sampling import sample
from pytest_embedqa.quality.task import SEPARATION, SEPARATION_TYPES, TaskQuery, TaskScores

# The recorder keeps predictions in memory; nothing is written to this path.
_NOWHERE = Path("predictions")
# Types of task that rank documents, and so need no vector of each text.
_RANKING = ("Retrieval", "Reranking", "InstructionRetrieval", "InstructionReranking")


def evaluate(
    query: TaskQuery, encoder: System, *, datasets: Path | None = None, max_minutes: float | None = None
) -> TaskScores:
    """Evaluate a system on a task with mteb's own code.

    Args:
        query: The task, or the part of a task.
        encoder: The system.
        datasets: Folder with data in the Hub's layout, used instead of the Hub.
        max_minutes: Stop encoding after this time.

    Raises:
        TaskError, MissingDataError, DataError: If there is nothing to evaluate on.
        EncoderFaultError, TimeLimitError: If the encoder fails on the way.
    """
    with quietly():
        task, revisions = _loaded(query, encoder, datasets)
    parts = list(parts_of(task))
    began = time.monotonic()
    with encoder.time_limit(max_minutes):
        if isinstance(encoder, RetrieverSystem):  # not quietly: what a pipeline of the user's own prints is its own
            model: Searcher | SearchedModel = searched(query, parts, encoder)
        else:
            model = model_of(encoder, {part.metadata.name: task_context(part) for part in parts})
        with quietly():
            scores = _scored(query, encoder, task, revisions, model)
    return replace(scores, seconds=time.monotonic() - began)


def corpus_of(query: TaskQuery, *, datasets: Path | None = None) -> dict[str, str]:
    """Return the texts of the documents of a retrieval task by id, title and text joined as models read them.

    Args:
        query: The task, or the part of a task.
        datasets: Folder with data in the Hub's layout, used instead of the Hub.

    Raises:
        TaskError, MissingDataError, DataError: If there are none.
    """
    with quietly():
        parts = list(parts_of(find_task(query)))
        for part in parts:
            load(part, datasets)
        return documents_of(query, parts)


def retrieval_data_of(query: TaskQuery, *, datasets: Path | None = None) -> tuple[RetrievalData, TaskContext]:
    """Return the texts and judgements of one split and subset of a retrieval task, and the facts that prompts depend on.

    Args:
        query: The task, or the part of a task.
        datasets: Folder with data in the Hub's layout, used instead of the Hub.

    Raises:
        TaskError, MissingDataError, DataError: If there are none, or several.
    """
    with quietly():
        tasks = list(parts_of(find_task(query)))
        for task in tasks:
            load(task, datasets)
            check_rows(task, chosen=isinstance(query.task, OwnTask))
        return texts_of(query, tasks), task_context(tasks[0])


def answers_of(query: TaskQuery, retriever: RetrieverSystem, *, datasets: Path | None = None) -> dict[str, list[str]]:
    """Return the ids of the documents that a retriever finds for each query, the best first.

    Args:
        query: The task, or the part of a task, of one split and subset.
        retriever: The retriever.
        datasets: Folder with data in the Hub's layout, used instead of the Hub.
    """
    with quietly():
        tasks = list(parts_of(find_task(query)))
        for task in tasks:
            load(task, datasets)
    return searched(query, tasks, retriever).ranked()


def slice_of(
    query: TaskQuery, scores: TaskScores, part: tuple[str, str] | None, *, datasets: Path | None = None
) -> tuple[Slice, TaskContext] | None:
    """Return a slice of an evaluated task, and the facts that its prompts depend on.

    Args:
        query: The task, or the part of a task.
        scores: Its scores.
        part: The split and subset to draw from; the first by default.
        datasets: Folder with data in the Hub's layout, used instead of the Hub.

    Returns:
        ``None`` if this type of task has no slice.
    """
    with quietly():
        task = find_task(query)
        if isinstance(task, AbsTaskAggregate):
            return None
        load(task, datasets)
        judged, missing = count_judged(task, part)
        if query.limit:
            sample(task, query.limit)
        found = make_slice(task, {part: exhibit.rankings for part, exhibit in scores.exhibits.items()}, part)
        if isinstance(found, Ranking):
            # These count the whole task: in a sample their number depends on chance.
            found = replace(found, judged=judged, missing=missing)
    return (found, task_context(task)) if found else None


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Hold back noise that would bury the text of a failure: mteb's progress bars and log, advice on newer tasks."""
    logger = logging.getLogger("mteb")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*is superseded by")
            warnings.filterwarnings("ignore", message="To copy construct from a tensor")  # mteb's bitext search
            yield
    finally:
        logger.setLevel(level)


def _require_ranking(query: TaskQuery, parts: Iterable[AbsTask], system: System) -> None:
    """Refuse a task that needs a vector of each text, for a system that has none, before any data is read."""
    if isinstance(system, Encoder) and system.representation is not MULTI_VECTOR:
        return
    for part in parts:
        if not isinstance(part, AbsTaskRetrieval):
            raise TaskError(
                f"{query.name} is of the type {part.metadata.type}, which needs one vector of each text, and '{system.spec}' "
                f"({system.kind}) has none. It can be evaluated on tasks that rank documents: {', '.join(_RANKING)}."
            )


def _loaded(query: TaskQuery, encoder: System, datasets: Path | None) -> tuple[AbsTask, list[str]]:
    """Return a task with its data, and the revisions of the tasks that it is made of."""
    task = find_task(query)
    parts = list(parts_of(task))
    _require_ranking(query, parts, encoder)
    revisions = [load(part, datasets) for part in parts]
    for part in parts:
        if query.limit:
            sample(part, query.limit)
        check_rows(part, chosen=query.limit is not None or isinstance(query.task, OwnTask))
    if query.top_k and any(map(has_candidates, parts)):
        raise TaskError(
            f"{query.name} brings the candidates of each query: there is no first stage to choose. Leave first_stage=, reranker= and "
            "top_k= out, and name the reranker with --embedqa-model."
        )
    return task, revisions


def _scored(
    query: TaskQuery, encoder: System, task: AbsTask, revisions: list[str], model: Searcher | SearchedModel
) -> TaskScores:
    """Let mteb score a model on a loaded task."""
    recorder = EvidenceRecorder(parts_of(task))
    encoded = encoder.encoded
    # Some tasks read more rows while they are scored (FollowIR): these must be read in the same way.
    with encoder.counting_cuts() as truncation, reading(revisions[-1]), _by_mteb(query):
        (result,) = mteb.evaluate(
            model,
            task,
            cache=None,
            co2_tracker=False,
            show_progress_bar=False,
            prediction_folder=_NOWHERE,
            encode_kwargs={"show_progress_bar": False},
        )
    scores = {split: {part["hf_subset"]: dict(part) for part in subsets} for split, subsets in result.scores.items()}
    whole = not isinstance(task, AbsTaskAggregate)
    if isinstance(encoder, RetrieverSystem):
        scores = {
            split: {subset: without_deeper(part, encoder.top_k) for subset, part in subsets.items()}
            for split, subsets in scores.items()
        }
    elif task.metadata.type in SEPARATION_TYPES and whole and isinstance(encoder, Encoder):
        for split, subsets in scores.items():
            for subset, part_scores in subsets.items():
                part_scores[SEPARATION] = task_separation(task, encoder, task_context(task), split, subset)
    recorder.stop()
    evidence = recorder.evidence(scores)
    main = evidence.get(task.metadata.main_score) or next(iter(evidence.values()), None)
    stages, notes = None, model.notes if isinstance(model, SearchedModel) else []
    if isinstance(encoder, Composite) and whole:
        if isinstance(encoder, Rerank) and isinstance(model, RerankModel):
            stages = stages_of(task, encoder, model, recorder.exhibits)
        flat = [part[task.metadata.main_score] for subsets in scores.values() for part in subsets.values()]
        notes = notes_on(task, encoder, model, sum(flat) / len(flat))
    size, indexed = model.bytes
    return TaskScores(
        task=query.name,
        type=task.metadata.type,
        main_score=task.metadata.main_score,
        scores=scores,
        evidence=evidence,
        data_revision="+".join(revisions),
        limit=query.limit,
        units=main.count if main else 0,
        encoded=encoder.encoded - encoded,
        truncation=truncation,
        ranges=getattr(model, "ranges", None),
        exhibits=recorder.exhibits,
        libraries={"mteb": mteb.__version__, "datasets": version("datasets")},
        bytes=size / indexed if indexed else None,
        stages=stages,
        notes=tuple(notes),
    )


@contextlib.contextmanager
def _by_mteb(query: TaskQuery) -> Iterator[None]:
    """Add the name of the task, and the place, to errors that mteb or a library below it raises inside this context.

    Raises:
        DataError: For any error that is not this package's own: the data has another form than the task expects.
    """
    try:
        yield
    except EmbedQAError:
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise DataError(
            f"mteb can't evaluate {query.name} on this data: {type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno}). "
            "Compare its columns and their types with those of the public dataset."
        ) from error


def parts_of(task: AbsTask) -> Iterator[AbsTask]:
    """Yield the tasks that an aggregate is made of; for any other task the task itself."""
    if isinstance(task, AbsTaskAggregate):
        for part in task.metadata.tasks:
            yield from parts_of(part)
    else:
        yield task


def load(task: AbsTask, datasets: Path | None) -> str:
    """Load the data of a task, and return its revision."""
    if task.data_loaded:  # a task on the user's own data
        return str(task.metadata.revision)
    hub_name = task.metadata.dataset["path"]
    folder = locate(datasets, hub_name, task.metadata.name) if datasets else None
    if folder:
        source = {**task.metadata.dataset, "path": str(folder)}
        task.metadata = task.metadata.model_copy(update={"dataset": source})
    with loading(hub_name, folder):
        task.load_data()
        if isinstance(task, AbsTaskRetrieval):
            task.convert_v1_dataset_format_to_v2(num_proc=None)
    return revision_of(folder) if folder else str(task.metadata.revision)

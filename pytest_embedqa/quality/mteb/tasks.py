"""Look-up of mteb's tasks, and making of tasks from a user's own data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_args
from urllib.parse import quote

import mteb
from datasets import Dataset, DatasetDict
from mteb._evaluators.text.summarization_evaluator import SummarizationMetrics
from mteb.abstasks import (
    AbsTask,
    AbsTaskClassification,
    AbsTaskMultilabelClassification,
    AbsTaskPairClassification,
    AbsTaskRetrieval,
    AbsTaskSTS,
)
from mteb.abstasks.aggregated_task import AbsTaskAggregate
from mteb.abstasks.classification import ClassificationMetrics
from mteb.abstasks.clustering_legacy import ClusteringMetrics
from mteb.abstasks.multilabel_classification import MultilabelClassificationMetrics
from mteb.abstasks.regression import AbsTaskRegression, RegressionMetrics
from mteb.abstasks.sts import STSMetrics
from mteb.abstasks.task_metadata import TaskMetadata, TaskType
from mteb.abstasks.text.bitext_mining import AbsTaskBitextMining, BitextMiningMetrics
from mteb.abstasks.text.summarization import AbsTaskSummarization
from mteb.benchmarks import Benchmark
from mteb.benchmarks.benchmark import BenchmarkAggregation

from pytest_embedqa.core.errors import TaskError
from pytest_embedqa.encoders.prompts import KIND_NAMES
from pytest_embedqa.encoders.spec import nearest
from pytest_embedqa.quality.datasets import cache_of
from pytest_embedqa.quality.mteb.corpus import on_disk
from pytest_embedqa.quality.own_tasks import OwnTask, data_digest, read_pairs, read_retrieval
from pytest_embedqa.quality.task import (
    ALIASES,
    MEAN,
    MEAN_BY_TYPE,
    SEPARATION,
    SEPARATION_TYPES,
    TOKENS_LOST,
    TRUNCATED,
    TaskQuery,
)

# pytrec_eval's names of per-query values, by the stem of mteb's metric.
PER_QUERY = {"ndcg": "ndcg_cut", "map": "map_cut", "recall": "recall", "precision": "P", "hit_rate": "success"}
_OWN: dict[str, tuple[type[AbsTask], str]] = {
    "Retrieval": (AbsTaskRetrieval, "ndcg_at_10"),
    "STS": (AbsTaskSTS, "cosine_spearman"),
    "PairClassification": (AbsTaskPairClassification, "max_ap"),
    "BitextMining": (AbsTaskBitextMining, "f1"),
}


def find_task(query: TaskQuery) -> AbsTask:
    """Return a fresh task with its splits and subsets chosen.

    Raises:
        TaskError: If there is no such task, split, subset or language; the text lists what there is.
    """
    if isinstance(query.task, OwnTask):
        task = _own_task(query.task)
    else:
        try:
            task = mteb.get_task(query.task)
        except KeyError:
            known = [task.metadata.name for task in mteb.get_tasks(exclude_superseded=False, exclude_aggregate=False)]
            guess = nearest(query.task, known)
            own = " For data of your own see retrieval_task, sts_task, pair_task and bitext_task."
            raise TaskError(
                f"mteb {mteb.__version__} has no task '{query.task}'.{guess} mteb.get_tasks() lists them."
                + (own if {".", "/"} & set(query.task) or not guess else "")
            ) from None
    if isinstance(task, AbsTaskAggregate):
        _renew_parts(task)
    if not _on_text(task):
        raise TaskError(
            f"{query.name} is a task on {', '.join(task.modalities)}; only text is encoded here, and images, audio and video stay out. "
            "Choose a task on text alone."
        )
    _choose(task, query)
    return task


def _renew_parts(task: AbsTaskAggregate) -> None:
    """Give an aggregate parts of its own: mteb keeps a shared instance of each in the process, with its data."""
    fresh = []
    for part in task.metadata.tasks:
        own = type(part)()
        own.hf_subsets, own._eval_splits = part.hf_subsets, part._eval_splits  # noqa: SLF001  mteb's filters set these
        fresh.append(own)
    task.metadata = task.metadata.model_copy(update={"tasks": fresh})
    task.tasks = fresh
    task.taskname_to_task = {part.metadata.name: part for part in fresh}


def _choose(task: AbsTask, query: TaskQuery) -> None:
    has = {"splits": list(task.metadata.eval_splits), "subsets": list(task.metadata.hf_subsets)}
    for what, wanted in (("splits", query.splits), ("subsets", query.subsets)):
        wrong = [name for name in wanted or () if name not in has[what]]
        if wrong:
            raise TaskError(
                f"{query.name} has no {what} {', '.join(wrong)}.{nearest(wrong[0], has[what])} It has: {', '.join(has[what][:40])}."
            )
    if query.splits:
        task.filter_eval_splits(list(query.splits))
    if query.subsets or query.languages:
        try:
            task.filter_languages(
                list(query.languages) if query.languages else None,
                hf_subsets=list(query.subsets) if query.subsets else None,
            )
        except (ValueError, KeyError) as error:
            raise TaskError(
                f"{query.name} has no subset in the languages {', '.join(query.languages or ())}: {error}. Write them as mteb does, e.g. languages=['eng']."
            ) from None


def rows_of(task: AbsTask, split: str, subset: str) -> Any:  # mteb's data of a split
    """Return the loaded data of a split and subset; a task with a single subset keeps its splits directly."""
    return task.dataset.get(subset, task.dataset)[split]


def gold_of(rows: Any, count: int) -> list[int]:  # a Dataset, or a plain dictionary (BUCC)
    """Return the row of the translation of each of ``count`` sentences of a bitext task."""
    columns = getattr(rows, "column_names", rows)
    return [pair[1] for pair in rows["gold"]] if "gold" in columns else list(range(count))


def metrics(task: AbsTask) -> list[str]:
    """Return the metrics that a task will report, as far as mteb tells before an evaluation."""
    names: set[str] = {"main_score", task.metadata.main_score, TRUNCATED, TOKENS_LOST}
    if isinstance(task, AbsTaskAggregate):
        return sorted(names)
    if isinstance(task, AbsTaskRetrieval):
        names |= {f"{stem}_at_{k}" for stem in [*PER_QUERY, "mrr"] for k in task.k_values} | {"accuracy"}
    elif isinstance(task, AbsTaskSTS):
        names |= set(STSMetrics.__annotations__)
    elif isinstance(task, AbsTaskClassification):
        names |= set(_metrics_of_labels(task).__annotations__)
    elif isinstance(task, AbsTaskSummarization):
        names |= set(SummarizationMetrics.__annotations__)
    elif isinstance(task, AbsTaskBitextMining):
        names |= set(BitextMiningMetrics.__annotations__)
    elif isinstance(task, AbsTaskPairClassification):
        stems, of = (
            ("similarity", "cosine", "manhattan", "euclidean", "dot", "max"),
            ("accuracy", "f1", "precision", "recall", "ap"),
        )
        names |= {f"{stem}_{metric}" for stem in stems for metric in of}
    elif "Clustering" in task.metadata.type:
        names |= {*ClusteringMetrics.__annotations__, "v_measure_std"}
    if task.metadata.type in SEPARATION_TYPES:
        names.add(SEPARATION)
    return sorted(names)


def _metrics_of_labels(task: AbsTaskClassification) -> Any:  # a TypedDict
    if isinstance(task, AbsTaskRegression):
        return RegressionMetrics
    return (
        MultilabelClassificationMetrics if isinstance(task, AbsTaskMultilabelClassification) else ClassificationMetrics
    )


def benchmark_queries(name: str) -> list[TaskQuery]:
    """Return the tasks on text of a benchmark, each with the benchmark's choice of splits and subsets.

    Raises:
        TaskError: If there is no such benchmark, or it has no task on text alone.
    """
    benchmark = find_benchmark(name)
    queries = [_query_of(task) for task in benchmark.tasks if _on_text(task)]
    if not queries:
        raise TaskError(f"{name} has no task on text alone, and only text is encoded here. Choose another benchmark.")
    return queries


def means_of(name: str) -> set[str]:
    """Return the names of the means that a benchmark's leaderboard shows; none if some of its tasks are not on text.

    Raises:
        TaskError: If there is no such benchmark.
    """
    benchmark = find_benchmark(name)
    if not all(map(_on_text, benchmark.tasks)):
        return set()
    known = {MEAN: BenchmarkAggregation.MEAN_TASK, MEAN_BY_TYPE: BenchmarkAggregation.MEAN_TASK_TYPE}
    return {mean for mean, how in known.items() if how in benchmark.aggregations}


def find_benchmark(name: str) -> Benchmark:
    """Return a benchmark of mteb's.

    Raises:
        TaskError: If there is none of that name; the text has the nearest name.
    """
    try:
        return mteb.get_benchmark(name)
    except KeyError:
        known = [benchmark.name for benchmark in mteb.get_benchmarks()]
        raise TaskError(
            f"mteb {mteb.__version__} has no benchmark '{name}'.{nearest(name, known)} mteb.get_benchmarks() lists them."
        ) from None


def _on_text(task: AbsTask) -> bool:
    return set(task.modalities) == {"text"}


def _query_of(task: AbsTask) -> TaskQuery:
    """Return a benchmark's choice of a task's parts; ``None`` for splits and subsets that are the task's own."""
    splits, subsets = tuple(task.eval_splits), tuple(task.hf_subsets)
    return TaskQuery(
        task.metadata.name,
        splits if splits != tuple(task.metadata.eval_splits) else None,
        subsets if set(subsets) != set(task.metadata.hf_subsets) else None,
    )


def check(query: TaskQuery, measures: Iterable[str], *, ranked: bool = False) -> str:
    """Check that task, splits, subsets and metrics exist, without reading any data.

    Returns:
        Name of the metric that is the task's main score.

    Raises:
        TaskError: If anything does not exist; the text names it, lists what there is, and gives the nearest name.
    """
    task = own_class(query.task, "")() if isinstance(query.task, OwnTask) else find_task(query)
    if isinstance(query.task, OwnTask):
        _require_own_name(query.task)
        if not query.task.path.exists():
            raise TaskError(
                f"The data of {query.name} is not there: {query.task.path} does not exist. Paths are relative to the folder of the test file."
            )
        _choose(task, query)
    if ranked and not isinstance(task, AbsTaskRetrieval):
        raise TaskError(f"rescore= is for tasks that rank documents; {query.name} is of the type {task.metadata.type}.")
    has = metrics(task)
    aliases = ALIASES.get(task.metadata.type, {})
    wrong = [
        measure for measure in measures if aliases.get(measure, measure) not in has and not measure.startswith("nauc_")
    ]
    if wrong:
        listed = [name for name in has if not name.endswith(("_at_1", "_at_3", "_at_5", "_at_20", "_at_1000"))]
        raise TaskError(
            f"{query.name} ({task.metadata.type}) has no metric '{wrong[0]}'.{nearest(wrong[0], [*has, *aliases])} "
            f"It has: {', '.join(listed)}{' (and other cut-offs)' if len(listed) < len(has) else ''}."
        )
    return str(task.metadata.main_score)


def _require_own_name(own: OwnTask) -> None:
    """Refuse the name of another task of mteb's: prompts and published scores are found by it.

    Raises:
        TaskError: If mteb has such a task; the text says what to do.
    """
    try:
        mteb.get_task(own.name)
    except KeyError:
        of_kinds = {kind for names in KIND_NAMES.values() for kind in names}
        if own.name not in of_kinds | set(get_args(TaskType)) - {own.type}:
            return
    raise TaskError(
        f"Your own data {own.path} is called '{own.name}', a name that mteb uses too, to find a model's prompts and published scores. "
        "Give it another name with name=."
    )


def own_class(own: OwnTask, digest: str) -> type[AbsTask]:
    """Return the class of a task on the user's own data, whose content has this digest."""
    base, main_score = _OWN[own.type]
    metadata = TaskMetadata(
        name=own.name,
        description=f"The user's own data in {own.path.name}",
        type=own.type,
        category="t2t",
        reference=None,
        eval_splits=[own.split],
        eval_langs=["eng-Latn"],  # required by mteb, without effect
        main_score=main_score,
        dataset={"path": f"local/{own.name}", "revision": f"sha256:{digest}"},
        prompt=own.instruction,
    )
    details: dict[str, Any] = {"metadata": metadata}
    if own.type == "STS":
        details.update(min_score=own.score_range[0], max_score=own.score_range[1])
    elif own.type == "PairClassification":
        details["label_column_name"] = "label"
    return type(base.__name__, (base,), details)


def _own_task(own: OwnTask) -> AbsTask:
    """Make a loaded mteb task of the user's own data."""
    data: Any
    if own.type == "Retrieval":
        corpus, queries, judged = read_retrieval(own)
        digest = data_digest(own)
        # As in the Hub's loader: queries without judgements can't be scored.
        answered = [{"id": query["id"], "text": query["text"]} for query in queries if query["id"] in judged]
        # The split is in the name too: the check that judged documents exist holds for it alone.
        place = cache_of(digest) / f"{quote(own.split, safe='')}.arrow"
        rows = {"corpus": on_disk(place, corpus), "queries": Dataset.from_list(answered)}
        data = {"default": {own.split: {**rows, "relevant_docs": judged, "top_ranked": None}}}
    else:
        data = DatasetDict({own.split: Dataset.from_list(read_pairs(own))})
        digest = data_digest(own)
    task = own_class(own, digest)()
    task.dataset = data
    task.data_loaded = True
    return task

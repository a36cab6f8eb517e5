"""The number of texts that a task encodes, by mteb's statistics or counted in its data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any, NamedTuple

from mteb._create_dataloaders import _retrieval_texts
from mteb.abstasks import AbsTask, AbsTaskClassification, AbsTaskRetrieval
from mteb.abstasks.regression import AbsTaskRegression
from mteb.types import PromptType

from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.quality.mteb.evaluation import load, parts_of, quietly
from pytest_embedqa.quality.mteb.prompts import KINDS, task_context
from pytest_embedqa.quality.mteb.tasks import find_task, rows_of
from pytest_embedqa.quality.sampling import OTHER_DOCUMENTS, clustered, sample
from pytest_embedqa.quality.task import TaskQuery
from pytest_embedqa.quality.work import Work

Facts = Mapping[str, Any]
_NONE = Work(0, 0)


class _Need(NamedTuple):
    """Texts of a task, of which mteb encodes some or all.

    Attributes:
        kind: Kind of the texts, which decides the prompt.
        texts: Different texts.
        wanted: Number of the texts that are encoded.
    """

    kind: PromptType | None
    texts: Sequence[str]
    wanted: int


def estimated(query: TaskQuery) -> Work | None:
    """Return the work of an evaluation; ``None`` if mteb has no statistics of the task."""
    with quietly():
        parts = list(parts_of(find_task(query)))
        found = [_counted(part, query.limit) if part.data_loaded else _told(part, query.limit) for part in parts]
    return reduce(add, (one for one in found if one), _NONE) if all(found) else None


def missing(query: TaskQuery, encoder: Encoder, datasets: Path | None) -> Work:
    """Return the work of an evaluation without the texts in the encoder's store."""
    found = _NONE
    with quietly():
        for part in parts_of(find_task(query)):
            load(part, datasets)
            context = task_context(part)
            for need in _needs(part, query.limit):
                stored = encoder.stored(need.texts, KINDS[need.kind], context)
                found += _part_of(need, max(0, need.wanted - stored))
    return found


def _counted(task: AbsTask, limit: int | None) -> Work:
    return reduce(add, (_part_of(need, need.wanted) for need in _needs(task, limit)), _NONE)


def _part_of(need: _Need, count: int) -> Work:
    return Work(count, round(sum(map(len, need.texts)) * count / max(1, len(need.texts))))


def _needs(task: AbsTask, limit: int | None) -> Iterator[_Need]:
    """Yield the texts that a task with its data loaded encodes."""
    if limit:
        sample(task, limit)
    parallel = getattr(task, "parallel_subsets", False)
    for split in task.eval_splits:
        for subset in task.hf_subsets[:1] if parallel else task.hf_subsets:
            rows = task.dataset[split] if parallel else rows_of(task, split, subset)
            if isinstance(task, AbsTaskRetrieval):
                yield _need(_retrieval_texts(rows["queries"], PromptType.query), PromptType.query)
                yield _need(_retrieval_texts(rows["corpus"], PromptType.document), PromptType.document)
                continue
            columns = task._get_content_columns()  # noqa: SLF001  each type of task has columns of its own
            evaluated = _need(text for column in columns for text in _flat(rows[column]))
            yield evaluated._replace(wanted=clustered(task, evaluated.wanted))
            if isinstance(task, AbsTaskClassification) and task.train_split not in task.eval_splits:
                training = rows_of(task, task.train_split, subset)
                learned = _need(text for column in columns for text in _flat(training[column]))
                labels = len({str(label) for label in training[task.label_column_name]})
                yield learned._replace(wanted=_learned_from(task, learned.wanted, labels))


def _need(texts: Iterable[str], kind: PromptType | None = None) -> _Need:
    distinct = list(dict.fromkeys(texts))
    return _Need(kind, distinct, len(distinct))


def _flat(column: Iterable[Any]) -> Iterator[str]:
    """Yield the texts of a column; some tasks keep a list of texts in each row."""
    for value in column:
        yield from [value] if isinstance(value, str) else value


def _told(task: AbsTask, limit: int | None) -> Work | None:
    """Return the work of a task by mteb's statistics of it."""
    facts = task.metadata.descriptive_stats or {}
    found = _NONE
    for split in task.eval_splits:
        languages: set[str] = set()
        for subset in task.hf_subsets:
            here, training = (_subset(facts, one, subset) for one in (split, getattr(task, "train_split", "")))
            if not here:
                return None
            if getattr(task, "parallel_subsets", False):  # every pair of languages has the same texts
                sides = dict(zip(("sentence1_statistics", "sentence2_statistics"), subset.split("-"), strict=True))
                here = {name: here[name] for name, language in sides.items() if language not in languages}
                languages.update(sides.values())
            found += _evaluated(task, here, limit)
            if isinstance(task, AbsTaskClassification) and training and task.train_split not in task.eval_splits:
                texts = training["text_statistics"]
                labels = (training.get("label_statistics") or training.get("labels_statistics") or {}).get(
                    "unique_labels", 1
                )
                found += _work(texts, _learned_from(task, texts["unique_texts"], labels))
    return found


def _subset(facts: Facts, split: str, subset: str) -> Facts:
    here = facts.get(split) or {}
    by_subset = here.get("hf_subset_descriptive_stats")
    found: Facts = by_subset.get(subset, {}) if by_subset else here
    return found


def _evaluated(task: AbsTask, facts: Facts, limit: int | None) -> Work:
    found = _NONE
    for name, texts in facts.items():
        if not isinstance(texts, Mapping) or "total_text_length" not in texts:
            continue  # labels, images, judgements
        count = texts["unique_texts"]
        if limit and name == "documents_text_statistics":
            ranked = facts.get("top_ranked_statistics") or {}
            judged = facts["relevant_docs_statistics"]["average_relevant_docs_per_query"]
            needed = ranked.get("average_top_ranked_per_query", judged)
            count = min(count, round(min(limit, facts["num_queries"]) * needed) + OTHER_DOCUMENTS * limit)
        elif limit:
            count = min(clustered(task, count), limit)
        else:
            count = clustered(task, count)
        found += _work(texts, count)
    return found


def _work(texts: Facts, count: int) -> Work:
    return Work(count, round(texts["average_text_length"] * count))


def _learned_from(task: AbsTaskClassification, count: int, labels: int) -> int:
    """Return how many of ``count`` training texts are drawn: each experiment draws anew, some texts again."""
    if task.is_cross_validation or not count:
        return count
    drawn = task.n_samples if isinstance(task, AbsTaskRegression) else task.samples_per_label * labels
    left: float = (1 - min(1.0, drawn / count)) ** task.n_experiments
    return round(count * (1 - left))

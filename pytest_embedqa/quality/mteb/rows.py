"""Checks of a loaded task's rows, before anything is encoded."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from mteb.abstasks import (
    AbsTask,
    AbsTaskClassification,
    AbsTaskClustering,
    AbsTaskPairClassification,
    AbsTaskSTS,
)
from mteb.abstasks.text.bitext_mining import AbsTaskBitextMining

from pytest_embedqa.core.errors import DataError, MissingDataError
from pytest_embedqa.quality.mteb.tasks import rows_of
from pytest_embedqa.quality.own_rows import NUL


def check_rows(task: AbsTask, *, chosen: bool) -> None:
    """Check that a task has its splits, texts and grades, and that rows chosen by the user can tell encoders apart.

    Missing columns are left to mteb: some of its tasks have other names for them.

    Args:
        task: A loaded task.
        chosen: Whether its rows are the user's own, or a sample.

    Raises:
        MissingDataError: If a split is missing.
        DataError: If a text or a grade is null or of another type, or if any encoder would score the same.
    """
    for place, rows in _parts(task):
        if isinstance(rows, dict):
            if "relevant_docs" in rows:  # otherwise plain lists, of bitext with gold
                _check_retrieval(rows, place, chosen=chosen)
            continue
        grades = getattr(task, "label_column_name", "score")
        for column in [*task._get_content_columns(), grades]:  # noqa: SLF001  each type of task has columns of its own
            if column in rows.column_names:
                _check_column(rows, column, place)
        if isinstance(task, AbsTaskSTS) and _is_text(rows, grades):
            raise DataError(f"The column '{grades}' of {place} holds texts; numbers are expected there.")
        if chosen:
            _check_distinct(task, rows, grades, place)


def _parts(task: AbsTask) -> Iterator[tuple[str, Any]]:
    """Yield each split and subset that is evaluated or trained on, with words for it."""
    for subset in task.hf_subsets:
        splits = list(task.eval_splits)
        if isinstance(task, AbsTaskClassification):
            splits.append(task.train_split)
        for split in splits:
            try:
                rows = rows_of(task, split, subset)
            except KeyError:
                has = ", ".join(map(str, task.dataset.get(subset, task.dataset)))
                raise MissingDataError(
                    f"no data: {task.metadata.name} is evaluated on the split '{split}', and the data has: {has}"
                ) from None
            yield f"{task.metadata.name} ({split}, {subset})", rows


def _check_column(rows: Dataset, column: str, place: str) -> None:
    values = rows.data.column(column)
    if values.null_count:
        row = pc.index(pc.is_null(values), value=True).as_py() + 1
        raise DataError(f"The column '{column}' of {place} is null in {values.null_count} rows, first in row {row}.")
    if pa.types.is_floating(values.type):
        row = pc.index(pc.is_finite(values), value=False).as_py() + 1
        if row:
            raise DataError(f"The column '{column}' of {place} has NaN or infinity, first in row {row}.")


def _check_retrieval(rows: Mapping[str, Any], place: str, *, chosen: bool) -> None:
    judged = rows["relevant_docs"].values()
    unreadable = [id_ for documents in judged for id_ in documents if NUL in id_]
    for name in ("queries", "corpus"):
        _check_column(rows[name], "text", f"{place}, {name}")
        ids = rows[name].data.column("id")
        unreadable += ids.filter(pc.match_substring(ids, NUL)).to_pylist()
    if unreadable:
        raise DataError(
            f"The id {unreadable[0]!r:.40} of {place} holds a NUL byte, at which trec_eval ends an id. Rename it."
        )
    if not chosen:
        return
    if not any(grade > 0 for documents in judged for grade in documents.values()):
        raise _told_apart(f"No document is relevant for any query of {place}")
    if all(len(documents) == len(rows["corpus"]) and len(set(documents.values())) == 1 for documents in judged):
        raise _told_apart(f"Each document of {place} is as relevant as any other")


def _is_text(rows: Dataset, column: str) -> bool:
    return column in rows.column_names and pa.types.is_string(rows.features.arrow_schema.field(column).type)


def _check_distinct(task: AbsTask, rows: Dataset, grades: str, place: str) -> None:
    compared: list[str] = []
    if isinstance(task, AbsTaskSTS | AbsTaskPairClassification | AbsTaskClassification):
        compared = [grades]
    elif isinstance(task, AbsTaskBitextMining):
        if len(rows) == 1:
            raise _told_apart(f"{place} has one row")
        compared = [column for column in ("sentence1", "sentence2") if column in rows.column_names]
    for column in compared:
        values = rows[column][:]
        if len(values) == 1 and isinstance(values[0], list):  # older pair tasks keep all pairs in a single row
            values = values[0]
        if len(set(map(str, values))) == 1:
            shown = f"{values[0]:g}" if isinstance(values[0], float) else f"{values[0]!s:.40}"
            raise _told_apart(f"In all rows of {place} the {column} is {shown}")
    if isinstance(task, AbsTaskClustering):
        _check_clusters(rows[grades], grades, place)


def _check_clusters(labels: Iterable[Any], column: str, place: str) -> None:
    for level in itertools.zip_longest(*(label if isinstance(label, list) else [label] for label in labels)):
        if len(set(level)) == 1:
            raise _told_apart(f"In all rows of {place} the {column} is {level[0]}")
        if len(set(level)) == len(level):
            raise _told_apart(f"No two rows of {place} have the same {column}")


def _told_apart(problem: str) -> DataError:
    return DataError(
        f"{problem}: nothing can be told apart, and any encoder would score the same. "
        "Give rows that differ, or choose a larger limit=."
    )

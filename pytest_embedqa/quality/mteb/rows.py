"""Checks on the rows of a loaded task, before anything is encoded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from mteb.abstasks import AbsTask, AbsTaskClassification, AbsTaskPairClassification, AbsTaskSTS
from mteb.abstasks.text.bitext_mining import AbsTaskBitextMining

from pytest_embedqa.core.errors import DataError, MissingDataError
from pytest_embedqa.quality.mteb.tasks import rows_of


def check_rows(task: AbsTask, *, chosen: bool) -> None:
    """That a task has its splits, texts and grades, and, where its rows were chosen by the user, something to tell apart.

    Columns that are not there are left to mteb: some of its tasks name theirs elsewhere.

    Args:
        task: A loaded task.
        chosen: Whether its rows are the user's own, or a sample.

    Raises:
        MissingDataError: If a split is not there.
        DataError: If a text or a grade is null or of another type, or if any encoder would score the same.
    """
    for place, rows in _parts(task):
        if isinstance(rows, dict):  # of retrieval; of bitext with gold, plain lists
            for name in ("queries", "corpus"):
                if isinstance(rows.get(name), Dataset):
                    _check_column(rows[name], "text", f"{place}, {name}")
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
    """Each split and subset that is evaluated or learned from, with words for it."""
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
        raise DataError(
            f"The column '{column}' of {place} has nothing (null) in {values.null_count} rows, first in row {row}."
        )


def _is_text(rows: Dataset, column: str) -> bool:
    return column in rows.column_names and pa.types.is_string(rows.features.arrow_schema.field(column).type)


def _check_distinct(task: AbsTask, rows: Dataset, grades: str, place: str) -> None:
    problem = ""
    if isinstance(task, AbsTaskSTS | AbsTaskPairClassification):
        values = rows[grades][:]
        if len(values) == 1 and isinstance(values[0], list):  # older pair tasks keep all pairs in one row
            values = values[0]
        if len(set(values)) == 1:
            problem = f"In all rows of {place} the {grades} is {values[0]:g}"
    elif isinstance(task, AbsTaskBitextMining) and len(rows) == 1:
        problem = f"{place} has one row"
    if problem:
        raise DataError(
            f"{problem}: nothing can be told apart, and any encoder would score the same. "
            "Give rows that differ, or choose a larger limit=."
        )

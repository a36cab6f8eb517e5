"""Slices of a loaded task, on which a low score is diagnosed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from mteb._create_dataloaders import _retrieval_texts
from mteb.abstasks import (
    AbsTask,
    AbsTaskClassification,
    AbsTaskClustering,
    AbsTaskPairClassification,
    AbsTaskRetrieval,
    AbsTaskSTS,
)
from mteb.abstasks.clustering_legacy import AbsTaskClusteringLegacy
from mteb.abstasks.multilabel_classification import AbsTaskMultilabelClassification
from mteb.abstasks.regression import AbsTaskRegression
from mteb.abstasks.text.bitext_mining import AbsTaskBitextMining
from mteb.types import PromptType

from pytest_embedqa.core.slice import Pairs, Ranking, Slice
from pytest_embedqa.quality.mteb.tasks import gold_of, rows_of

Rankings = Mapping[tuple[str, str], Mapping[str, Sequence[str]]]

# Rows of a dataset, or of the parts of a retrieval task.
Data = Any

UNITS = 200
_PAIRS = 1000
# Documents drawn for a query from its best 100, and from all. The very best are left out: they hold the mistakes of
# the encoder that ranked them but not those of another encoder, so that every change would look like an improvement.
_NEAR, _BEST = 3, 100
_RANDOM = 2
_PARTNERS = 2
_SEED = 42


def make_slice(  # noqa: PLR0911  a line for each type of task
    task: AbsTask, rankings: Rankings | None = None, part: tuple[str, str] | None = None, units: int = UNITS
) -> Slice | None:
    """Draw a slice, seeded and uniform: units chosen for their low scores would recover by chance alone.

    Args:
        task: The task with its data loaded.
        rankings: For retrieval, document ids by query id by (split, subset), best first, as the encoder ranked them;
            without rankings, documents are drawn from all.
        part: The (split, subset) to draw from; the first by default.
        units: Largest number of queries or texts; pairs of texts are cheaper, and may be five times as many.

    Returns:
        ``None`` if similarity can't tell right texts from wrong texts in this type of task.
    """
    if isinstance(task, AbsTaskMultilabelClassification | AbsTaskRegression):
        return None
    split, subset = part or (task.eval_splits[0], task.hf_subsets[0])
    parallel = isinstance(task, AbsTaskBitextMining) and task.parallel_subsets
    rows, rng = task.dataset[split] if parallel else rows_of(task, split, subset), np.random.default_rng(_SEED)
    if isinstance(task, AbsTaskRetrieval):
        found = _retrieval(task, rows, (rankings or {}).get((split, subset), {}), units, rng)
        judged, missing = count_judged(task, part)
        return replace(found, judged=judged, missing=missing)
    if isinstance(task, AbsTaskBitextMining):
        return _bitext(rows, subset.split("-") if parallel else ["sentence1", "sentence2"], units, rng)
    if isinstance(task, AbsTaskSTS):
        return _pairs(rows, [*task.column_names, "score"], rng)
    if isinstance(task, AbsTaskPairClassification):
        rows = rows[0] if len(rows) == 1 else rows
        return _pairs(rows, [task.input1_column_name, task.input2_column_name, task.label_column_name], rng)
    if isinstance(task, AbsTaskClassification | AbsTaskClustering | AbsTaskClusteringLegacy):
        return _classes(_flat(rows[task.input_column_name]), _flat(rows[task.label_column_name]), units, rng)
    return None


def count_judged(task: AbsTask, part: tuple[str, str] | None = None) -> tuple[int, int]:
    """Count the judged relevant documents of a retrieval task, and those missing in its corpus; (0, 0) for other tasks.

    Args:
        task: The task with its data loaded.
        part: The (split, subset) to look at; the first by default.
    """
    if not isinstance(task, AbsTaskRetrieval):
        return 0, 0
    rows = rows_of(task, *(part or (task.eval_splits[0], task.hf_subsets[0])))
    there = set(rows["corpus"]["id"])
    judged = [id_ for some in rows["relevant_docs"].values() for id_, grade in some.items() if grade > 0]
    return len(judged), sum(id_ not in there for id_ in judged)


def _retrieval(
    task: AbsTaskRetrieval, rows: Data, ranked: Mapping[str, Sequence[str]], units: int, rng: np.random.Generator
) -> Ranking:
    corpus, judged = rows["corpus"], rows["relevant_docs"]
    place = {id_: row for row, id_ in enumerate(corpus["id"])}
    grades = {query: {id_: grade for id_, grade in some.items() if grade > 0} for query, some in judged.items()}
    asked = [row for row, query in enumerate(rows["queries"]["id"]) if grades.get(query)]
    queries = rows["queries"].select(_draw(asked, units, rng))
    drawn: list[list[int]] = []
    for query in queries["id"]:
        found = [place[id_] for id_ in ranked.get(query, ())[:_BEST] if id_ in place]
        near = _draw(found, _NEAR, rng)
        others = _draw(range(len(place)), _RANDOM + _NEAR - len(near), rng)
        drawn.append([*(place[id_] for id_ in grades[query] if id_ in place), *near, *others])
    chosen = _shuffled((row for some in drawn for row in some), rng)
    at = {row: index for index, row in enumerate(chosen)}
    ids = list(queries["id"])
    same = {query: at[place[id_]] for query, id_ in enumerate(ids) if id_ in place and place[id_] in at}
    return Ranking(
        first=list(_retrieval_texts(queries, PromptType.query)),
        second=list(_retrieval_texts(corpus.select(chosen), PromptType.document)),
        relevant={
            query: {at[place[one]]: float(grade) for one, grade in grades[id_].items() if one in place}
            for query, id_ in enumerate(ids)
        },
        drawn={query: sorted({at[row] for row in some}) for query, some in enumerate(drawn)},
        itself=same if task.ignore_identical_ids else {},
        absent={
            query: lost
            for query, id_ in enumerate(ids)
            if (lost := [float(grade) for one, grade in grades[id_].items() if one not in place])
        },
    )


def _bitext(rows: Data, columns: Sequence[str], units: int, rng: np.random.Generator) -> Ranking:
    first, second = (list(rows[column]) for column in columns)
    gold = gold_of(rows, len(first))
    asked = _draw(range(len(gold)), units, rng)
    drawn = [[gold[row], *_draw(range(len(second)), _RANDOM, rng)] for row in asked]
    chosen = _shuffled((row for some in drawn for row in some), rng)
    at = {row: index for index, row in enumerate(chosen)}
    return Ranking(
        first=[first[row] for row in asked],
        second=[second[row] for row in chosen],
        relevant={query: {at[gold[row]]: 1.0} for query, row in enumerate(asked)},
        drawn={query: sorted({at[row] for row in some}) for query, some in enumerate(drawn)},
        symmetric=True,
    )


def _classes(texts: Sequence[str], labels: Sequence[Any], units: int, rng: np.random.Generator) -> Ranking | None:
    """Draw texts of classes, where texts of the same class are relevant to each other.

    A class may have many texts, so a few of them are drawn for each text.
    """
    names = [label[0] if isinstance(label, list | tuple) else label for label in labels]
    of_class: dict[Any, list[int]] = {}
    for row, name in enumerate(names):
        of_class.setdefault(name, []).append(row)
    asked = _draw([row for row, name in enumerate(names) if len(of_class[name]) > 1], units, rng)
    if not asked:
        return None
    drawn = [[row, *_draw([one for one in of_class[names[row]] if one != row], _PARTNERS, rng)] for row in asked]
    chosen = _shuffled((row for some in drawn for row in some), rng)
    at = {row: index for index, row in enumerate(chosen)}
    return Ranking(
        first=[texts[row] for row in asked],
        second=[texts[row] for row in chosen],
        relevant={
            query: {at[one]: 1.0 for one in chosen if names[one] == names[row] and one != row}
            for query, row in enumerate(asked)
        },
        drawn={query: sorted({at[row] for row in some}) for query, some in enumerate(drawn)},
        itself={query: at[row] for query, row in enumerate(asked)},
        symmetric=True,
    )


def _pairs(rows: Data, columns: Sequence[str], rng: np.random.Generator) -> Pairs:
    first, second, gold = (rows[column] for column in columns)
    order = _draw(range(len(gold)), _PAIRS, rng)
    return Pairs([first[row] for row in order], [second[row] for row in order], np.array([gold[row] for row in order]))


def _draw(rows: Sequence[int], count: int, rng: np.random.Generator) -> list[int]:
    """Draw at most ``count`` different rows, in random order."""
    return [rows[index] for index in rng.choice(len(rows), size=min(count, len(rows)), replace=False)] if rows else []


def _shuffled(rows: Iterable[int], rng: np.random.Generator) -> list[int]:
    """Return each row once, in random order."""
    distinct = sorted(set(rows))
    return [distinct[index] for index in rng.permutation(len(distinct))]


def _flat(column: Sequence[Any]) -> list[Any]:
    """Return the values of a column; older clustering tasks keep a list of values in each row."""
    values = list(column)
    if len(values) < UNITS and values and isinstance(values[0], list) and len(values[0]) > _PARTNERS:
        return [value for some in values for value in some]
    return values

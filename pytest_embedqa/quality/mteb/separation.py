"""Spearman where mteb reports none: how cleanly similarity tells relevant pairs from random ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mteb._create_dataloaders import _retrieval_texts
from mteb.abstasks import AbsTaskPairClassification, AbsTaskRetrieval
from mteb.types import PromptType

from pytest_embedqa.core.measures import Floats, paired_cosine, separation
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.prompts import DOCUMENT, QUERY, SYMMETRIC, TaskContext, TextKind
from pytest_embedqa.quality.mteb.tasks import gold_of, rows_of

_SEED = 42


def task_separation(task: Any, encoder: Encoder, context: TaskContext, split: str, subset: str) -> float:  # noqa: ANN401  any of mteb's task classes
    """Spearman between similarity and relevance over judged relevant and as many unjudged pairs."""
    rng = np.random.default_rng(_SEED)
    rows = rows_of(task, split, subset)
    if isinstance(task, AbsTaskRetrieval):
        pairs, others = _judged_pairs(rows, rng)
        queries = _vectors_of(rows["queries"], [query for query, _ in pairs], QUERY, encoder, context)
        documents = _vectors_of(rows["corpus"], [document for _, document in pairs], DOCUMENT, encoder, context)
        random = _vectors_of(rows["corpus"], others, DOCUMENT, encoder, context)
        return separation(paired_cosine(queries, documents), paired_cosine(queries, random))
    if isinstance(task, AbsTaskPairClassification):
        rows = rows[0] if len(rows) == 1 else rows
        labels = np.asarray(rows[task.label_column_name])
        sides = [
            encoder.encode(list(rows[column]), SYMMETRIC, context)
            for column in (task.input1_column_name, task.input2_column_name)
        ]
        cosines = paired_cosine(*sides)
        return separation(cosines[labels == 1], cosines[labels == 0])
    first, second = (encoder.encode(list(rows[column]), SYMMETRIC, context) for column in ("sentence1", "sentence2"))
    gold = gold_of(rows, len(first))
    shift = rng.integers(1, len(second), size=len(gold))
    return separation(
        paired_cosine(first[: len(gold)], second[gold]),
        paired_cosine(first[: len(gold)], second[(np.array(gold) + shift) % len(second)]),
    )


def _judged_pairs(rows: Any, rng: np.random.Generator) -> tuple[list[tuple[str, str]], list[str]]:  # noqa: ANN401
    """Judged relevant pairs, and for each a document that is not judged for that query."""
    documents = list(rows["corpus"]["id"])
    known = set(documents)
    pairs, others = [], []
    for query, judged in sorted(rows["relevant_docs"].items()):
        relevant = [document for document, score in judged.items() if score > 0 and document in known]
        if len(judged) >= len(documents):
            continue
        for document in relevant:
            while (other := documents[rng.integers(len(documents))]) in judged:
                pass
            pairs.append((query, document))
            others.append(other)
    return pairs, others


def _vectors_of(rows: Any, ids: Sequence[str], kind: TextKind, encoder: Encoder, context: TaskContext) -> Floats:  # noqa: ANN401
    """Vectors of rows by id, from the texts that mteb made of them: they are in the store already."""
    place = {id_: row for row, id_ in enumerate(rows["id"])}
    distinct = list(dict.fromkeys(ids))
    chosen = rows.select([place[id_] for id_ in distinct])
    texts = _retrieval_texts(chosen, PromptType.query if kind is QUERY else PromptType.document)
    vectors = encoder.encode(list(texts), kind, context)
    at = {id_: row for row, id_ in enumerate(distinct)}
    return vectors[[at[id_] for id_ in ids]]

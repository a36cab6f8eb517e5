"""Spearman where mteb reports none: how cleanly similarity tells relevant pairs from random ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mteb._create_dataloaders import _retrieval_texts
from mteb.abstasks import AbsTaskPairClassification, AbsTaskRetrieval
from mteb.types import PromptType

from pytest_embedqa.core.measures import Floats, paired_cosine, separation
from pytest_embedqa.core.search import count
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.prompts import DOCUMENT, QUERY, SYMMETRIC, TaskContext
from pytest_embedqa.encoders.representations import DENSE, Embeddings
from pytest_embedqa.quality.mteb.corpus import Corpus
from pytest_embedqa.quality.mteb.tasks import gold_of, rows_of

_SEED = 42
# Pairs at a time where a text has a vector for each token.
_PAIRS = 256


def task_separation(
    task: Any, encoder: Encoder, context: TaskContext, split: str, subset: str
) -> float:  # any of mteb's task classes
    """Return Spearman between similarity and relevance over judged relevant pairs and as many unjudged pairs."""
    rng = np.random.default_rng(_SEED)
    rows = rows_of(task, split, subset)
    if isinstance(task, AbsTaskRetrieval):
        corpus = Corpus(rows["corpus"])
        asked = set(rows["queries"]["id"])  # the qrels may judge other queries, too
        judged = {query: documents for query, documents in rows["relevant_docs"].items() if query in asked}
        pairs, others = _judged_pairs(judged, corpus, rng)
        step = len(pairs) if encoder.representation is DENSE else _PAIRS
        relevant: list[Floats] = []
        random: list[Floats] = []
        for start in range(0, len(pairs), max(1, step)):
            some = pairs[start : start + step]
            queries = _query_vectors(rows["queries"], [query for query, _ in some], encoder, context)
            for found, numbers in ((relevant, [number for _, number in some]), (random, others[start : start + step])):
                found.append(_paired(encoder, queries, _document_vectors(corpus, numbers, encoder, context)))
        return separation(np.concatenate([np.empty(0), *relevant]), np.concatenate([np.empty(0), *random]))
    if isinstance(task, AbsTaskPairClassification):
        rows = rows[0] if len(rows) == 1 else rows
        labels = np.asarray(rows[task.label_column_name])
        sides = [
            encoder.encode(list(rows[column]), SYMMETRIC, context)
            for column in (task.input1_column_name, task.input2_column_name)
        ]
        cosines = _paired(encoder, *sides)
        return separation(cosines[labels == 1], cosines[labels == 0])
    first, second = (encoder.encode(list(rows[column]), SYMMETRIC, context) for column in ("sentence1", "sentence2"))
    gold = gold_of(rows, count(first))
    shift = rng.integers(1, count(second), size=len(gold))
    return separation(
        _paired(encoder, first[: len(gold)], second[gold]),
        _paired(encoder, first[: len(gold)], second[(np.array(gold) + shift) % count(second)]),
    )


def _paired(encoder: Encoder, first: Embeddings, second: Embeddings) -> Floats:
    """Return the similarity of each row with the row beside it: cosines of dense vectors, else as the model compares."""
    if encoder.representation is DENSE:
        return paired_cosine(first, second)
    return np.array(
        [encoder.similarity(first[row : row + 1], second[row : row + 1])[0, 0] for row in range(count(first))]
    )


def _judged_pairs(
    qrels: Mapping[str, Mapping[str, int]], corpus: Corpus, rng: np.random.Generator
) -> tuple[list[tuple[str, int]], list[int]]:
    """Return judged relevant pairs, and an unjudged document for each pair's query; documents by number."""
    number = corpus.numbers({document for judged in qrels.values() for document in judged})
    pairs, others = [], []
    for query, judged in sorted(qrels.items()):
        if len(judged) >= len(corpus):
            continue
        known = {number[document] for document in judged if document in number}
        for document in (document for document, score in judged.items() if score > 0 and document in number):
            while (other := int(rng.integers(len(corpus)))) in known:
                pass
            pairs.append((query, number[document]))
            others.append(other)
    return pairs, others


def _query_vectors(rows: Any, ids: Sequence[str], encoder: Encoder, context: TaskContext) -> Embeddings:
    """Return the vectors of queries by id, from the texts that mteb made of them: they are in the store already."""
    number = {id_: row for row, id_ in enumerate(rows["id"])}
    distinct = list(dict.fromkeys(ids))
    texts = _retrieval_texts(rows.select([number[id_] for id_ in distinct]), PromptType.query)
    at = {id_: row for row, id_ in enumerate(distinct)}
    return _chosen(encoder.encode(list(texts), QUERY, context), [at[id_] for id_ in ids])


def _document_vectors(corpus: Corpus, numbers: Sequence[int], encoder: Encoder, context: TaskContext) -> Embeddings:
    distinct, rows = np.unique(numbers, return_inverse=True)
    return _chosen(encoder.encode(corpus.texts(distinct.tolist()), DOCUMENT, context), rows)


def _chosen(vectors: Embeddings, rows: Any) -> Embeddings:
    return [vectors[row] for row in rows] if isinstance(vectors, list) else vectors[rows]

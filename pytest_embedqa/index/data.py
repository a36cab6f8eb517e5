"""Vectors that are indexed and searched for, and what exact search finds among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pytest_embedqa.core.measures import Floats, normalised
from pytest_embedqa.core.retrieval_data import RetrievalData
from pytest_embedqa.core.search import search

Mask = npt.NDArray[np.bool_]
# Similarities that differ by less, as a share of the two vectors' lengths, are equal: it does not matter which of two
# copies of a text comes back.
TIE = 1e-5
_BLOCK = 1 << 14


@dataclass(frozen=True)
class Data:
    """Documents and queries as vectors.

    Attributes:
        name: Name of the task.
        ids: Ids of the n documents.
        vectors: float32 of shape (n, dim), as the encoder gives them.
        query_ids: Ids of the q queries.
        queries: float32 of shape (q, dim).
        relevant: Grades of relevant documents by id, by query id; empty where nothing is judged.
        similarity: The way in which the model compares: ``cosine`` or ``dot``.
        is_own_result: Whether a document with the id of a query counts as a result of it.
        notes: Facts that a reader needs to read the figures right.
        texts: The texts that the vectors are of.
    """

    name: str
    ids: Sequence[str]
    vectors: Floats
    query_ids: Sequence[str]
    queries: Floats
    relevant: Mapping[str, Mapping[str, float]]
    similarity: str
    is_own_result: bool = True
    notes: Sequence[str] = field(default=())
    texts: RetrievalData | None = None

    def comparable(self, vectors: Floats, by: str | None = None) -> Floats:
        """Return vectors whose dot products are the model's similarities, or those of ``by``."""
        return vectors if (by or self.similarity) == "dot" else normalised(vectors)

    def exact(self, k: int, among: Mask | None = None) -> Exact:
        """Find the ``k`` nearest documents of each query, among those of a mask of shape (n,) only.

        A query's own document is left out where it is no result.
        """
        rows = np.arange(len(self.ids)) if among is None else np.flatnonzero(among)
        queries = self.comparable(self.queries)
        blocks = (self.comparable(self.vectors[rows[start : start + _BLOCK]]) for start in range(0, len(rows), _BLOCK))
        best = search(queries, blocks, k + (not self.is_own_result))
        found, scores = rows[best.places], best.scores
        if not self.is_own_result:
            last = np.argsort(found == self.own_rows[:, None], axis=1, kind="stable")[:, :-1]
            found, scores = np.take_along_axis(found, last, axis=1), np.take_along_axis(scores, last, axis=1)
        return Exact(self, found, scores, among)

    @cached_property
    def own_rows(self) -> npt.NDArray[np.int64]:
        """Row of the document with the id of each query, shape (q,); -1 where there is none, or where it is a result."""
        place = {} if self.is_own_result else self._places
        return np.array([place.get(id_, -1) for id_ in self.query_ids], dtype=np.int64)

    def rows_of(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the row of each id that there is."""
        return {id_: self._places[id_] for id_ in ids if id_ in self._places}

    @cached_property
    def _places(self) -> Mapping[str, int]:
        return {id_: row for row, id_ in enumerate(self.ids)}


@dataclass(frozen=True)
class Exact:
    """The nearest documents of each query.

    Attributes:
        data: The documents and queries.
        rows: Rows of the nearest documents, shape (q, at most k), the nearest first.
        scores: Their similarities, same shape.
        among: Mask of the documents that were searched, shape (n,); ``None`` for all.
    """

    data: Data
    rows: npt.NDArray[np.int64]
    scores: Floats
    among: Mask | None = None

    @cached_property
    def relevant(self) -> Mapping[str, Mapping[str, float]]:
        """Grades of relevant documents by id, by query id, without the rows that were not searched.

        Documents that the corpus lacks stay: trec_eval counts them, too. Queries without any are left out.
        """
        data, left = self.data, {}
        for query in data.query_ids:
            grades = data.relevant.get(query, {})
            out = {id_ for id_, row in data.rows_of(list(grades)).items() if not self._is_searched(row)}
            # A query keeps a score of 0 for documents that the corpus lacks, but not for documents that a filter leaves out.
            if grades and (not out or data.rows_of(list(grades.keys() - out))):
                left[query] = {id_: grade for id_, grade in grades.items() if id_ not in out}
        return left

    def _is_searched(self, row: int) -> bool:
        return self.among is None or bool(self.among[row])

    def recalls(self, hits: Sequence[Sequence[int]]) -> Floats:
        """Return the share of each query's nearest documents that came back, shape (q,), in [0, 1].

        A document as near as the farthest of the nearest counts: of two copies of a text either may come back.

        Args:
            hits: Rows of the documents that came back, by query.
        """
        data, k = self.data, self.rows.shape[1]
        if not k:
            return np.ones(len(hits))
        shares = np.zeros(len(hits))
        for query, rows in enumerate(hits):
            distinct = list(dict.fromkeys(rows))
            documents = data.comparable(data.vectors[distinct])
            asked = data.comparable(data.queries[query : query + 1])[0]
            slack = TIE * np.linalg.norm(documents, axis=1) * np.linalg.norm(asked)
            shares[query] = np.count_nonzero(documents @ asked >= self.scores[query, -1] - slack) / k
        return shares

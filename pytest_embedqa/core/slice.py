"""A small part of a task, which shows what a change of the encoder does to the score.

Whatever the task asks, it becomes one of two questions: which documents are nearest to a query, or how similar two
texts are. Both have a value for each unit (query, pair) whose mean is the score, so that two set-ups are compared
unit by unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from pytest_embedqa.core.measures import Floats, average_ranks, ndcg

_CUT_OFF = 10


@dataclass(frozen=True)
class Ranking:
    """Queries, and documents to rank for them: retrieval, reranking, bitext, texts of one class.

    Attributes:
        first: The queries, in random order, so that the first n are a fair sample for any n.
        second: The documents, in random order, so that ties favour no document.
        relevant: Rows of a query's relevant documents with their grades (above 0), by the query's row.
        drawn: Rows of the documents that are in the slice because of a query, by the query's row.
        itself: Row of a query's own copy among the documents, by the query's row; it is never a result.
        absent: Grades of the relevant documents that the corpus lacks, by the query's row.
        symmetric: Whether neither side asks (bitext, classes), which decides the prompts.
        judged: Number of documents judged relevant in the whole task.
        missing: Number of the judged documents that the corpus lacks.
        measure, units: Name of the measure, and of the units that it is measured on.
        fewest: Number of units below which a comparison says nothing.
    """

    first: Sequence[str]
    second: Sequence[str]
    relevant: Mapping[int, Mapping[int, float]]
    drawn: Mapping[int, Sequence[int]]
    itself: Mapping[int, int] = field(default_factory=dict)
    absent: Mapping[int, Sequence[float]] = field(default_factory=dict)
    symmetric: bool = False
    judged: int = 0
    missing: int = 0

    measure: ClassVar[str] = f"ndcg_at_{_CUT_OFF}"
    units: ClassVar[str] = "queries"
    fewest: ClassVar[int] = 16

    def __len__(self) -> int:
        """Return the number of queries."""
        return len(self.first)

    def head(self, count: int) -> Ranking:
        """Return the first ``count`` queries, with the documents that were drawn for them."""
        count = min(count, len(self))
        rows = sorted({row for query in range(count) for row in self.drawn.get(query, ())})
        place = {row: index for index, row in enumerate(rows)}
        return replace(
            self,
            first=self.first[:count],
            second=[self.second[row] for row in rows],
            relevant={
                query: {place[row]: grade for row, grade in self.relevant.get(query, {}).items() if row in place}
                for query in range(count)
            },
            drawn={query: [place[row] for row in self.drawn.get(query, ())] for query in range(count)},
            itself={query: place[row] for query, row in self.itself.items() if query < count and row in place},
            absent={query: grades for query, grades in self.absent.items() if query < count},
        )

    def scores(self, queries: Floats, documents: Floats, *, dot: bool) -> Floats:
        """Return ndcg_at_10 of each query as in trec_eval: linear gains, absent documents counted in the ideal ranking.

        Args:
            queries: Vectors of ``first``, shape (len(self), d).
            documents: Vectors of ``second``, shape (len(second), d).
            dot: Rank by dot product instead of cosine.

        Returns:
            Shape (len(self),), each in [0, 1]; 0 for a query without relevant documents.
        """
        return self.scores_of(_ready(queries, dot=dot) @ _ready(documents, dot=dot).T)

    def scores_of(self, similarities: Floats) -> Floats:
        """Return ``scores`` for similarities of shape (len(self), len(second)), however they were computed."""
        similarities = similarities.astype(np.float64)
        for query, row in self.itself.items():
            similarities[query, row] = -np.inf
        best = np.argsort(-similarities, axis=1, kind="stable")[:, :_CUT_OFF]
        values = np.zeros(len(self))
        for query, rows in enumerate(best.tolist()):
            grades = self.relevant.get(query, {})
            ideal = [*grades.values(), *self.absent.get(query, ())]
            values[query] = ndcg([grades.get(row, 0.0) for row in rows], ideal, _CUT_OFF)
        return values

    def clarity(self, queries: Floats, documents: Floats, *, dot: bool) -> Floats:
        """Return how far relevant documents stand out, in standard deviations of the other documents' similarities.

        Among few documents every query may find its own, whatever the encoder; this still tells two encoders apart.
        The arguments are those of ``scores``.

        Returns:
            Shape (len(self),).
        """
        return self.clarity_of(_ready(queries, dot=dot) @ _ready(documents, dot=dot).T)

    def clarity_of(self, similarities: Floats) -> Floats:
        """Return ``clarity`` for similarities of shape (len(self), len(second)), however they were computed."""
        values = np.zeros(len(self))
        for query, row in enumerate(similarities):
            relevant = list(self.relevant.get(query, {}))
            others = np.delete(row, [*relevant, *([self.itself[query]] if query in self.itself else [])])
            if relevant and len(others) > 1 and (deviation := others.std()) > 0:
                values[query] = (row[relevant].mean() - others.mean()) / deviation
        return values


@dataclass(frozen=True)
class Pairs:
    """Pairs of texts with their similarities: STS, pair classification.

    Attributes:
        first: The first text of each pair, in random order, so that the first n are a fair sample for any n.
        second: The second text of each pair.
        gold: Similarity of each pair as judged by people; for pair classification 1 or 0.
        symmetric, measure, units, fewest: As in ``Ranking``.
    """

    first: Sequence[str]
    second: Sequence[str]
    gold: Floats

    symmetric: ClassVar[bool] = True
    measure: ClassVar[str] = "spearman"
    units: ClassVar[str] = "pairs"
    fewest: ClassVar[int] = 50

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.first)

    def head(self, count: int) -> Pairs:
        """Return the first ``count`` pairs."""
        return Pairs(self.first[:count], self.second[:count], self.gold[:count])

    def scores(self, first: Floats, second: Floats, *, dot: bool) -> Floats:
        """Return a value for each pair, whose mean is Spearman's rho between similarity and gold.

        The value is rho plus the pair's influence on it: the influence function of a correlation, of the
        ranks (Devlin, Gnanadesikan and Kettenring, Biometrika 62, 1975). Its scatter is that of rho itself.

        Args:
            first: Vectors of ``first``, shape (n, d).
            second: Vectors of ``second``, shape (n, d).
            dot: Similarity is the dot product instead of the cosine.

        Returns:
            Shape (n,); 0 where all similarities are equal and no correlation exists.
        """
        return self._values(np.einsum("ij,ij->i", _ready(first, dot=dot), _ready(second, dot=dot)))

    def scores_of(self, similarities: Floats) -> Floats:
        """Return ``scores`` for similarities of each first text with each second text, shape (n, n)."""
        return self._values(similarities.diagonal())

    def _values(self, similarities: Floats) -> Floats:
        a, b = _standardised(similarities), _standardised(self.gold)
        rho = float((a * b).mean())
        values: Floats = rho + a * b - rho * (a**2 + b**2) / 2 if rho else np.zeros(len(self))
        return values

    clarity = scores
    clarity_of = scores_of


Slice = Ranking | Pairs


def _ready(vectors: Floats, *, dot: bool) -> Floats:
    """Return float64 vectors whose dot product is the similarity; in float32, rounding would make half of the ties."""
    wide = vectors.astype(np.float64)
    if dot:
        return wide
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    unit: Floats = np.divide(wide, norms, out=np.zeros_like(wide), where=norms > 0)
    return unit


def _standardised(values: Floats) -> Floats:
    # Similarities that differ only by rounding are ties.
    ranks = average_ranks(np.round(values, 9))
    deviation = ranks.std()
    zeros: Floats = np.zeros(len(values))
    return (ranks - ranks.mean()) / deviation if deviation > 0 else zeros

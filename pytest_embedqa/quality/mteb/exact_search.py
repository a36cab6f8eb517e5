"""Ranking of a corpus's documents for queries as in mteb, from blocks of documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pytest_embedqa.core.measures import Floats, normalised
from pytest_embedqa.core.search import Places, best_of, even_parts, search
from pytest_embedqa.encoders.engine import Vectors
from pytest_embedqa.encoders.quantization import Quantization
from pytest_embedqa.quality.mteb.corpus import Corpus

# Number of documents to rescore for each unit of ``rescore``: the number that ndcg_at_10 looks at.
_RESCORED = 10
# Most documents in a block, and most numbers in their vectors (64 MiB).
_DOCUMENTS, _NUMBERS = 1 << 14, 1 << 24


class RankedPlaces(NamedTuple):
    """Documents for a query, best first.

    Attributes:
        places: Numbers of the documents in the corpus, shape (n,).
        scores: Their scores, shape (n,).
    """

    places: Places
    scores: Floats


class CorpusSearch:
    """A search that ranks the documents of a corpus by their similarity with queries."""

    def __init__(
        self, corpus: Corpus, encode: Callable[[list[str]], Vectors], *, by_dot: bool, rescored: Quantization | None
    ) -> None:
        """Prepare a search; nothing is encoded yet.

        Args:
            corpus: The documents.
            encode: Returns the vectors of documents, shape (n, dim).
            by_dot: Rank by the dot product instead of the cosine.
            rescored: Quantisation of the documents, if unquantised queries score the best documents again.
        """
        self._corpus = corpus
        self._encode = encode
        self._by_dot = by_dot
        self._rescored = rescored

    def whole(self, queries: Vectors, k: int) -> list[RankedPlaces]:
        """Rank all documents: the best ``k`` for each of (queries, dim) queries, equal scores in corpus order."""
        every = np.arange(len(self._corpus))
        blocks = (self._unit(vectors) for _, vectors in self._blocks(every, queries.shape[1]))
        best = search(self._first_look(queries), blocks, k)
        return self._second_look(queries, list(map(RankedPlaces, best.places, best.scores)))

    def among(self, queries: Vectors, candidates: Sequence[Places], k: int) -> list[RankedPlaces]:
        """Rank only the candidates of each query, like ``whole``; no other documents are encoded."""
        scores = self._scores(self._first_look(queries), candidates)
        return self._second_look(
            queries, [_ordered(RankedPlaces(*pair), k) for pair in zip(candidates, scores, strict=True)]
        )

    def _first_look(self, queries: Vectors) -> Vectors:
        return self._unit(self._rescored(queries) if self._rescored else queries)

    def _second_look(self, queries: Vectors, rankings: list[RankedPlaces]) -> list[RankedPlaces]:
        """Order the best documents again, and put them before all others."""
        if self._rescored is None or self._rescored.rescore is None:
            return rankings
        count = _RESCORED * self._rescored.rescore
        again = self._scores(self._unit(queries), [one.places[:count] for one in rankings], self._rescored.restored)
        return [
            _before(
                _ordered(RankedPlaces(old.places[:count], new), count),
                RankedPlaces(old.places[count:], old.scores[count:]),
            )
            for old, new in zip(rankings, again, strict=True)
        ]

    def _scores(
        self, queries: Vectors, candidates: Sequence[Places], restored: Callable[[Vectors], Vectors] | None = None
    ) -> list[Floats]:
        """Return the scores of each query with its own candidates, shape (candidates,) each."""
        found: list[Floats] = [np.empty(len(some), dtype=np.float32) for some in candidates]
        wanted = np.unique(np.concatenate([*candidates, np.empty(0, dtype=np.int64)]))
        for numbers, vectors in self._blocks(wanted, queries.shape[1]):
            documents = self._unit(restored(vectors) if restored else vectors)
            for row, some in enumerate(candidates):
                here = np.flatnonzero((some >= numbers[0]) & (some <= numbers[-1]))
                if len(here):
                    chosen = documents[np.searchsorted(numbers, some[here])]
                    found[row][here] = chosen @ queries[row]
        return found

    def _blocks(self, numbers: Places, dim: int) -> Iterator[tuple[Places, Vectors]]:
        """Yield the numbers and vectors of documents, a block at a time."""
        size = max(1, min(_DOCUMENTS, _NUMBERS // max(1, dim)))
        for part in even_parts(len(numbers), size):
            block = numbers[part.start : part.stop]
            yield block, self._encode(self._corpus.texts(block.tolist()))

    def _unit(self, vectors: Vectors) -> Vectors:
        return vectors if self._by_dot else normalised(vectors)


def _ordered(ranking: RankedPlaces, k: int) -> RankedPlaces:
    order = best_of(ranking.scores, k)
    return RankedPlaces(ranking.places[order], ranking.scores[order])


def _before(best: RankedPlaces, rest: RankedPlaces) -> RankedPlaces:
    """Join two rankings; the scores of the second, which are on another scale, are moved below the first."""
    places = np.concatenate([best.places, rest.places])
    if not len(best.scores) or not len(rest.scores):
        return RankedPlaces(places, np.concatenate([best.scores, rest.scores]))
    below = rest.scores.astype(np.float64) - float(rest.scores[0]) + float(best.scores[-1]) - 1
    return RankedPlaces(places, np.concatenate([best.scores.astype(np.float64), below]))

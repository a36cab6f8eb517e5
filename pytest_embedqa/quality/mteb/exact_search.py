"""Ranking of a corpus's documents for queries as in mteb, from blocks of documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pytest_embedqa.core.measures import Floats, normalised
from pytest_embedqa.core.search import Places, best_of, count, dots, even_parts, search
from pytest_embedqa.encoders.engine import Vectors
from pytest_embedqa.encoders.quantization import Quantization
from pytest_embedqa.encoders.representations import DENSE, MULTI_VECTOR, Embeddings, Representation
from pytest_embedqa.quality.mteb.corpus import Corpus

# Number of documents to rescore for each unit of ``rescore``: the number that ndcg_at_10 looks at.
_RESCORED = 10
# Most documents in a block, and most numbers in their vectors (64 MiB).
_DOCUMENTS, _NUMBERS = 1 << 14, 1 << 24
# Token vectors of a document, where a model does not say how many it makes at most.
_TOKENS = 512


class RankedPlaces(NamedTuple):
    """Documents for a query, best first.

    Attributes:
        places: Numbers of the documents in the corpus, shape (n,).
        scores: Their scores, shape (n,).
    """

    places: Places
    scores: Floats


class Similarity:
    """The similarity by which a model compares queries and documents, and the size of blocks that fit into memory."""

    def __init__(self, representation: Representation, by: str, max_length: int | None = None) -> None:
        """Compare as a model does.

        Args:
            representation: What the model makes of a text.
            by: The identity's ``similarity``.
            max_length: Most tokens of a text, which bounds the token vectors of a document.
        """
        self._representation = representation
        self._by = by
        self._max_length = max_length

    def prepared(self, vectors: Embeddings) -> Embeddings:
        """Return vectors as ``similarity`` takes them."""
        if self._representation is not DENSE or self._by == "dot":
            return vectors
        unit: Floats = normalised(vectors)
        return unit

    def similarity(self, queries: Embeddings, documents: Embeddings) -> Floats:
        """Return the similarities of prepared queries and documents, shape (queries, documents)."""
        if self._representation is DENSE:
            return dots(queries, documents)
        found: Floats = self._representation.similarity(queries, documents, self._by)
        return found

    def similarities(self, queries: Embeddings, row: int, documents: Embeddings, chosen: Places) -> Floats:
        """Return the similarities of one prepared query with some of the prepared documents, shape (chosen,)."""
        if self._representation is DENSE:
            dense: Floats = documents[chosen] @ queries[row]
            return dense
        some = [documents[place] for place in chosen] if isinstance(documents, list) else documents[chosen]
        found: Floats = self.similarity(queries[row : row + 1], some)[0]
        return found

    def block(self, queries: Embeddings) -> int:
        """Return how many documents fit into a block. Sparse vectors are small, whatever their vocabulary."""
        if self._representation is DENSE:
            numbers = int(queries.shape[1])
        elif self._representation is MULTI_VECTOR:
            numbers = (self._max_length or _TOKENS) * int(queries[0].shape[1])
        else:
            numbers = 1
        return max(1, min(_DOCUMENTS, _NUMBERS // max(1, numbers)))


class CorpusSearch:
    """A search that ranks the documents of a corpus by their similarity with queries."""

    def __init__(
        self,
        corpus: Corpus,
        encode: Callable[[list[str]], Embeddings],
        similarity: Similarity,
        *,
        rescored: Quantization | None = None,
    ) -> None:
        """Prepare a search; nothing is encoded yet.

        Args:
            corpus: The documents.
            encode: Returns the vectors of documents.
            similarity: The similarity to rank by.
            rescored: Quantisation of the documents, if unquantised queries score the best documents again.
        """
        self._corpus = corpus
        self._encode = encode
        self._similarity = similarity
        self._rescored = rescored

    def whole(self, queries: Embeddings, k: int) -> list[RankedPlaces]:
        """Rank all documents: the best ``k`` for each query, equal scores in corpus order."""
        every = np.arange(len(self._corpus))
        blocks = (self._similarity.prepared(vectors) for _, vectors in self._blocks(every, queries))
        best = search(self._first_look(queries), blocks, k, self._similarity.similarity)
        return self._second_look(queries, list(map(RankedPlaces, best.places, best.scores)))

    def among(self, queries: Embeddings, candidates: Sequence[Places], k: int) -> list[RankedPlaces]:
        """Rank only the candidates of each query, like ``whole``; no other documents are encoded."""
        scores = self._scores(self._first_look(queries), candidates)
        return self._second_look(
            queries, [_ordered(RankedPlaces(*pair), k) for pair in zip(candidates, scores, strict=True)]
        )

    def _first_look(self, queries: Embeddings) -> Embeddings:
        return self._similarity.prepared(self._rescored(queries) if self._rescored else queries)

    def _second_look(self, queries: Embeddings, rankings: list[RankedPlaces]) -> list[RankedPlaces]:
        """Order the best documents again, and put them before all others."""
        if self._rescored is None or self._rescored.rescore is None:
            return rankings
        most = _RESCORED * self._rescored.rescore
        again = self._scores(
            self._similarity.prepared(queries), [one.places[:most] for one in rankings], self._rescored.restored
        )
        return [
            _before(
                _ordered(RankedPlaces(old.places[:most], new), most),
                RankedPlaces(old.places[most:], old.scores[most:]),
            )
            for old, new in zip(rankings, again, strict=True)
        ]

    def _scores(
        self, queries: Embeddings, candidates: Sequence[Places], restored: Callable[[Vectors], Vectors] | None = None
    ) -> list[Floats]:
        """Return the scores of each query with its own candidates, shape (candidates,) each."""
        found: list[Floats] = [np.empty(len(some), dtype=np.float32) for some in candidates]
        wanted = np.unique(np.concatenate([*candidates, np.empty(0, dtype=np.int64)]))
        for numbers, vectors in self._blocks(wanted, queries):
            documents = self._similarity.prepared(restored(vectors) if restored else vectors)
            for row, some in enumerate(candidates):
                here = np.flatnonzero((some >= numbers[0]) & (some <= numbers[-1]))
                if len(here):
                    chosen = np.searchsorted(numbers, some[here])
                    found[row][here] = self._similarity.similarities(queries, row, documents, chosen)
        return found

    def _blocks(self, numbers: Places, queries: Embeddings) -> Iterator[tuple[Places, Embeddings]]:
        """Yield the numbers and vectors of documents, a block at a time."""
        for part in even_parts(len(numbers), self._similarity.block(queries) if count(queries) else _DOCUMENTS):
            block = numbers[part.start : part.stop]
            yield block, self._encode(self._corpus.texts(block.tolist()))


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

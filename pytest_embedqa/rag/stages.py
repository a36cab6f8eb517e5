"""The stages of a search: those that search the corpus, and those that order what others have found."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from pytest_embedqa.core.errors import MissingExtraError
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.prompts import QUERY
from pytest_embedqa.encoders.representations import SPARSE, Embeddings
from pytest_embedqa.encoders.reranker import Reranker
from pytest_embedqa.rag.fusion import Hit, Share, fused, ranked
from pytest_embedqa.rag.index import Index, best
from pytest_embedqa.rag.metric import Metric
from pytest_embedqa.rag.words import words

# Pairs that are scored ahead at a time.
_PAIRS = 10_000


@dataclass(frozen=True)
class StageRanking:
    """What one stage made of a question, to follow a passage through all stages.

    Attributes:
        stage: Name of the stage.
        positions: All positions that it ranks, the best first.
        handed_on: Number of these that the next stage gets; ``None`` for all.
        part: Whether it is one of several lists that the next stage fuses.
    """

    stage: str
    positions: list[int]
    handed_on: int | None = None
    part: bool = False


class Stage(ABC):
    """A stage of a search.

    Attributes:
        name: How it works, in words.
        scale: What its scores are, in words; ``ranks`` where they only say ranks.
        finds_all: Whether it has a score for any passage; otherwise 0 says that the passage is not found.
    """

    name: str
    scale: str
    finds_all = True

    @abstractmethod
    def __call__(self, query: str, k: int) -> list[Hit]:
        """Return the ``k`` (> 0) best passages of the corpus, the best first, ties by position."""

    @abstractmethod
    def order(self, query: str, positions: Sequence[int]) -> list[Hit]:
        """Return all of these passages with their scores, the best first, ties by position."""

    def rankings(self, query: str, size: int) -> list[StageRanking]:
        """Return what each stage up to this one makes of a question to a corpus of ``size`` passages."""
        return [StageRanking(self.name, [position for position, _ in self(query, size)])]

    def prepare(self, queries: Sequence[str]) -> None:  # noqa: B027  some stages have nothing to prepare
        """Compute what the model needs for some queries in one go, for a model with a store."""

    def fresh(self) -> Stage:
        """Return the same stage, whose models compute everything that depends on a query anew."""
        return self


class VectorStage(Stage):
    """A stage that searches by a model's vectors."""

    def __init__(self, encoder: Encoder, index: Index, column: int, name: str) -> None:
        """Wrap an encoder and the column of an index that holds its vectors of the passages."""
        self.name, self.scale = name, Metric.of(encoder).scale
        self.finds_all = encoder.representation is not SPARSE
        self._encoder, self._index, self._column = encoder, index, column

    def __call__(self, query: str, k: int) -> list[Hit]:
        """Return the nearest passages; a sparse vector finds those alone that share an active dimension with it."""
        found = self._index.nearest(self._vector(query), k, self._column)
        return found if self.finds_all else _present(found)

    def order(self, query: str, positions: Sequence[int]) -> list[Hit]:
        """Return the passages with their similarities."""
        return ranked(positions, self._index.scores(self._vector(query), positions, self._column).tolist())

    def prepare(self, queries: Sequence[str]) -> None:
        """Compute the vectors of queries."""
        self._encoder.encode(queries, kind=QUERY)

    def fresh(self) -> VectorStage:
        """Return the stage with an encoder that looks nothing up."""
        return VectorStage(self._encoder.computing(), self._index, self._column, self.name)

    def _vector(self, query: str) -> Embeddings:
        return self._encoder.encode([query], kind=QUERY)


class WordStage(Stage):
    """A stage that searches by shared words (BM25); a passage that shares none with the query is not found."""

    name, scale, finds_all = "bm25", "BM25", False

    def __init__(self) -> None:
        """Start empty: ``add`` passages, then ``build``.

        Raises:
            MissingExtraError: If a package is not installed.
        """
        if importlib.util.find_spec("bm25s") is None:
            raise MissingExtraError("bm25s", "rag", "Search by words (BM25)")
        self._ids: dict[str, int] = {}
        self._passages: list[list[int]] = []

    def add(self, texts: Iterable[str]) -> None:
        """Append passages."""
        ids = self._ids
        self._passages += ([ids.setdefault(word, len(ids)) for word in words(text)] for text in texts)

    def build(self) -> None:
        """Build the index, after the last passage."""
        import bm25s

        self._model = bm25s.BM25()
        if self._ids:  # without ids, no query has a known word
            self._model.index((self._passages, self._ids), create_empty_token=False, show_progress=False)
        del self._passages

    def __call__(self, query: str, k: int) -> list[Hit]:
        """Return the best passages that hold a word of the query."""
        known = self._known(query)
        return _present(best(self._model.get_scores_from_ids(known), k)) if known else []

    def order(self, query: str, positions: Sequence[int]) -> list[Hit]:
        """Return the passages with their scores, 0 without a word of the query."""
        known = self._known(query)
        scores = self._model.get_scores_from_ids(known)[list(positions)] if known else np.zeros(len(positions))
        return ranked(positions, scores.tolist())

    def _known(self, query: str) -> list[int]:
        return [self._ids[word] for word in words(query) if word in self._ids]


class PairStage(Stage):
    """A stage that orders passages by a model that reads query and passage together. It searches nothing."""

    def __init__(self, reranker: Reranker, index: Index, name: str) -> None:
        """Wrap a reranker, and the index that holds the texts."""
        self.name, self.scale = name, "scores of the reranker"
        self._reranker, self._index = reranker, index

    def __call__(self, query: str, k: int) -> list[Hit]:
        """Refuse: whoever assembles a chain puts a stage before it that searches."""
        raise NotImplementedError

    def order(self, query: str, positions: Sequence[int]) -> list[Hit]:
        """Return the passages with the model's own scores."""
        return ranked(positions, self._reranker.score(self._pairs(query, positions)).tolist())

    def prepare_pairs(self, candidates: Iterable[tuple[str, Sequence[int]]]) -> None:
        """Score candidates of many queries in large batches."""
        pairs = (pair for query, positions in candidates for pair in self._pairs(query, positions))
        while part := list(islice(pairs, _PAIRS)):
            self._reranker.score(part)

    def fresh(self) -> PairStage:
        """Return the stage with a reranker that looks nothing up."""
        return PairStage(self._reranker.computing(), self._index, self.name)

    def _pairs(self, query: str, positions: Sequence[int]) -> list[tuple[str, str]]:
        return [(query, one.text) for one in self._index.passages([(position, 0.0) for position in positions])]


class Fused(Stage):
    """A stage that fuses the lists of several. What a list does not hold has no rank in it."""

    def __init__(
        self, parts: Sequence[Stage], fusion: tuple[str, Share], weights: Sequence[float], length: int, *, grows: bool
    ) -> None:
        """Assemble.

        Args:
            parts: The stages that search.
            fusion: Its name and its function.
            weights: Weight of each part.
            length: Length of the list of each part.
            grows: Whether lists are as long as the number of passages that are asked for, where that is more.
        """
        name, self._share = fusion
        self.name = f"{name} of {' and '.join(part.name for part in parts)}"
        self.scale = "ranks" if name == "rrf" else f"fused scores ({name})"
        self._parts, self._fusion, self._weights, self._length, self._grows = parts, fusion, weights, length, grows

    def __call__(self, query: str, k: int) -> list[Hit]:
        """Return the best of all lists."""
        return self._fused([part(query, self._most(k)) for part in self._parts])[:k]

    def order(self, query: str, positions: Sequence[int]) -> list[Hit]:
        """Return the passages, by the lists that the parts make of them; last those that no part finds."""
        lists = [part.order(query, positions) for part in self._parts]
        found = self._fused(
            [one if part.finds_all else _present(one) for part, one in zip(self._parts, lists, strict=True)]
        )
        known = {position for position, _ in found}
        return [*found, *((position, 0.0) for position in sorted(set(positions) - known))]

    def rankings(self, query: str, size: int) -> list[StageRanking]:
        """Return the rankings of all parts, and the fused list."""
        parts = []
        for part in self._parts:
            *before, last = part.rankings(query, size)
            parts += [*before, StageRanking(last.stage, last.positions, self._length, part=True)]
        fused_list = self._fused([part(query, self._length) for part in self._parts])
        return [*parts, StageRanking(self.name, [position for position, _ in fused_list])]

    def prepare(self, queries: Sequence[str]) -> None:
        """Prepare all parts."""
        for part in self._parts:
            part.prepare(queries)

    def fresh(self) -> Fused:
        """Return the stage with fresh parts."""
        return Fused(
            [part.fresh() for part in self._parts], self._fusion, self._weights, self._length, grows=self._grows
        )

    def _most(self, k: int) -> int:
        return max(k, self._length) if self._grows else self._length

    def _fused(self, lists: Sequence[list[Hit]]) -> list[Hit]:
        return fused(lists, self._weights, self._share)


class Reranked(Stage):
    """A stage that orders the candidates of another, all of them."""

    def __init__(self, first: Stage, second: Stage, candidates: int, *, grows: bool) -> None:
        """Assemble.

        Args:
            first: The stage that finds candidates.
            second: The stage that orders them.
            candidates: Number of candidates.
            grows: Whether there are as many candidates as passages that are asked for, where that is more.
        """
        self.name = f"{second.name} on {first.name}"
        self.scale = second.scale
        self._first, self._second, self._candidates, self._grows = first, second, candidates, grows

    def __call__(self, query: str, k: int) -> list[Hit]:
        """Return the best candidates."""
        return self._second.order(
            query, self._found(query, max(k, self._candidates) if self._grows else self._candidates)
        )[:k]

    def order(self, query: str, positions: Sequence[int]) -> list[Hit]:
        """Return the candidates that the first stage chooses of these passages; the others are lost, as in a search."""
        chosen = [position for position, _ in self._first.order(query, positions)][: self._candidates]
        return self._second.order(query, chosen)

    def rankings(self, query: str, size: int) -> list[StageRanking]:
        """Return the rankings of the first stage, and the order of its candidates."""
        *before, last = self._first.rankings(query, size)
        ordered = self._second.order(query, self._found(query, self._candidates))
        return [
            *before,
            StageRanking(last.stage, last.positions, self._candidates),
            StageRanking(self._second.name, [position for position, _ in ordered]),
        ]

    def prepare(self, queries: Sequence[str]) -> None:
        """Prepare the first stage, and score the candidates that it finds."""
        self._first.prepare(queries)
        if isinstance(self._second, PairStage):
            self._second.prepare_pairs((query, self._found(query, self._candidates)) for query in queries)
        else:
            self._second.prepare(queries)

    def fresh(self) -> Reranked:
        """Return the stage with fresh parts."""
        return Reranked(self._first.fresh(), self._second.fresh(), self._candidates, grows=self._grows)

    def _found(self, query: str, count: int) -> list[int]:
        return [position for position, _ in self._first(query, count)]


def _present(hits: Iterable[Hit]) -> list[Hit]:
    """Return the hits that share a word, or an active dimension, with the query."""
    return [hit for hit in hits if hit[1]]

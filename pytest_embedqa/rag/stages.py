"""The stages of a search: those that search the corpus, and those that order what others have found."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import islice

import numpy as np

from pytest_embedqa.core.errors import MissingExtraError
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.prompts import DOCUMENT, NO_PROMPTS, QUERY
from pytest_embedqa.encoders.representations import SPARSE, Embeddings
from pytest_embedqa.encoders.reranker import Reranker
from pytest_embedqa.rag.blame import BM25, INDEX, MODEL, PROMPT, Followed, Rank, best_rank, reach
from pytest_embedqa.rag.fusion import Hit, ranked
from pytest_embedqa.rag.index import Index, best
from pytest_embedqa.rag.indexed_vectors import IndexedVectors
from pytest_embedqa.rag.metric import Metric
from pytest_embedqa.rag.words import words

# Pairs that are scored ahead at a time.
_PAIRS = 10_000
# Words that a sentence names.
_MOST_WORDS = 3


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

    @abstractmethod
    def follow(self, query: str, places: Collection[int], wanted: int, *, strict: bool = False) -> Followed:
        """Follow passages through this stage and those before it, and say which of these loses them.

        Args:
            query: The question.
            places: Positions of the passages; the best of them counts.
            wanted: Number of passages that the next stage takes.
            strict: Whether a larger number of passages is no remedy.
        """

    def exact(self) -> Stage:
        """Return the same stage with exact search in place of each real index."""
        return self

    def prepare(self, queries: Sequence[str]) -> None:  # noqa: B027  some stages have nothing to prepare
        """Compute what the model needs for some queries in one go, for a model with a store."""

    def fresh(self) -> Stage:
        """Return the same stage, whose models compute everything that depends on a query anew."""
        return self


class VectorStage(Stage):
    """A stage that searches by a model's vectors."""

    def __init__(
        self, encoder: Encoder, index: Index, column: int, name: str, real: IndexedVectors | None = None
    ) -> None:
        """Assemble.

        Args:
            encoder: The encoder of questions.
            index: The index that holds its vectors of the passages, and searches exactly.
            column: The column of its vectors.
            name: Name of the stage.
            real: The same vectors in a real index that searches in place of ``index``.
        """
        self.name, self.scale = f"{name} in {real.spec}" if real else name, Metric.of(encoder).scale
        self.finds_all = encoder.representation is not SPARSE
        self._encoder, self._index, self._column, self._called, self._real = encoder, index, column, name, real

    def __call__(self, query: str, k: int) -> list[Hit]:
        """Return the nearest passages; a sparse vector finds those alone that share an active dimension with it.

        A real index decides on passages and order. The scores are exact, but none is above that of a passage before it:
        an index that compares coarser vectors may put a passage too far up.
        """
        vector = self._vector(query)
        if not self._real:
            found = self._index.nearest(vector, k, self._column)
            return found if self.finds_all else present(found)
        positions = self._real.nearest(vector, k)
        scores = self._index.scores(vector, positions, self._column) if positions else np.empty(0)
        return list(zip(positions, np.minimum.accumulate(scores).tolist(), strict=True))

    def order(self, query: str, positions: Sequence[int]) -> list[Hit]:
        """Return the passages with their similarities."""
        return ranked(positions, self._index.scores(self._vector(query), positions, self._column).tolist())

    def prepare(self, queries: Sequence[str]) -> None:
        """Compute the vectors of queries."""
        self._encoder.encode(queries, kind=QUERY)

    def fresh(self) -> VectorStage:
        """Return the stage with an encoder that looks nothing up."""
        return VectorStage(self._encoder.computing(), self._index, self._column, self._called, self._real)

    def exact(self) -> VectorStage:
        """Return the stage without its real index."""
        return VectorStage(self._encoder, self._index, self._column, self._called) if self._real else self

    def follow(self, query: str, places: Collection[int], wanted: int, *, strict: bool = False) -> Followed:
        """Follow passages: an index loses what exact search has, the model what it ranks far down."""
        called = "exact search" if self._called == "dense" else f"exact search ({self._called})"
        order = positions_of(self.exact()(query, self._index.size))
        exact = best_rank(order, places)
        ranks = [Rank(MODEL, called, exact, len(order))]
        if not self._real:
            return self._judged(query, places, wanted, ranks, strict=strict)
        given = positions_of(self(query, wanted))
        rank = best_rank(given, places)
        ranks.append(Rank(INDEX, f"the index {self._real.spec}", rank, len(given)))
        if rank is not None or exact is None or exact > wanted:
            return self._judged(query, places, wanted, ranks, strict=strict)
        few = f" It gave {len(given)} of {wanted} that were asked for." if len(given) < wanted else ""
        remedy = (
            f"Let the index look at more (such as efSearch, ef or nprobes), or check its metric and its vectors.{few}"
        )
        return Followed(tuple(ranks), rank, INDEX, remedy, sure=True)

    def _judged(
        self, query: str, places: Collection[int], wanted: int, ranks: Sequence[Rank], *, strict: bool
    ) -> Followed:
        exact, size = ranks[0].rank, self._index.size
        if ranks[-1].rank is not None and ranks[-1].rank <= wanted:
            return Followed(tuple(ranks), ranks[-1].rank)
        near = not strict and exact is not None and exact <= reach(wanted, size)
        stage, remedy = self._cause(query, places, wanted)
        sure = bool(remedy)
        return Followed(tuple(ranks), ranks[-1].rank, stage, remedy, near=near and not sure, sure=sure)

    def _cause(self, query: str, places: Collection[int], wanted: int) -> tuple[str, str]:
        """Return which part of the model is to blame, and what to do about it."""
        prompts = self._encoder.prompts
        if prompts.source == "spec":
            for own in (self._encoder.declared_prompts, NO_PROMPTS):
                other = self._encoder.with_prompts(own)
                before, after = (one.resolve(QUERY) for one in (prompts, own))
                if before != after:
                    order = self._index.nearest(other.encode([query], kind=QUERY), wanted, self._column)
                    if rank := best_rank(positions_of(order), places):
                        asked = f"with {after!r:.60}" if after else "without a prompt"
                        return (
                            PROMPT,
                            f"The spec puts {before!r:.60} before the question; {asked} it is at rank {rank}.",
                        )
        most = self._encoder.max_length(DOCUMENT)
        texts = [one.text for one in self._index.passages([(place, 0.0) for place in places])]
        tokens = self._encoder.count_tokens(texts, DOCUMENT) if most else None
        if most and tokens and min(tokens) > most:
            return MODEL, f"The model reads {most} of its {min(tokens)} tokens: make chunk: size smaller."
        return MODEL, ""

    def _vector(self, query: str) -> Embeddings:
        return self._encoder.encode([query], kind=QUERY)


class WordStage(Stage):
    """A stage that searches by shared words (BM25); a passage that shares none with the query is not found."""

    name, scale, finds_all = "bm25", "BM25", False

    def __init__(self, index: Index, cut: Callable[[str], Iterable[str]] = words) -> None:
        """Start empty: ``add`` passages, then ``build``.

        Args:
            index: The index that holds the texts.
            cut: Cuts a text into words.

        Raises:
            MissingExtraError: If a package is not installed.
        """
        self._index, self._cut = index, cut
        if importlib.util.find_spec("bm25s") is None:
            raise MissingExtraError("bm25s", "rag", "Search by words (BM25)")
        self._ids: dict[str, int] = {}
        self._passages: list[list[int]] = []

    def add(self, texts: Iterable[str]) -> None:
        """Append passages."""
        ids = self._ids
        self._passages += ([ids.setdefault(word, len(ids)) for word in self._cut(text)] for text in texts)

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
        return present(best(self._model.get_scores_from_ids(known), k)) if known else []

    def order(self, query: str, positions: Sequence[int]) -> list[Hit]:
        """Return the passages with their scores, 0 without a word of the query."""
        known = self._known(query)
        scores = self._model.get_scores_from_ids(known)[list(positions)] if known else np.zeros(len(positions))
        return ranked(positions, scores.tolist())

    def follow(self, query: str, places: Collection[int], wanted: int, *, strict: bool = False) -> Followed:
        """Follow passages: those without a word of the question are not found, others may be far down."""
        order = positions_of(self(query, self._index.size))
        rank = best_rank(order, places)
        ranks = (Rank(BM25, self.name, rank, len(order)),)
        if rank is None:
            return self._unfound(query, places, ranks)
        if rank <= wanted:
            return Followed(ranks, rank)
        return Followed(ranks, rank, BM25, near=not strict and rank <= reach(wanted, self._index.size))

    def _unfound(self, query: str, places: Collection[int], ranks: tuple[Rank, ...]) -> Followed:
        texts = [one.text for one in self._index.passages([(place, 0.0) for place in places])]
        asked = set(words(query))
        shared = dict.fromkeys(word for text in texts for word in words(text) if word in asked)
        if not shared:
            return Followed(ranks, None, BM25, "It has no word in common with the question: only meaning can find it.")
        remedy = f"It shares {_named(shared)} with the question once Chinese is segmented and words are stemmed: cut texts so."
        return Followed(ranks, None, BM25, remedy, sure=True)

    def _known(self, query: str) -> list[int]:
        return [self._ids[word] for word in self._cut(query) if word in self._ids]


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

    def follow(self, query: str, places: Collection[int], wanted: int, *, strict: bool = False) -> Followed:
        """Refuse, as for a search."""
        raise NotImplementedError

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


def present(hits: Iterable[Hit]) -> list[Hit]:
    """Return the hits that share a word, or an active dimension, with the query."""
    return [hit for hit in hits if hit[1]]


def positions_of(hits: Iterable[Hit]) -> list[int]:
    """Return the positions of hits, in their order."""
    return [position for position, _ in hits]


def _named(shared: Iterable[str]) -> str:
    first = list(shared)
    more = f" and {len(first) - _MOST_WORDS} more" if len(first) > _MOST_WORDS else ""
    return ", ".join(f"'{word}'" for word in first[:_MOST_WORDS]) + more

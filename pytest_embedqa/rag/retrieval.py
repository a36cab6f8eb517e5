"""The built-in way to search: passages are indexed once, and a chain of stages finds those that fit a query."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from pytest_embedqa.core.errors import DataError, SpecError
from pytest_embedqa.encoders import composites
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.prompts import DOCUMENT
from pytest_embedqa.encoders.representations import DENSE, MULTI_VECTOR
from pytest_embedqa.encoders.reranker import Reranker
from pytest_embedqa.encoders.retrievers.passage import Passage
from pytest_embedqa.encoders.system import System
from pytest_embedqa.rag.blame import INDEX, Followed, best_rank
from pytest_embedqa.rag.choices import INDEXES, RETRIEVALS, Retrieval, takes_no_model
from pytest_embedqa.rag.combined import Fused, Reranked
from pytest_embedqa.rag.documents import Document
from pytest_embedqa.rag.fusion import share_of
from pytest_embedqa.rag.index import Index, LanceIndex, MemoryIndex
from pytest_embedqa.rag.indexed_vectors import IndexedVectors, IndexOf
from pytest_embedqa.rag.metric import Metric
from pytest_embedqa.rag.stages import PairStage, Stage, VectorStage, WordStage, positions_of

_Model = TypeVar("_Model", Encoder, Reranker)
# Passages that go to the disk at a time: with dense vectors some ten MB; of multi-vectors, which are a hundred times as
# large, fewer.
_SLICE, _SLICE_OF_TOKENS = 4096, 512


def build_chain(  # noqa: PLR0913  the parts of a chain
    passages: Iterable[Passage],
    retrieval: Retrieval,
    model: System | None,
    folder: Path | None = None,
    *,
    reranker: System | None = None,
    index_of: IndexOf | None = None,
) -> Chain:
    """Index passages and assemble the stages of a retrieval.

    Args:
        passages: The corpus. With the index ``lancedb`` it is read in slices and need not fit into memory.
        retrieval: The way in which passages are found.
        model: Model under test; BM25 needs none.
        folder: Folder of LanceDB's table, which replaces an older table.
        reranker: The system that ``retrieval.reranker`` names.
        index_of: Makes the real index that ``retrieval.index`` names; without it there are exact ones alone.

    Raises:
        SpecError: If a choice is unknown, or requires a model or folder that is not given or can't do its part.
        EngineError: If a real index fails.
        MissingExtraError: If a package is not installed.
        DataError: If there are no passages.
    """
    by, where = retrieval.by, retrieval.index
    if by not in RETRIEVALS:
        raise SpecError(f"Unknown retrieval by='{by}'. Choose from {', '.join(RETRIEVALS)}.")
    if where not in INDEXES and index_of is None:
        raise SpecError(f"Unknown retrieval index='{where}'. Choose from {', '.join(INDEXES)}.")
    if takes_no_model(retrieval):
        model = None
    elif model is None:
        raise SpecError(f"Retrieval by '{by}' needs a model, and none was given. Only 'bm25' does without.")
    if where == "lancedb" and folder is None:
        raise SpecError("The index 'lancedb' needs a folder for its table, and none was given.")
    index: Index = LanceIndex(folder) if where == "lancedb" and folder else MemoryIndex()
    parts = _Parts(index, None if where in INDEXES or index_of is None else partial(_real, where, index_of))
    stage = parts.chain(retrieval, model, reranker)
    if where not in INDEXES and not parts.real:
        raise SpecError(f"The index '{where}' searches vectors, and retrieval by '{stage.name}' searches none.")
    _fill(index, parts, iter(passages), where)
    return Chain(stage, index, (*parts.encoders, *parts.rerankers), tuple(parts.real.values()))


def _fill(index: Index, parts: _Parts, rest: Iterator[Passage], where: str) -> None:
    """Encode and index passages, in slices where they go to the disk."""
    small = any(one.representation is MULTI_VECTOR for one in parts.encoders)
    size = (_SLICE_OF_TOKENS if small else _SLICE) if where == "lancedb" else None
    while part := list(islice(rest, size)):
        texts = [passage.text for passage in part]
        vectors = [one.encode(texts, kind=DOCUMENT) for one in parts.encoders]
        index.add(part, vectors)
        for column, real in parts.real.items():
            real.add(vectors[column])
        if parts.words:
            parts.words.add(texts)
    if not index.size:
        raise DataError("The corpus has no passages: no document was found, or none has text. Check its folder.")
    if parts.words:
        parts.words.build()
    for real in parts.real.values():
        real.build()


def _real(spec: str, index_of: IndexOf) -> IndexedVectors:
    return IndexedVectors(spec, index_of(spec, Metric().by))


class Chain:
    """The built-in ``Retriever``: stages that find passages in an index.

    Attributes:
        size: Number of passages in the index.
        by: How passages are found, in words.
        scale: What the scores are, in words; ``ranks`` where they only say ranks.
        models: The encoders and rerankers that it asks.
        notes: Notes on parts of documents that could not be read.
        last_pages: The last page of each document by its path below the corpus; ``None`` for a document without pages.
        documents: Reads the documents of the corpus once more.
    """

    def __init__(
        self,
        stage: Stage,
        index: Index,
        models: tuple[Encoder | Reranker, ...] = (),
        real: tuple[IndexedVectors, ...] = (),
    ) -> None:
        """Assemble the parts that ``build_chain`` makes."""
        self.size = index.size
        self.by, self.scale = stage.name, stage.scale
        self.models = models
        self.notes: tuple[str, ...] = ()
        self.last_pages: dict[str, int | None] = {}
        self.documents: Callable[[], Iterable[Document]] = tuple
        self._stage, self._index, self._real = stage, index, real

    def __call__(self, query: str, k: int, /) -> list[Passage]:
        """Return the ``k`` best passages for a query, the best first, with scores; ties in the order of the corpus.

        There are fewer if the corpus has fewer, or if fewer are found: by BM25 those that share a word with the query.
        """
        return self._index.passages(self._stage(query, k)) if k > 0 else []

    def prepare(self, queries: Sequence[str]) -> None:
        """Compute what depends on queries in one go, for models with a store: single queries take much longer."""
        self._stage.prepare(queries)

    def fresh(self) -> Chain:
        """Return the same chain, which computes every query anew instead of looking it up, to measure its speed."""
        return Chain(self._stage.fresh(), self._index, self.models, self._real)

    @property
    def to_cosine(self) -> Callable[[float], float] | None:
        """What makes a cosine of a score; ``None`` where scores are none."""
        return float if self.scale == "cosine" else None

    def follow(self, query: str, places: Collection[int], wanted: int, *, strict: bool = False) -> Followed:
        """Follow passages through all stages; what would come back by exact search, a real index has lost.

        Args:
            query: The question.
            places: Positions of the passages; the best of them counts.
            wanted: Number of passages among which one of them must come back.
            strict: Whether a larger number is no remedy.
        """
        followed = self._stage.follow(query, places, wanted, strict=strict)
        if not self._real or not followed.stage:
            return followed
        exact = self._stage.exact()
        if best_rank(positions_of(exact(query, wanted)), places):
            remedy = followed.remedy if followed.stage == INDEX else ""
            return replace(followed, stage=INDEX, remedy=remedy, near=False)
        cause = exact.follow(query, places, wanted, strict=strict)
        lost_anyway = cause.near and cause.rank and not best_rank(positions_of(self._stage(query, cause.rank)), places)
        if lost_anyway:
            return replace(followed, stage=INDEX, remedy="", near=False)
        return replace(cause, ranks=followed.ranks)

    def at(self, positions: Iterable[int]) -> list[Passage]:
        """Return the passages at some positions, in their order."""
        return self._index.passages([(position, 0.0) for position in positions])

    def matching(self, holds: Callable[[Passage], bool]) -> list[int]:
        """Return the positions of all passages for which a condition holds."""
        return self._index.matching(holds)

    def close(self) -> None:
        """Free the index, which chains of ``fresh`` share."""
        for real in self._real:
            real.close()
        self._index.close()


class _Parts:
    """The stages of a chain, made from its models. A model that stands in several places has its vectors kept once."""

    def __init__(self, index: Index, real_one: Callable[[], IndexedVectors] | None = None) -> None:
        self.encoders: list[Encoder] = []
        self.rerankers: list[Reranker] = []
        self.words: WordStage | None = None
        # Real indexes by the column of their vectors.
        self.real: dict[int, IndexedVectors] = {}
        self._index, self._real_one = index, real_one

    def chain(self, retrieval: Retrieval, model: System | None, reranker: System | None) -> Stage:
        """Return the last stage."""
        first = self._first(retrieval, model)
        if reranker:
            second = self._of(reranker, f"{reranker.kind} '{reranker.spec}'", searches=False)
        elif retrieval.by == "rerank":
            assert model  # noqa: S101  the only way without a model has a reranker
            second = self._of(model, model.kind, searches=False)
        else:
            return first
        return Reranked(first, second, retrieval.candidates, grows=True)

    def _first(self, retrieval: Retrieval, model: System | None) -> Stage:
        """Return the stage that searches."""
        if retrieval.by in {"bm25", "rerank"}:
            return self._bm25()
        assert model  # noqa: S101  all others have one
        if model.kind == "reranker":
            raise SpecError(
                f"'{model.spec}' is a reranker: it scores candidates and finds none, so passages can't be found by '{retrieval.by}'. "
                "Let BM25 find the candidates, with  retrieve: {by: rerank}  or --embedqa-retriever=rerank, or name a whole system:  "
                f"--embedqa-model='rerank:[builtin][{model.spec}]'."
            )
        if retrieval.by == "dense" and model.kind != "dense":
            raise SpecError(
                f"retrieve says  by: dense, and '{model.spec}' has no dense vectors (its kind is {model.kind}). "
                "Write  by: model  to search with whatever model is under test."
            )
        searches = self._of(model, model.kind)
        if retrieval.by != "rrf":
            return searches
        both = (self._bm25(), searches)
        return Fused(both, ("rrf", share_of("rrf", composites.RRF_K)), (1, 1), retrieval.candidates, grows=True)

    def _bm25(self) -> WordStage:
        self.words = self.words or WordStage(self._index)
        return self.words

    def _of(self, system: System, name: str = "", *, searches: bool = True) -> Stage:
        """Return the stage of a system; a part of several is called by its kind and spec.

        Args:
            system: The system.
            name: Name of the stage.
            searches: Whether it searches the corpus, rather than ordering what others have found.
        """
        name = name or f"{system.kind} '{system.spec}'"
        if isinstance(system, composites.Bm25):
            return self._bm25()
        if isinstance(system, composites.Hybrid):
            fusion = (system.fusion, share_of(system.fusion, system.k))
            parts = [self._of(part) for part in system.parts]
            return Fused(parts, fusion, system.weights, system.top_k or composites.TOP_K, grows=system.top_k is None)
        if isinstance(system, composites.Rerank):
            second = self._of(system.reranker, searches=False)
            return Reranked(self._of(system.first_stage), second, system.top_k, grows=False)
        if isinstance(system, Reranker):
            _placed(self.rerankers, system)
            return PairStage(system, self._index, name)
        if not isinstance(system, Encoder):
            raise SpecError(
                f"'{system.spec}' (its kind is {system.kind}) can't search the documents of probes. For a pipeline of your own, "
                "return it from a fixture 'retriever'."
            )
        if (column := _placed(self.encoders, system)) is None:
            column = self._index.column(Metric.of(system))
        if searches and self._real_one and column not in self.real:
            if system.representation is not DENSE:
                raise SpecError(
                    f"retrieve names an index of dense vectors, and '{system.spec}' has none (its kind is {system.kind}). Take  index: memory."
                )
            self.real[column] = self._real_one()
        return VectorStage(system, self._index, column, name, self.real[column] if searches and self.real else None)


def _placed(models: list[_Model], model: _Model) -> int | None:
    """Return the place of a model in a list; ``None`` if it was not there and is now the last."""
    for place, one in enumerate(models):
        if one is model:
            return place
    models.append(model)
    return None

"""Retrieval with our own encoder: passages are indexed once, and a chain of stages finds those that fit a query."""

from __future__ import annotations

import contextlib
import importlib.util
import io
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_embedqa.core.errors import DataError, EngineError, MissingExtraError, SpecError
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.engine import Vectors
from pytest_embedqa.encoders.engines.weights import loaded_as_data
from pytest_embedqa.encoders.model_folder import find_folder, read_folder
from pytest_embedqa.encoders.prompts import TextKind
from pytest_embedqa.encoders.retrievers.passage import Passage
from pytest_embedqa.rag.choices import INDEXES, RETRIEVALS, Retrieval
from pytest_embedqa.rag.index import Hit, Index, LanceIndex, MemoryIndex, best
from pytest_embedqa.rag.words import words

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

# A stage: given a query and a number, it returns the best positions in the corpus with their scores, the best first.
Search = Callable[[str, int], list[Hit]]

# The constant of reciprocal-rank fusion in Cormack, Clarke and Büttcher, SIGIR 2009.
_RRF = 60
# Where sentence-transformers before 4.0 wrote a cross encoder's activation.
_OLD_ACTIVATION = "sbert_ce_default_activation_function"
# Passages that go to the disk at a time: with their vectors some ten MB.
_SLICE = 4096


def build_chain(
    passages: Iterable[Passage], retrieval: Retrieval, encoder: Encoder | None, folder: Path | None = None
) -> Chain:
    """Index passages and assemble the stages of a retrieval.

    Args:
        passages: The corpus. With the index ``lancedb`` it is read in slices and need not fit into memory.
        retrieval: The way in which passages are found.
        encoder: Model for passages and queries; BM25 needs none.
        folder: Folder of LanceDB's table, which replaces an older table.

    Raises:
        SpecError: If a choice is unknown, or requires an encoder or folder that is not given.
        MissingExtraError: If a package is not installed.
        EngineError: If the cross encoder can't be loaded.
        DataError: If there are no passages.
    """
    by, where = retrieval.by, retrieval.index
    for name, value, known in (("by", by, RETRIEVALS), ("index", where, INDEXES)):
        if value not in known:
            raise SpecError(f"Unknown retrieval {name}='{value}'. Choose from {', '.join(known)}.")
    if by == "bm25":
        encoder = None
    elif encoder is None:
        raise SpecError(f"Retrieval by '{by}' needs an encoder, and none was given. Only 'bm25' does without.")
    if where == "lancedb" and folder is None:
        raise SpecError("The index 'lancedb' needs a folder for its table, and none was given.")
    cross_encoder = _load_cross_encoder(retrieval.cross_encoder) if retrieval.cross_encoder else None
    bm25 = None if by == "dense" else Bm25()
    index: Index = LanceIndex(folder) if where == "lancedb" and folder else MemoryIndex()
    rest = iter(passages)
    while part := list(islice(rest, _SLICE if where == "lancedb" else None)):
        texts = [passage.text for passage in part]
        index.add(part, encoder.encode(texts, kind=TextKind.DOCUMENT) if encoder else None)
        if bm25:
            bm25.add(texts)
    if not index.size:
        raise DataError("The corpus has no passages: no document was found, or none has text. Check its folder.")
    if bm25:
        bm25.build()
    return Chain(retrieval, encoder, index, bm25, cross_encoder)


class Chain:
    """The built-in ``Retriever``: stages that find passages in an index.

    Attributes:
        size: Number of passages in the index.
        notes: Notes on parts of documents that could not be read.
        last_pages: The last page of each document by its path below the corpus; ``None`` for a document without pages.
    """

    def __init__(
        self,
        retrieval: Retrieval,
        encoder: Encoder | None,
        index: Index,
        bm25: Bm25 | None,
        cross_encoder: CrossEncoder | None,
    ) -> None:
        """Assemble the parts that ``build_chain`` makes."""
        self.size = index.size
        self.notes: tuple[str, ...] = ()
        self.last_pages: dict[str, int | None] = {}
        self._parts = (retrieval, encoder, index, bm25, cross_encoder)
        self._index = index
        self._search = _first_stages(retrieval, encoder, index, bm25)
        if cross_encoder:
            self._search = CrossEncoded(self._search, index, cross_encoder, retrieval.candidates)

    def __call__(self, query: str, k: int, /) -> list[Passage]:
        """Return the ``k`` best passages for a query, the best first, with scores; ties in the order of the corpus.

        There are fewer if the corpus has fewer, or if BM25 chooses and fewer share a word with the query.
        """
        return self._index.passages(self._search(query, k)) if k > 0 else []

    def prepare(self, queries: Sequence[str]) -> None:
        """Compute the vectors of queries in one go, for an encoder with a store: single queries take much longer."""
        encoder = self._parts[1]
        if encoder:
            encoder.encode(queries, kind=TextKind.QUERY)

    def fresh(self) -> Chain:
        """Return the same chain, which computes every query's vector instead of looking it up, to measure its speed."""
        retrieval, encoder, index, bm25, cross_encoder = self._parts
        return Chain(retrieval, encoder and encoder.computing(), index, bm25, cross_encoder)

    def close(self) -> None:
        """Free the index, which chains of ``fresh`` share."""
        self._index.close()


def _first_stages(retrieval: Retrieval, encoder: Encoder | None, index: Index, bm25: Bm25 | None) -> Search:
    if encoder is None:
        assert bm25, "all but BM25 have an encoder"  # noqa: S101
        return bm25
    dense = Dense(encoder, index)
    if bm25 is None:
        return dense
    if retrieval.by == "rerank":
        return Rerank(bm25, dense, retrieval.candidates)
    return Fusion(bm25, dense, retrieval.candidates)


class Dense:
    """A stage that searches by the cosine of vectors."""

    def __init__(self, encoder: Encoder, index: Index) -> None:
        self._encoder, self._index = encoder, index

    def __call__(self, query: str, k: int) -> list[Hit]:
        """Return the ``k`` best passages of the corpus."""
        return self._index.nearest(self._vector(query), k)

    def order(self, query: str, hits: list[Hit]) -> list[Hit]:
        """Return another stage's hits with their cosines as scores, the best first."""
        positions = [position for position, _ in hits]
        return _ranked(positions, self._index.cosines(self._vector(query), positions).tolist())

    def _vector(self, query: str) -> Vectors:
        vector: Vectors = self._encoder.encode([query], kind=TextKind.QUERY)[0]
        return vector


class Bm25:
    """A stage that searches by shared words; a passage that shares none with the query is not found."""

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
        """Return the ``k`` best passages of the corpus."""
        known = [self._ids[word] for word in words(query) if word in self._ids]
        if not known:
            return []
        return [(position, score) for position, score in best(self._model.get_scores_from_ids(known), k) if score > 0]


class Rerank:
    """A stage that finds candidates by their words, and orders them by cosine."""

    def __init__(self, bm25: Bm25, dense: Dense, candidates: int) -> None:
        self._bm25, self._dense, self._candidates = bm25, dense, candidates

    def __call__(self, query: str, k: int) -> list[Hit]:
        """Return the ``k`` best candidates."""
        return self._dense.order(query, self._bm25(query, max(k, self._candidates)))[:k]


class Fusion:
    """A stage of reciprocal-rank fusion: it adds up ranks rather than scores, which have no common scale."""

    def __init__(self, bm25: Bm25, dense: Dense, candidates: int) -> None:
        self._stages, self._candidates = (bm25, dense), candidates

    def __call__(self, query: str, k: int) -> list[Hit]:
        """Return the ``k`` best candidates of both stages."""
        fused: dict[int, float] = {}
        for stage in self._stages:
            for rank, (position, _) in enumerate(stage(query, max(k, self._candidates)), start=1):
                fused[position] = fused.get(position, 0.0) + 1 / (_RRF + rank)
        return _ranked(fused.keys(), fused.values())[:k]


class CrossEncoded:
    """A stage that orders the candidates of another by a model that reads query and passage together."""

    def __init__(self, stage: Search, index: Index, model: CrossEncoder, candidates: int) -> None:
        self._stage, self._index, self._model, self._candidates = stage, index, model, candidates

    def __call__(self, query: str, k: int) -> list[Hit]:
        """Return the ``k`` best candidates."""
        found = self._stage(query, max(k, self._candidates))
        pairs = [(query, passage.text) for passage in self._index.passages(found)]
        scores = self._model.predict(pairs, show_progress_bar=False)
        return _ranked((position for position, _ in found), scores.tolist())[:k]


def _ranked(positions: Iterable[int], scores: Iterable[float]) -> list[Hit]:
    """Return hits, the best first, ties by position."""
    return sorted(zip(positions, scores, strict=True), key=lambda hit: (-hit[1], hit[0]))


def _require_plain_activation(name: str) -> None:
    """Refuse a model whose scores go through anything but a layer of torch: sentence-transformers calls what ``config.json`` names."""
    folder = find_folder(name)
    config = read_folder(folder).config if folder else {}
    own = config.get("sentence_transformers")
    named = (own if isinstance(own, dict) else {}).get("activation_fn"), config.get(_OLD_ACTIVATION)
    for activation in filter(None, named):
        if not str(activation).startswith("torch.nn."):
            raise EngineError(
                f"The cross encoder '{name}' is not loaded: its config.json names the activation {activation}, which is not "
                "a layer of torch.nn, and a model's files are data. Choose another model, or save it with one of torch.nn."
            )


def _load_cross_encoder(name: str) -> CrossEncoder:
    """Load a model from a folder, or from the Hub's cache on this machine.

    Raises:
        MissingExtraError: If sentence-transformers is not installed.
        EngineError: If there is no such model, or it does not give a pair of texts one score.
    """
    if importlib.util.find_spec("sentence_transformers") is None:
        raise MissingExtraError("sentence-transformers", "st", f"The cross encoder '{name}'")
    from sentence_transformers import CrossEncoder  # seconds to import

    try:
        _require_plain_activation(name)
        with contextlib.redirect_stderr(io.StringIO()), loaded_as_data(name):  # a bar for what takes a second
            model = CrossEncoder(name, local_files_only=True)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        raise EngineError(
            f"The cross encoder '{name}' can't be loaded: {error}\n"
            f"Give a folder with the model, or a name on the Hub that is in the cache:  hf download {name}"
        ) from error
    if model.num_labels != 1:
        raise EngineError(
            f"The cross encoder '{name}' gives {model.num_labels} scores for a pair of texts, but ranking passages needs a single score."
        )
    trained = getattr(model.config, "architectures", None) or [""]
    # sentence-transformers gives any other model a head with random weights.
    if len(model) == 1 and not trained[0].endswith("ForSequenceClassification"):
        raise EngineError(
            f"'{name}' is not a cross encoder: its weights ({trained[0] or 'of unknown kind'}) have no head that scores a pair of texts. "
            "Give a model that was trained as one."
        )
    return model

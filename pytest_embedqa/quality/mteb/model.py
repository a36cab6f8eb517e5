"""Encoders as models of mteb's: they encode texts, and rank the documents of corpora larger than memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mteb._create_dataloaders import _retrieval_texts
from mteb.models.abs_encoder import AbsEncoder
from mteb.models.model_meta import ModelMeta, ScoringFunction
from mteb.types import PromptType

from pytest_embedqa.core.measures import Floats
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.engine import Vectors
from pytest_embedqa.encoders.prompts import DOCUMENT, QUERY, TaskContext, TextKind
from pytest_embedqa.encoders.representations import DENSE, MULTI_VECTOR, SPARSE, Embeddings
from pytest_embedqa.encoders.system import System
from pytest_embedqa.quality.mteb.corpus import Corpus
from pytest_embedqa.quality.mteb.exact_search import CorpusSearch, RankedPlaces, Similarity
from pytest_embedqa.quality.mteb.prompts import KINDS

# Scores by document, by query.
Found = dict[str, dict[str, float]]


def meta(system: System, similarity: ScoringFunction | None = None) -> ModelMeta:
    """Return what mteb wants to know of a model."""
    about = {"name": f"embedqa/{system.identity.digest[:16]}", "similarity_fn_name": similarity}
    return ModelMeta.create_empty(overwrites=about)


class VectorSearch:
    """A search by the vectors of an encoder, of whatever kind.

    It is our own: mteb's holds all queries' scores with 50,000 documents, with all token vectors of these, and a heap of
    tuples for each query.

    Attributes:
        bytes: Bytes that an index would need for the documents so far, and their number.
    """

    def __init__(self, encoder: Encoder, contexts: Mapping[str, TaskContext] | None = None) -> None:
        """Wrap an encoder, which adds the prompts itself.

        Args:
            encoder: The encoder.
            contexts: The facts that prompts depend on, by the name of the task.
        """
        self.encoder = encoder
        self.contexts = contexts or {}
        self.bytes = (0, 0)
        by_dot = encoder.identity.similarity == "dot"
        self.mteb_model_meta = meta(encoder, ScoringFunction.DOT_PRODUCT if by_dot else ScoringFunction.COSINE)
        self._ranges: dict[TextKind, Vectors] = {}
        self._corpus: Corpus | None = None

    def _encode(self, texts: list[str], kind: TextKind, task_metadata: Any) -> Embeddings:
        vectors = self.encoder.encode(texts, kind, self.contexts.get(task_metadata.name))
        representation = self.encoder.representation
        if texts and representation is DENSE:
            low, high = self._ranges.get(kind, (vectors[0], vectors[0]))
            self._ranges[kind] = np.stack([np.minimum(low, vectors.min(axis=0)), np.maximum(high, vectors.max(axis=0))])
        if texts and kind is DOCUMENT:
            rows = (
                vectors
                if representation is MULTI_VECTOR
                else [vectors.data if representation is SPARSE else vectors.ravel()]
            )
            self.bytes = self.bytes[0] + sum(map(representation.size, rows)), self.bytes[1] + len(texts)
        return vectors

    @property
    def ranges(self) -> Vectors | None:
        """Smallest and largest value of each dimension over the vectors that an index would hold, shape (2, dim)."""
        return self._ranges.get(DOCUMENT, next(iter(self._ranges.values()), None))

    def index(self, corpus: Any, **_: Any) -> None:  # mteb's data
        """Take the documents to search."""
        self._corpus = Corpus(corpus)

    def search(
        self,
        queries: Any,  # mteb's data
        *,
        task_metadata: Any,
        top_k: int,
        top_ranked: Mapping[str, Sequence[str]] | None = None,
        **_: Any,
    ) -> Found:
        """Rank documents for each query.

        Args:
            queries: The queries.
            task_metadata: Metadata of the task.
            top_k: Number of documents for each query.
            top_ranked: The documents to rank for each query, where it is not the whole corpus.

        Returns:
            Scores by document, by query.
        """
        assert self._corpus is not None  # noqa: S101  mteb calls index() first
        corpus, identity = self._corpus, self.encoder.identity
        quantization = self.encoder.quantization
        asked = list(queries["id"])
        vectors = self._encode(list(_retrieval_texts(queries, PromptType.query)), QUERY, task_metadata)
        search = CorpusSearch(
            corpus,
            lambda texts: self._encode(texts, DOCUMENT, task_metadata),
            Similarity(self.encoder.representation, identity.similarity, identity.max_length),
            rescored=quantization if quantization and quantization.rescore else None,
        )
        if top_ranked is None:
            rankings = search.whole(vectors, top_k)
        else:
            candidates = numbers_of(corpus, asked, top_ranked)
            rankings = search.among(
                vectors, [np.array(sorted(set(some)), dtype=np.int64) for some in candidates], top_k
            )
        return named(corpus, asked, rankings)


class MtebModel(VectorSearch, AbsEncoder):  # type: ignore[misc]  # mteb ships no types that mypy can follow
    """An encoder with one vector for each text, which mteb's own code evaluates on tasks of every type."""

    def encode(self, inputs: Any, *, task_metadata: Any, prompt_type: PromptType | None = None, **_: Any) -> Floats:
        """Return the vectors of a DataLoader's texts, shape (n, dim); sparse vectors are made dense, as in mteb."""
        vectors = self._encode(list(inputs.dataset["text"]), KINDS[prompt_type], task_metadata)
        found: Floats = vectors.toarray() if self.encoder.representation is SPARSE else vectors
        return found


def numbers_of(corpus: Corpus, asked: Sequence[str], top_ranked: Mapping[str, Sequence[str]]) -> list[list[int]]:
    """Return the numbers of each query's candidates, in their order."""
    number = corpus.numbers({document for query in asked for document in top_ranked.get(query, ())})
    return [[number[document] for document in top_ranked.get(query, ())] for query in asked]


def named(corpus: Corpus, asked: Sequence[str], rankings: Sequence[RankedPlaces]) -> Found:
    """Return rankings as mteb has them: scores by the ids of documents, by the ids of queries."""
    every = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *(one.places for one in rankings)])).tolist()
    id_of = dict(zip(every, corpus.ids(every), strict=True))  # queries share the id object of a document
    return {
        query: dict(zip(map(id_of.__getitem__, ranking.places.tolist()), ranking.scores.tolist(), strict=True))
        for query, ranking in zip(asked, rankings, strict=True)
    }

"""An encoder as a model of mteb's: it encodes texts, and ranks the documents of corpora larger than memory."""

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
from pytest_embedqa.quality.mteb.corpus import Corpus
from pytest_embedqa.quality.mteb.exact_search import CorpusSearch
from pytest_embedqa.quality.mteb.prompts import KINDS


class MtebModel(AbsEncoder):  # type: ignore[misc]  # mteb ships no types that mypy can follow
    """A model through which mteb's own code evaluates an encoder.

    It has its own search: mteb's holds all queries' scores with 50,000 documents, and a heap of tuples for each query.
    """

    def __init__(self, encoder: Encoder) -> None:
        """Wrap an encoder, which adds the prompts itself."""
        self.encoder = encoder
        self._by_dot = encoder.identity.similarity == "dot"
        self.mteb_model_meta = ModelMeta.create_empty(
            overwrites={
                "name": f"embedqa/{encoder.identity.digest[:16]}",
                "similarity_fn_name": ScoringFunction.DOT_PRODUCT if self._by_dot else ScoringFunction.COSINE,
            }
        )
        self.contexts: dict[str, TaskContext] = {}
        self._ranges: dict[TextKind, Vectors] = {}
        self._corpus: Corpus | None = None

    def encode(self, inputs: Any, *, task_metadata: Any, prompt_type: PromptType | None = None, **_: Any) -> Floats:
        """Return the vectors of a DataLoader's texts, shape (n, dim)."""
        return self._encode(list(inputs.dataset["text"]), KINDS[prompt_type], task_metadata)

    def _encode(self, texts: list[str], kind: TextKind, task_metadata: Any) -> Vectors:
        vectors: Vectors = self.encoder.encode(texts, kind, self.contexts.get(task_metadata.name))
        if len(vectors):
            low, high = self._ranges.get(kind, (vectors[0], vectors[0]))
            self._ranges[kind] = np.stack([np.minimum(low, vectors.min(axis=0)), np.maximum(high, vectors.max(axis=0))])
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
    ) -> dict[str, dict[str, float]]:
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
        corpus, quantization = self._corpus, self.encoder.quantization
        asked = list(queries["id"])
        vectors = self._encode(list(_retrieval_texts(queries, PromptType.query)), QUERY, task_metadata)
        search = CorpusSearch(
            corpus,
            lambda texts: self._encode(texts, DOCUMENT, task_metadata),
            by_dot=self._by_dot,
            rescored=quantization if quantization and quantization.rescore else None,
        )
        if top_ranked is None:
            rankings = search.whole(vectors, top_k)
        else:
            number = corpus.numbers({document for query in asked for document in top_ranked.get(query, ())})
            candidates = [
                np.array(sorted({number[document] for document in top_ranked.get(query, ())}), dtype=np.int64)
                for query in asked
            ]
            rankings = search.among(vectors, candidates, top_k)
        every = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *(one.places for one in rankings)])).tolist()
        id_of = dict(zip(every, corpus.ids(every), strict=True))  # queries share the id object of a document
        return {
            query: dict(zip(map(id_of.__getitem__, ranking.places.tolist()), ranking.scores.tolist(), strict=True))
            for query, ranking in zip(asked, rankings, strict=True)
        }

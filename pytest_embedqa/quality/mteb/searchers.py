"""Systems without vectors as models of mteb's, which calls ``index`` and ``search``: BM25, hybrids, rerankers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from mteb._create_dataloaders import _combine_queries_with_instruction_text, _retrieval_texts
from mteb.models.hybrid_wrappers import fuse_dbsf, fuse_relative_score_fusion, fuse_rrf
from mteb.models.model_implementations.bm25 import BM25Search
from mteb.types import PromptType

from pytest_embedqa.core.errors import TaskError
from pytest_embedqa.encoders.composites import Bm25, Hybrid, Rerank
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.prompts import TaskContext
from pytest_embedqa.encoders.representations import MULTI_VECTOR
from pytest_embedqa.encoders.reranker import Reranker
from pytest_embedqa.encoders.system import System
from pytest_embedqa.quality.mteb.corpus import Corpus
from pytest_embedqa.quality.mteb.exact_search import RankedPlaces
from pytest_embedqa.quality.mteb.model import Found, MtebModel, VectorSearch, meta, named, numbers_of
from pytest_embedqa.quality.task import Part

# Pairs scored in a call, and scores of BM25 held at a time: 32 MiB.
_PAIRS, _SCORES = 10_000, 1 << 23
# Documents of each list of a hybrid search at least, as in mteb.
_LIST = 100
_FUSE: Mapping[str, Callable[..., Mapping[str, float]]] = {
    "rrf": fuse_rrf,
    "dbsf": fuse_dbsf,
    "rsf": fuse_relative_score_fusion,
}
Contexts = Mapping[str, TaskContext]
# What mteb calls ``index`` and ``search`` of.
Searcher: TypeAlias = "VectorSearch | PairScorer | WordSearch | HybridModel | RerankModel"


def model_of(system: System, contexts: Contexts) -> Searcher:
    """Return the model through which mteb evaluates a system.

    Args:
        system: The system.
        contexts: The facts that prompts depend on, by the name of the task.
    """
    if isinstance(system, Encoder):
        return (VectorSearch if system.representation is MULTI_VECTOR else MtebModel)(system, contexts)
    if isinstance(system, Reranker):
        return PairScorer(system, contexts)
    if isinstance(system, Bm25):
        return WordSearch(system)
    if isinstance(system, Hybrid):
        return HybridModel(system, contexts)
    assert isinstance(system, Rerank)  # noqa: S101  there are no others
    return RerankModel(system, contexts)


class PairScorer:
    """A reranker, which scores the candidates of each query."""

    bytes = (0, 0)

    def __init__(self, reranker: Reranker, contexts: Contexts) -> None:
        """Wrap a reranker, which adds the prompts itself."""
        self.mteb_model_meta = meta(reranker)
        self._reranker = reranker
        self._contexts = contexts
        self._corpus: Corpus | None = None

    def index(self, corpus: Any, **_: Any) -> None:  # mteb's data
        """Take the documents that candidates are among."""
        self._corpus = Corpus(corpus)

    def search(
        self, queries: Any, *, task_metadata: Any, top_ranked: Mapping[str, Sequence[str]] | None = None, **_: Any
    ) -> Found:
        """Score the candidates of each query, all of them.

        Raises:
            TaskError: If there are no candidates.
        """
        assert self._corpus is not None  # noqa: S101  mteb calls index() first
        if top_ranked is None:
            raise needs_candidates(self._reranker, task_metadata.name)
        asked, context = list(queries["id"]), self._contexts.get(task_metadata.name)
        texts = list(_retrieval_texts(queries, PromptType.query))
        candidates = numbers_of(self._corpus, asked, top_ranked)
        places = [(row, number) for row, some in enumerate(candidates) for number in some]
        scores = np.empty(len(places), dtype=np.float32)
        for start in range(0, len(places), _PAIRS):
            part = places[start : start + _PAIRS]
            numbers = sorted({number for _, number in part})
            document = dict(zip(numbers, self._corpus.texts(numbers), strict=True))
            pairs = [(texts[row], document[number]) for row, number in part]
            scores[start : start + _PAIRS] = self._reranker.score(pairs, context)
        ends = np.cumsum([len(some) for some in candidates])[:-1]
        rankings = [
            RankedPlaces(np.array(some, dtype=np.int64), own)
            for some, own in zip(candidates, np.split(scores, ends), strict=True)
        ]
        return named(self._corpus, asked, rankings)


def needs_candidates(reranker: System, task: str) -> TaskError:
    """Return the error that a reranker has nothing to score."""
    return TaskError(
        f"'{reranker.spec}' is a reranker: it scores candidates and finds none, and {task} brings none. Name what finds them:  "
        "@mteb_task(..., first_stage=\"bm25\")  or another first_stage=; or test both together:  --embedqa-model='rerank:[bm25][RERANKER]'"
    )


class WordSearch:
    """BM25 by mteb's own search object. A document that holds no word of the query is not found.

    Attributes:
        theirs: What mteb's object returns, by split and subset: its lists are filled up with documents of score 0.
    """

    def __init__(self, system: Bm25) -> None:
        """Wrap the system, which has no models."""
        self.mteb_model_meta = meta(system)
        self.bytes = (0, 0)
        self.theirs: dict[Part, Found] = {}
        self._bm25 = BM25Search()
        self._corpus: Corpus | None = None

    def index(self, corpus: Any, **about: Any) -> None:
        """Count the words of the documents."""
        self._corpus = Corpus(corpus)
        self._bm25.index(corpus, **about)
        weights = self._bm25.retriever.scores  # a sparse matrix of words and documents
        self.bytes = weights["data"].nbytes + weights["indices"].nbytes, len(self._corpus)

    def search(
        self, queries: Any, *, top_k: int, top_ranked: Mapping[str, Sequence[str]] | None = None, **about: Any
    ) -> Found:
        """Rank the documents that hold a word of the query; of candidates, all."""
        theirs = self._bm25.search(queries, top_k=top_k, top_ranked=top_ranked, **about)
        self.theirs[about["hf_split"], about["hf_subset"]] = theirs
        if top_ranked is not None:
            return self._among(queries, top_ranked)
        return {query: without_absent(scores) for query, scores in theirs.items()}

    def _among(self, queries: Any, top_ranked: Mapping[str, Sequence[str]]) -> Found:
        """Score all candidates: mteb's object leaves out those that are not among the first of the whole corpus."""
        assert self._corpus is not None  # noqa: S101  mteb calls index() first
        asked, found = list(queries["id"]), []
        texts = list(_combine_queries_with_instruction_text(queries)["text"])
        candidates = numbers_of(self._corpus, asked, top_ranked)
        step = max(1, _SCORES // len(self._corpus))
        for start in range(0, len(asked), step):
            tokens = self._bm25._tokenizer.transform(texts[start : start + step])  # noqa: SLF001  there is no other way to it
            places, scores = self._bm25.retriever.retrieve(tokens, k=len(self._corpus), sorted=False)
            for row, some in enumerate(candidates[start : start + step]):
                by_place = np.empty(len(self._corpus), dtype=np.float32)
                by_place[places[row]] = scores[row]
                numbers = np.array(some, dtype=np.int64)
                found.append(RankedPlaces(numbers, by_place[numbers]))
        return named(self._corpus, asked, found)


class HybridModel:
    """The rankings of several systems, fused by mteb's functions. What a system has not found has no rank.

    Attributes:
        parts: Kind and model of each system.
        theirs: What mteb's ``HybridSearch`` makes of the same parts, by split and subset.
    """

    def __init__(self, system: Hybrid, contexts: Contexts) -> None:
        """Wrap the system's parts."""
        self.mteb_model_meta = meta(system)
        self.theirs: dict[Part, Found] = {}
        self._system = system
        self.parts = [(part.kind, model_of(part, contexts)) for part in system.parts]
        self._fuse = partial(_FUSE[system.fusion], **({"rrf_k": system.k} if system.fusion == "rrf" else {}))

    @property
    def bytes(self) -> tuple[int, int]:
        """Bytes of all indices, and the number of documents."""
        return sum(part.bytes[0] for _, part in self.parts), max(part.bytes[1] for _, part in self.parts)

    def index(self, corpus: Any, **about: Any) -> None:
        """Let each part take the documents."""
        for _, part in self.parts:
            part.index(corpus, **about)

    def search(self, queries: Any, *, top_k: int, **about: Any) -> Found:
        """Fuse the lists of all parts."""
        place = about["hf_split"], about["hf_subset"]
        length = max(top_k, self._system.top_k or _LIST)
        lists, filled = [], []
        for kind, part in self.parts:
            found = part.search(queries, top_k=length, **about)
            filled.append(part.theirs[place] if isinstance(part, WordSearch | HybridModel) else found)
            if kind in {"bm25", "sparse"}:
                found = {query: without_absent(scores) for query, scores in found.items()}
            lists.append({query: _best(scores, self._system.top_k or length) for query, scores in found.items()})
        asked = list(queries["id"])
        self.theirs[place] = self._fused(asked, filled, top_k)
        return self._fused(asked, lists, top_k)

    def _fused(self, asked: Sequence[str], lists: Sequence[Found], top_k: int) -> Found:
        fused = {query: self._fuse([one.get(query, {}) for one in lists], self._system.weights) for query in asked}
        return {query: _best(scores, top_k) for query, scores in fused.items()}


class RerankModel:
    """A second system that orders the candidates of a first.

    Attributes:
        first_stage: The model that finds candidates.
        candidates: Ids of the candidates by query, the first stage's best first; by split and subset.
        reranked: The same ids, the reranker's best first.
    """

    def __init__(self, system: Rerank, contexts: Contexts) -> None:
        """Wrap both stages."""
        self.mteb_model_meta = meta(system)
        self.candidates: dict[Part, dict[str, list[str]]] = {}
        self.reranked: dict[Part, dict[str, list[str]]] = {}
        self._top_k, self._first_kind = system.top_k, system.first_stage.kind
        self.first_stage, self._second = model_of(system.first_stage, contexts), model_of(system.reranker, contexts)

    @property
    def bytes(self) -> tuple[int, int]:
        """Bytes of the first stage's index, and the number of documents."""
        return self.first_stage.bytes

    def index(self, corpus: Any, **about: Any) -> None:
        """Let both stages take the documents."""
        self.first_stage.index(corpus, **about)
        self._second.index(corpus, **about)

    def search(self, queries: Any, *, top_ranked: Any = None, **about: Any) -> Found:
        """Order the candidates of each query, all of them; what the first stage does not find is not found."""
        place = about["hf_split"], about["hf_subset"]
        about["top_k"] = self._top_k
        found = self.first_stage.search(queries, top_ranked=top_ranked, **about)
        if self._first_kind == "sparse":
            found = {query: without_absent(scores) for query, scores in found.items()}
        # As in mteb's convert_to_reranking: equal scores stay in order.
        candidates = {
            query: sorted(scores, key=scores.__getitem__, reverse=True)[: self._top_k]
            for query, scores in found.items()
        }
        self.candidates[place] = candidates
        ordered = self._second.search(queries, top_ranked=candidates, **about)
        self.reranked[place] = {query: list(_best(scores, self._top_k)) for query, scores in ordered.items()}
        return ordered


def word_searches(model: object) -> Iterator[WordSearch]:
    """Yield the searches by words that a model makes."""
    if isinstance(model, WordSearch):
        yield model
    elif isinstance(model, HybridModel):
        for _, part in model.parts:
            yield from word_searches(part)
    elif isinstance(model, RerankModel):
        yield from word_searches(model.first_stage)


def without_absent(scores: Mapping[str, float]) -> dict[str, float]:
    """Return the documents that share a word, or an active dimension, with the query."""
    return {document: score for document, score in scores.items() if score}


def _best(scores: Mapping[str, float], count: int) -> dict[str, float]:
    """Return the best documents; of equal scores the greater id first, as in mteb's HybridSearch and trec_eval."""
    ordered = sorted(scores.items(), key=lambda one: (one[1], one[0]), reverse=True)
    return dict(ordered[:count])

"""The choices of a probe file: how a corpus is cut, and how it is searched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_embedqa.encoders.spec import Spec

CHUNKINGS = ("tokens", "sentences", "headings")
RETRIEVALS = ("model", "dense", "bm25", "rerank", "rrf")
INDEXES = ("memory", "lancedb")


@dataclass(frozen=True)
class Chunking:
    """The way in which documents are cut into passages.

    Attributes:
        by: Place to cut: after a number of ``tokens``, between ``sentences``, or at ``headings`` and then sentences.
        size: Most tokens in a passage, counted by the encoder's own tokenizer.
        overlap: Tokens that a passage repeats from the passage before it.
        heading_path: Whether each passage begins with the headings above it, as ``Guide > Returns``.
    """

    by: str = "sentences"
    size: int = 200
    overlap: int = 0
    heading_path: bool = False


@dataclass(frozen=True)
class Retrieval:
    """The way in which passages are found.

    Attributes:
        by: ``model`` (the model under test, in the way of its kind), ``dense`` (the same, and it must have dense vectors),
            ``bm25`` (words), ``rerank`` (BM25 finds candidates, the reranker or the model under test orders them) or ``rrf``
            (reciprocal-rank fusion of BM25 and the model under test).
        k: Passages to return.
        candidates: Number of passages that the first stage hands on.
        reranker: The system that orders the candidates of the first stage; none by default.
        index: Storage of vectors: ``memory``, or ``lancedb`` on disk for a corpus beyond memory, with the same results; or
            the spec of a real index that searches them, such as ``faiss:HNSW32?efSearch=64``.
    """

    by: str = "model"
    k: int = 5
    candidates: int = 100
    reranker: Spec | None = None
    index: str = "memory"


def takes_no_model(retrieval: Retrieval) -> bool:
    """Return whether the model under test has no part in a retrieval."""
    return retrieval.by == "bm25" or (retrieval.by == "rerank" and retrieval.reranker is not None)


@dataclass(frozen=True)
class HttpRetrieval:
    """The request to an HTTP endpoint for passages, and the paths to them in its answer.

    Attributes:
        url: Address to which the request is posted.
        body: The request as JSON. ``{query}`` and ``{k}`` in any of its strings are replaced; a string that is exactly
            ``{k}`` becomes a number.
        hits: JMESPath to the list of hits, the best first.
        text: JMESPath to the text within a hit.
        source: JMESPath to the document's name within a hit.
        page: JMESPath to the page within a hit: a whole number, or a string of digits.
        score: JMESPath to the score within a hit; higher is better.
        distance: JMESPath to the distance within a hit, in place of a score; lower is better.
        headers: Headers of the request; ``${NAME}`` in a value stands for the environment variable NAME.
        timeout: Seconds for a request, from the connection to the last byte of the answer.
        page_offset: Number to add to a page so that the first page is 1.
    """

    url: str
    body: Any
    hits: str
    text: str
    source: str | None = None
    page: str | None = None
    score: str | None = None
    distance: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 30
    page_offset: int = 0

"""How a corpus is cut and searched: what a probe file chooses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CHUNKINGS = ("tokens", "sentences", "headings")
RETRIEVALS = ("dense", "bm25", "rerank", "rrf")
INDEXES = ("memory", "lancedb")


@dataclass(frozen=True)
class Chunking:
    """How documents become passages.

    Attributes:
        by: Where to cut: after so many ``tokens``, between ``sentences``, or at ``headings`` and then sentences.
        size: Tokens of a passage at most, counted by the encoder's own tokenizer.
        overlap: Tokens that a passage repeats of the one before it.
        heading_path: Whether each passage begins with the headings that it is under, as ``Guide > Returns``.
    """

    by: str = "sentences"
    size: int = 200
    overlap: int = 0
    heading_path: bool = False


@dataclass(frozen=True)
class Retrieval:
    """How passages are found.

    Attributes:
        by: ``dense`` (cosine of vectors), ``bm25`` (words), ``rerank`` (BM25 finds candidates, vectors order them) or
            ``rrf`` (reciprocal-rank fusion of both).
        k: Passages to return.
        candidates: Passages that a first stage hands on.
        cross_encoder: Model that orders the candidates once more: a folder or name for sentence-transformers'
            ``CrossEncoder``; none by default.
        index: Where vectors are: ``memory``, or ``lancedb`` on disk for a corpus beyond memory, with the same results.
    """

    by: str = "dense"
    k: int = 5
    candidates: int = 100
    cross_encoder: str | None = None
    index: str = "memory"


@dataclass(frozen=True)
class HttpRetrieval:
    """How to ask an HTTP endpoint for passages, and where they are in its answer.

    Attributes:
        url: Address to which the request is posted.
        body: The request as JSON. ``{query}`` and ``{k}`` in any of its strings are replaced; a string that is exactly
            ``{k}`` becomes a number.
        hits: JMESPath to the list of hits, the best first.
        text: JMESPath to the text within a hit.
        source: JMESPath to the document's name within a hit.
        page: JMESPath to the page within a hit: a whole number, or a string of digits.
        score: JMESPath to the score within a hit; more is better.
        distance: JMESPath to the distance within a hit, in place of a score; less is better.
        headers: Headers of the request; ``${NAME}`` in a value is the environment variable NAME.
        timeout: Seconds for a request, from the connection to the last byte of the answer.
        page_offset: What to add to a page so that the first is 1.
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

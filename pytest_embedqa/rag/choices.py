"""How a corpus is cut and searched: what a probe file chooses."""

from __future__ import annotations

from dataclasses import dataclass

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

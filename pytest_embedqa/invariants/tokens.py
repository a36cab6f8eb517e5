"""Invariants of multi-vectors: how many vectors a text has."""

from __future__ import annotations

from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.prompts import QUERY
from pytest_embedqa.invariants.catalogue import invariant
from pytest_embedqa.invariants.invariant import Finding, NotApplicableError
from pytest_embedqa.invariants.questions import ANSWERS
from pytest_embedqa.invariants.rows import rows
from pytest_embedqa.invariants.texts import LONG, SENTENCES

_KIND = ("multi-vector",)


@invariant("wrong_share", at_most=0, source="ColBERT#16, neural-ranking-kd#1", kinds=_KIND)
def query_expanded(encoder: Encoder, _bound: float) -> Finding:
    """A query has the number of vectors that its expansion says, however short it is."""
    expansion = encoder.identity.options.get("query_expansion")
    if not expansion:
        raise NotApplicableError("queries are not expanded")
    strategy, _, length = expansion.partition(" ")
    wrong = []
    queries = ["egg", *(question for question, _ in ANSWERS), *LONG]
    for query, row in zip(queries, rows(encoder, queries, QUERY), strict=True):
        enough = len(row) == int(length) if strategy == "fixed" else len(row) >= int(length)
        wrong += [] if enough else [f"{query[:80]!r} has {len(row)} vectors; the expansion is {expansion}"]
    return Finding(len(wrong) / len(queries), wrong[0] if wrong else "")


@invariant("wrong_share", at_most=0, source="ColBERT#62, ColBERT#314", kinds=_KIND)
def vectors_of_tokens(encoder: Encoder, _bound: float) -> Finding:
    """A document has no more vectors than tokens: none of padding takes part in MaxSim."""
    texts = [*SENTENCES, *LONG]
    counted = encoder.count_tokens(texts)
    if counted is None:
        raise NotApplicableError("the engine does not count tokens")
    most = encoder.max_length() or max(counted)
    wrong = [
        f"{text[:80]!r} has {len(row)} vectors and {tokens} tokens"
        for text, row, tokens in zip(texts, rows(encoder, texts), counted, strict=True)
        if len(row) > min(tokens, most)
    ]
    return Finding(len(wrong) / len(texts), wrong[0] if wrong else "")

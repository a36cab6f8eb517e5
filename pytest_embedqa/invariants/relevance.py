"""Invariants of relevance: what answers a question comes first, and similarity is what its name says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pytest_embedqa.core.measures import Floats
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.prompts import QUERY
from pytest_embedqa.encoders.representations import MULTI_VECTOR, SPARSE, Row
from pytest_embedqa.encoders.reranker import Reranker
from pytest_embedqa.invariants.catalogue import invariant
from pytest_embedqa.invariants.invariant import ENCODERS, RERANKER, Finding
from pytest_embedqa.invariants.questions import ANSWERS, ANSWERS_BY_LANGUAGE
from pytest_embedqa.invariants.rows import rows
from pytest_embedqa.invariants.texts import SENTENCES


def relevance(model: Encoder | Reranker, questions: Sequence[str], passages: Sequence[str]) -> Floats:
    """Return similarities or scores of each question with each passage, shape (questions, passages)."""
    if isinstance(model, Encoder):
        return model.similarity(model.encode(questions, QUERY), model.encode(passages))
    pairs = [(question, passage) for question in questions for passage in passages]
    return model.score(pairs).reshape(len(questions), len(passages))


def _first(model: Encoder | Reranker, answers: Sequence[tuple[str, str]]) -> tuple[float, str]:
    """Return the share of pairs of a right and a wrong passage in the right order, and the worst question."""
    found = relevance(model, [question for question, _ in answers], [passage for _, passage in answers])
    right = found.diagonal()[:, None] > found  # equal scores are no order
    wrong = ~right & ~np.eye(len(answers), dtype=bool)
    shares = 1 - wrong.sum(axis=1) / (len(answers) - 1)
    worst = int(shares.argmin())
    if shares[worst] == 1:
        return 1.0, ""
    other = answers[int(np.flatnonzero(wrong[worst])[0])][1]
    return float(shares.mean()), f"for {answers[worst][0]!r} the answer is not above {other!r}"


@invariant("nearer_share", at_least=0.9, source="llama.cpp#16407, vllm#20478", kinds=(*ENCODERS, RERANKER))
def answers_first(model: Encoder | Reranker, _bound: float) -> Finding:
    """A passage that answers a question is above a passage on another subject."""
    return Finding(*_first(model, ANSWERS))


@invariant("nearer_share", at_least=0.9, source="mempalace#1483", kinds=(RERANKER,))
def answers_first_by_language(reranker: Reranker, _bound: float) -> Finding:
    """An answer is above other passages in five more languages. Rerankers of one language fail by design."""
    shares = {language: _first(reranker, answers)[0] for language, answers in ANSWERS_BY_LANGUAGE.items()}
    listed = ", ".join(f"{language} {share:.2f}" for language, share in sorted(shares.items(), key=lambda one: one[1]))
    return Finding(float(np.mean(list(shares.values()))), f"share by language: {listed}")


@invariant("relative_error", at_most=1e-3, source="rerankers#75, llama_index#11335")
def similarity_as_defined(encoder: Encoder, _bound: float) -> Finding:
    """Similarity is what its name says: cosine or dot product, of sparse vectors over shared words, of multi-vectors MaxSim."""
    queries, documents = SENTENCES[:6], SENTENCES
    by = encoder.identity.similarity
    mine = np.array(
        [
            [_by_definition(encoder, one, other, by) for other in rows(encoder, documents)]
            for one in rows(encoder, queries, QUERY)
        ]
    )
    found = encoder.similarity(encoder.encode(queries, QUERY), encoder.encode(documents))
    off = np.abs(found - mine) / max(float(np.abs(mine).max()), 1e-6)
    query, document = np.unravel_index(int(off.argmax()), off.shape)
    shown = f"{by} of {queries[query]!r} and {documents[document]!r} is {mine[query, document]:.4f}, not {found[query, document]:.4f}"
    return Finding(float(off.max()), shown)


def _by_definition(encoder: Encoder, query: Row, document: Row, by: str) -> float:
    """Return the similarity of two rows, computed number by number as a textbook writes it."""
    if encoder.kind == MULTI_VECTOR.name:
        best = [max(float(one @ other) for other in document) for one in query]
        return float(sum(best)) / (len(best) if by == "meanmaxsim" else 1)
    if encoder.kind == SPARSE.name:
        weights = dict(zip(document["dimension"].tolist(), document["weight"].tolist(), strict=True))
        shared = zip(query["dimension"].tolist(), query["weight"].tolist(), strict=True)
        dot = float(sum(weight * weights.get(dimension, 0.0) for dimension, weight in shared))
        lengths = float(np.linalg.norm(query["weight"])) * float(np.linalg.norm(document["weight"]))
    else:
        dot = float(query.astype(np.float64) @ document)
        lengths = float(np.linalg.norm(query) * np.linalg.norm(document))
    if by == "dot":
        return dot
    return dot / lengths if lengths else 0.0

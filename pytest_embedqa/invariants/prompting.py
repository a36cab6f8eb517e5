"""Invariants of prompts: the prompt of a query or a document reaches the model, and only in that role."""

from __future__ import annotations

from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.prompts import DOCUMENT, NO_PROMPTS, QUERY, TaskContext
from pytest_embedqa.encoders.representations import DENSE
from pytest_embedqa.invariants.catalogue import invariant
from pytest_embedqa.invariants.invariant import Finding, NotApplicableError, Tolerance
from pytest_embedqa.invariants.rows import distances, rows
from pytest_embedqa.invariants.texts import SENTENCES

_TASK = TaskContext("invariants", "Retrieval", {QUERY: "Given a question, retrieve passages that answer it"})
_OTHER = TaskContext("invariants", "Retrieval", {QUERY: "Classify the sentiment of a film review"})
# The effect of a prompt must exceed rounding.
_VISIBLE = 1e-4


@invariant("broken_share", at_most=0, source="mteb#2867, mteb#5383")
def prompts_as_promised(encoder: Encoder, _bound: float) -> Finding:
    """A text differs as query and as document if their prompts differ, and does not if they are the same."""
    query, document = (encoder.prompts.resolve(kind, _TASK) for kind in (QUERY, DOCUMENT))
    if query == document and encoder.kind != DENSE.name:
        raise NotApplicableError("the prompts are the same, and the model may read queries and documents in other ways")
    apart = distances(encoder, rows(encoder, SENTENCES, QUERY, _TASK), rows(encoder, SENTENCES, DOCUMENT, _TASK))
    same = Tolerance().of(encoder.identity)
    broken = apart < _VISIBLE if query != document else apart > same
    what = "one vector for" if query != document else "two vectors for"
    return Finding(float(broken.mean()), f"{what} the prompts {query!r} and {document!r}" if broken.any() else "")


@invariant("cosine_distance", at_least=_VISIBLE, source="Qwen3-Embedding#95")
def instruction_matters(encoder: Encoder, _bound: float) -> Finding:
    """Another instruction, or none where the prompt is fixed, gives a query another vector."""
    prompt = encoder.prompts.resolve(QUERY, _TASK)
    if not prompt:
        raise NotApplicableError("queries have no prompt")
    with_it = rows(encoder, SENTENCES, QUERY, _TASK)
    if encoder.prompts.resolve(QUERY, _OTHER) != prompt:
        without = rows(encoder, SENTENCES, QUERY, _OTHER)
    else:
        without = rows(encoder.with_prompts(NO_PROMPTS), SENTENCES, QUERY)
    apart = distances(encoder, with_it, without)
    return Finding(float(apart.min()), f"{SENTENCES[int(apart.argmin())]!r} with and without {prompt!r}")


@invariant("cosine_distance", at_least=_VISIBLE, source="fastembed#248")
def document_prompt_matters(encoder: Encoder, _bound: float) -> Finding:
    """A document without its prompt, such as ColBERT's [D], has another vector."""
    prompt = encoder.prompts.resolve(DOCUMENT, _TASK)
    if not prompt:
        raise NotApplicableError("documents have no prompt")
    without = rows(encoder.with_prompts(NO_PROMPTS), SENTENCES, DOCUMENT)
    apart = distances(encoder, rows(encoder, SENTENCES, DOCUMENT, _TASK), without)
    return Finding(float(apart.min()), f"{SENTENCES[int(apart.argmin())]!r} with and without {prompt!r}")

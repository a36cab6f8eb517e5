"""Faults of sparse encoders, multi-vector encoders and rerankers, one at a time, put into real models.

The models are those of tools/make_retrievers.py, by their names.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from engine_faults import Fault, other
from scipy.sparse import csr_array, hstack

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.pairs import join, split
from pytest_embedqa.encoders.prompts import NO_PROMPTS, apart
from pytest_embedqa.encoders.representations.multi_vector import MultiVector
from pytest_embedqa.encoders.representations.sparse import Sparse

COLBERT, SPLADE, CROSS_ENCODER = "minilm-colbert", "tiny-sparse", "tiny-cross-encoder"
PROMPTED = f"{CROSS_ENCODER}?query_prompt=question:%20"
# By design, not by fault: uncased, and trained on English.
BY_DESIGN = {
    COLBERT: {"case_distinct", "accents_distinct", "cjk_distinct", "languages"},
    SPLADE: set(),
    CROSS_ENCODER: {"answers_first_by_language"},
}


def changed(change: Callable[[Any], Any]) -> Callable[[Any, list[str]], Any]:
    """A fault that changes the output for each batch."""
    return lambda engine, texts: change(engine.embed(texts))


def each(change: Callable[[Any], Any]) -> Callable[[Any, list[str]], Any]:
    """A fault that changes the token vectors of each text."""
    return lambda engine, texts: [change(np.array(one)) for one in engine.embed(texts)]


def first_and_third_swapped(engine: Any, texts: list[str]) -> Any:
    """Two rows of a batch change places."""
    found = engine.embed(texts)
    order = list(range(len(texts)))
    if len(order) > 3:
        order[0], order[2] = order[2], order[0]
    return [found[place] for place in order] if isinstance(found, list) else found[order]


def reloaded(**options: str) -> Callable[[Any, list[str]], Any]:
    """A fault of the set-up: the same model with other options of its spec."""
    keys = "&".join(f"{key}={value}" for key, value in options.items())
    return lambda engine, texts: other(f"st:{engine.identity.model}?{keys}").embed(texts)


def random_numbers(text: str, size: int) -> Any:
    """Numbers that depend on nothing but the text."""
    return np.random.default_rng(zlib.crc32(text.encode())).standard_normal(size).astype(np.float32)


# Multi-vectors.


def padded(engine: Any, texts: list[str]) -> Any:
    """All texts of a batch have the length of the longest: vectors of padding take part in MaxSim."""
    found = engine.embed(texts)
    longest = max(map(len, found))
    return [np.concatenate([one, np.repeat(one[-1:], longest - len(one), axis=0)]) for one in found]


def without_prompt(role: str) -> Callable[[Any, list[str]], Any]:
    """The prompt of a role, [Q] or [D], does not reach the model."""

    def embed(engine: Any, texts: list[str]) -> Any:
        told = [apart(text) for text in texts]
        return engine.embed(
            [NO_PROMPTS.tell(argument, "" if argument == role else prompt, text) for argument, prompt, text in told]
        )

    return embed


def nan_on_one_word(engine: Any, texts: list[str]) -> Any:
    """NaN for a single long word."""
    found = engine.embed(texts)
    for place, text in enumerate(texts):
        word = apart(text)[2] if not isinstance(found, np.ndarray) else split(text)[1]
        if len(word) > 20 and " " not in word:
            if isinstance(found, list):
                found[place] = found[place] * np.nan
            elif isinstance(found, csr_array):
                found.data[found.indptr[place] : found.indptr[place + 1]] = np.nan
            else:
                found[place] = np.nan
    return found


def meaningless_tokens(engine: Any, texts: list[str]) -> Any:
    """Weights of another model: vectors without meaning."""
    found = engine.embed(texts)
    noise = [random_numbers(text, one.size).reshape(one.shape) for text, one in zip(texts, found, strict=True)]
    return [one / np.linalg.norm(one, axis=1, keepdims=True) for one in noise]


class Pooled(MultiVector):
    """A query's tokens are pooled before they are compared, as a ranker of llama_index did."""

    def similarity(self, queries: Sequence[Any], documents: Sequence[Any], by: str) -> Any:
        """MaxSim of the mean vector of a query."""
        return super().similarity([query.mean(axis=0, keepdims=True) for query in queries], documents, by)


class Backwards(MultiVector):
    """Each token of a document looks for its best token in the query."""

    def similarity(self, queries: Sequence[Any], documents: Sequence[Any], by: str) -> Any:
        """MaxSim of the documents with the queries."""
        return super().similarity(documents, queries, by).T


OF_MULTI_VECTORS = {
    "rows swapped": Fault(first_and_third_swapped, ("order_independent", "batch_size_independent"), COLBERT),
    "padding seen by MaxSim": Fault(
        padded, ("vectors_of_tokens", "batch_size_independent", "padding_independent"), COLBERT
    ),
    "query expansion off": Fault(reloaded(query_expansion="false"), ("query_expanded",), COLBERT),
    "[D] prefix missing": Fault(without_prompt("document"), ("document_prompt_matters",), COLBERT),
    "[Q] prefix missing": Fault(without_prompt("query"), ("instruction_matters",), COLBERT),
    "query pooled before MaxSim": Fault(changed(list), ("similarity_as_defined",), COLBERT, representation=Pooled()),
    "MaxSim backwards": Fault(changed(list), ("similarity_as_defined",), COLBERT, representation=Backwards()),
    "token vectors not normalised": Fault(each(lambda one: 3 * one), ("unit_norm",), COLBERT),
    "half precision in float32's name": Fault(
        each(lambda one: one.astype(np.float16).astype(np.float32)), ("dtype",), COLBERT
    ),
    "one dimension too few": Fault(each(lambda one: one[:, :-1]), ("dimension",), COLBERT),
    "NaN for one word": Fault(nan_on_one_word, ("finite",), COLBERT),
    "documents cut at 64 tokens": Fault(reloaded(document_length="64"), ("tail_counts",), COLBERT),
    "weights of another model": Fault(meaningless_tokens, ("answers_first", "paraphrases"), COLBERT),
}

# Sparse vectors.


def summed(engine: Any, texts: list[str]) -> Any:
    """Weights are summed over a text's tokens: a word counts as often as it stands there."""
    found = engine.embed(texts)
    counts = [max(apart(text)[2].count(apart(text)[2][:20]), 1) for text in texts]
    return csr_array(found.multiply(np.array(counts, dtype=np.float32)[:, None]))


def everywhere(weight: float) -> Callable[[Any, list[str]], Any]:
    """Every dimension has at least some weight."""
    return changed(lambda found: csr_array(found.toarray() + np.float32(weight)))


def meaningless_weights(engine: Any, texts: list[str]) -> Any:
    """Weights of another model: words of a text that are not its own."""
    found = engine.embed(texts).toarray()
    return csr_array(
        np.stack([row[np.argsort(random_numbers(text, row.size))] for text, row in zip(texts, found, strict=True)])
    )


def noisy(found: Any) -> Any:
    """What depends on the batch: the scale of a quantisation."""
    return found * np.float32(1) if found.shape[0] == 1 else csr_array(found.power(1 + 0.05 * found.shape[0]))


class Cosine(Sparse):
    """Cosines where the model was trained with the dot product."""

    def similarity(self, queries: Any, documents: Any, by: str) -> Any:
        """Cosines."""
        del by
        return super().similarity(queries, documents, "cosine")


OF_SPARSE_VECTORS = {
    "rows swapped": Fault(first_and_third_swapped, ("order_independent", "batch_size_independent"), SPLADE),
    "weights that depend on the batch": Fault(changed(noisy), ("batch_size_independent",), SPLADE),
    "weights summed over tokens": Fault(summed, ("repetition_saturates",), SPLADE),
    "ReLU missing": Fault(everywhere(-0.01), ("no_negative_weight", "few_dimensions"), SPLADE),
    "every word active": Fault(everywhere(0.01), ("few_dimensions",), SPLADE),
    "weights beyond the vocabulary": Fault(
        changed(lambda found: csr_array(hstack([found, found[:, :1]]))), ("dimension",), SPLADE
    ),
    "cosine instead of dot product": Fault(
        changed(csr_array), ("similarity_as_defined",), SPLADE, representation=Cosine()
    ),
    "half precision in float32's name": Fault(
        changed(lambda found: csr_array(found.toarray().astype(np.float16).astype(np.float32))), ("dtype",), SPLADE
    ),
    "NaN for one word": Fault(nan_on_one_word, ("finite",), SPLADE),
    "texts cut at 64 tokens": Fault(reloaded(max_length="64"), ("tail_counts",), SPLADE),
    "weights of another model": Fault(meaningless_weights, ("answers_first",), SPLADE),
}

# Rerankers.


def on_pairs(change: Callable[[str, str], tuple[str, str]]) -> Callable[[Any, list[str]], Any]:
    """A fault that changes a pair before the model reads it."""
    return lambda engine, pairs: engine.embed([join(*change(*split(pair))) for pair in pairs])


def logits(scores: Any) -> Any:
    """What a model gives without its sigmoid."""
    scores = np.asarray(scores, dtype=np.float64)
    return np.log(scores / (1 - scores)).astype(np.float32)


def sigmoid(scores: Any) -> Any:
    """Probabilities of logits."""
    return (1 / (1 + np.exp(-np.asarray(scores, dtype=np.float32)))).astype(np.float32)


def stretched(scores: Any) -> Any:
    """Scores are made relative to the lowest and the highest of a batch."""
    return (scores - scores.min()) / (np.ptp(scores) + 1e-8)


def without_template(_: Any, pairs: list[str]) -> Any:
    """About 0.8 for everything: what a Qwen3-Reranker says without its template."""
    return 0.8 + 0.01 * np.array([random_numbers(pair, 1)[0] for pair in pairs], dtype=np.float32)


def drifting() -> Callable[[Any, list[str]], Any]:
    """Scores change from call to call, as with dropout left on."""
    calls = [0]

    def embed(engine: Any, pairs: list[str]) -> Any:
        calls[0] += 1
        return engine.embed(pairs) * (1 - 0.01 * (calls[0] % 7))

    return embed


def no_empty_document(engine: Any, pairs: list[str]) -> Any:
    """An empty document is an error, as some servers answer it."""
    if any(not split(pair)[1].strip() for pair in pairs):
        raise EngineError("400: documents must not be empty")
    return engine.embed(pairs)


OF_RERANKERS = {
    "pairs mixed in a batch": Fault(
        first_and_third_swapped, ("scores_order_independent", "scores_batch_independent"), CROSS_ENCODER
    ),
    "scores relative to the batch": Fault(changed(stretched), ("scores_batch_independent",), CROSS_ENCODER),
    "query and document swapped": Fault(
        on_pairs(lambda query, document: (document, query)), ("roles_of_a_pair",), CROSS_ENCODER
    ),
    "sigmoid twice": Fault(changed(sigmoid), ("scale_as_promised",), CROSS_ENCODER),
    "sigmoid missing": Fault(changed(logits), ("scale_as_promised",), CROSS_ENCODER),
    "sigmoid not promised": Fault(
        changed(np.asarray),
        ("scale_as_promised",),
        CROSS_ENCODER,
        promises={"options": {"kind": "reranker", "activation": "none"}},
    ),
    "saturated": Fault(changed(lambda scores: sigmoid(40 * (logits(scores) + 6))), ("scores_apart",), CROSS_ENCODER),
    "near scores tie in float16": Fault(
        changed(lambda scores: np.asarray(scores).astype(np.float16).astype(np.float32)),
        ("scores_dtype",),
        CROSS_ENCODER,
    ),
    "template missing": Fault(without_template, ("answers_first",), CROSS_ENCODER),
    "labels yes and no swapped": Fault(
        changed(lambda scores: 1 - np.asarray(scores)), ("answers_first", "roles_of_a_pair"), CROSS_ENCODER
    ),
    "documents cut at 20 words": Fault(
        on_pairs(lambda query, document: (query, " ".join(document.split()[:20]))),
        ("documents_read_to_the_end",),
        CROSS_ENCODER,
    ),
    "empty document is an error": Fault(no_empty_document, ("scores_blank",), CROSS_ENCODER),
    "NaN for one word": Fault(nan_on_one_word, ("scores_finite",), CROSS_ENCODER),
    "dropout left on": Fault(drifting(), ("scores_deterministic",), CROSS_ENCODER),
    "prompt dropped": Fault(
        on_pairs(lambda query, document: (query.removeprefix("question: "), document)),
        ("reranker_prompt_matters",),
        PROMPTED,
    ),
}

FAULTS_BY_KIND = {"multi-vector": OF_MULTI_VECTORS, "sparse": OF_SPARSE_VECTORS, "reranker": OF_RERANKERS}


def read_as_documents(engine: Any, texts: list[str]) -> Any:
    """Queries go through the documents' part of a model that has a part of its own for them."""
    return engine.embed([NO_PROMPTS.tell("document", prompt, text) for _, prompt, text in map(apart, texts)])


# What no invariant sees: the order of words stays, and no model says that it reads queries in another way.
MISSED = {
    "logarithm missing": Fault(changed(lambda found: csr_array(np.expm1(found.toarray()))), (), SPLADE),
    "queries read as documents": Fault(read_as_documents, (), "tiny-sparse-idf"),
}

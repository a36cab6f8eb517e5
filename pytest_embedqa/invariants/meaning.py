"""Invariants of meaning: different texts have different vectors, and texts of the same meaning are near."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.invariants.catalogue import invariant
from pytest_embedqa.invariants.invariant import Finding
from pytest_embedqa.invariants.rows import distances, rows, similarities
from pytest_embedqa.invariants.texts import ACCENTS, CASE, CJK, MIXED, NUMBERS, PARAPHRASES, WORDING
from pytest_embedqa.invariants.translations import ENGLISH, TRANSLATIONS

# A sparse vector is of words: it need not tell their order, and finds a paraphrase only by the words that it adds.
_OF_MEANING = ("dense", "multi-vector")
# Texts closer than this share a vector, up to rounding.
_ONE_VECTOR = 1e-6


def _collisions(encoder: Encoder, pairs: Sequence[tuple[str, str]]) -> Finding:
    apart = distances(encoder, *(rows(encoder, [pair[side] for pair in pairs]) for side in (0, 1)))
    same = [pair for pair, distance in zip(pairs, apart, strict=True) if distance < _ONE_VECTOR]
    shown = ", ".join(f"{one!r} = {other!r}" for one, other in same[:3])
    return Finding(
        len(same) / len(pairs), f"{len(same)} of {len(pairs)} pairs have one vector: {shown}" if same else ""
    )


@invariant("collisions", at_most=0, source="ollama#13942, ollama#15609", kinds=_OF_MEANING)
def wording_distinct(encoder: Encoder, _bound: float) -> Finding:
    """Sentences that differ in one word, or in the order of their words, have different vectors."""
    return _collisions(encoder, WORDING)


@invariant("collisions", at_most=0, source="ollama#13942, ollama#15609", kinds=_OF_MEANING)
def numbers_distinct(encoder: Encoder, _bound: float) -> Finding:
    """Texts that differ in a number have different vectors."""
    return _collisions(encoder, NUMBERS)


@invariant("collisions", at_most=0, source="vllm#11184", kinds=_OF_MEANING)
def case_distinct(encoder: Encoder, _bound: float) -> Finding:
    """Texts that differ in upper and lower case have different vectors. Uncased models fail by design."""
    return _collisions(encoder, CASE)


@invariant("collisions", at_most=0, source="transformers#6680", kinds=_OF_MEANING)
def accents_distinct(encoder: Encoder, _bound: float) -> Finding:
    """Words that differ in an accent have different vectors. Uncased models that strip accents fail by design."""
    return _collisions(encoder, ACCENTS)


@invariant("collisions", at_most=0, source="bert-embedding#18", kinds=_OF_MEANING)
def cjk_distinct(encoder: Encoder, _bound: float) -> Finding:
    """Chinese, Japanese and Korean texts that differ in a word have different vectors."""
    return _collisions(encoder, CJK)


@invariant("nearer_share", at_least=0.9, source="text-embeddings-inference#642", kinds=_OF_MEANING)
def paraphrases(encoder: Encoder, _bound: float) -> Finding:
    """A paraphrase is nearer than a sentence on another subject."""
    return _nearer(encoder, PARAPHRASES)


@invariant("nearer_share", at_least=0.9, source="spark-nlp#2846", kinds=_OF_MEANING)
def mixed_languages(encoder: Encoder, _bound: float) -> Finding:
    """A sentence that mixes Chinese and English is nearer to the same in English than to another."""
    return _nearer(encoder, MIXED)


def _nearer(encoder: Encoder, triples: Sequence[tuple[str, str, str]]) -> Finding:
    texts, near, far = ([triple[part] for triple in triples] for part in range(3))
    right = similarities(encoder, texts, near).diagonal() > similarities(encoder, texts, far).diagonal()
    wrong = [triple for triple, holds in zip(triples, right, strict=True) if not holds]
    shown = f"{wrong[0][0]!r} is nearer to {wrong[0][2]!r} than to {wrong[0][1]!r}" if wrong else ""
    return Finding(float(right.mean()), shown)


@invariant("nearer_share", at_least=0.9, source="mempalace#1483", kinds=_OF_MEANING)
def languages(encoder: Encoder, _bound: float) -> Finding:
    """Sentences of 25 languages are nearer to their English translation than to any other of the sentences."""
    shares = {}
    for language, sentences in TRANSLATIONS.items():
        found = similarities(encoder, sentences, ENGLISH)
        own = found.diagonal().copy()
        np.fill_diagonal(found, -np.inf)
        shares[language] = float((own > found.max(axis=1)).mean())
    listed = ", ".join(f"{language} {share:.2f}" for language, share in sorted(shares.items(), key=lambda one: one[1]))
    return Finding(float(np.mean(list(shares.values()))), f"share by language: {listed}")

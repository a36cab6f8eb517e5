"""Invariants of meaning: different texts have different vectors, and texts of the same meaning are near."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.invariants.catalogue import invariant
from pytest_embedqa.invariants.invariant import Finding
from pytest_embedqa.invariants.stability import distances
from pytest_embedqa.invariants.texts import ACCENTS, CASE, CJK, MIXED, NUMBERS, PARAPHRASES, WORDING
from pytest_embedqa.invariants.translations import ENGLISH, TRANSLATIONS

# Texts closer than this share a vector, up to rounding.
_ONE_VECTOR = 1e-6


def _collisions(encoder: Encoder, pairs: Sequence[tuple[str, str]]) -> Finding:
    apart = distances(encoder.encode([one for one, _ in pairs]), encoder.encode([other for _, other in pairs]))
    same = [pair for pair, distance in zip(pairs, apart, strict=True) if distance < _ONE_VECTOR]
    shown = ", ".join(f"{one!r} = {other!r}" for one, other in same[:3])
    return Finding(
        len(same) / len(pairs), f"{len(same)} of {len(pairs)} pairs have one vector: {shown}" if same else ""
    )


@invariant("collisions", at_most=0, source="ollama#13942, ollama#15609")
def wording_distinct(encoder: Encoder, _bound: float) -> Finding:
    """Sentences that differ in one word, or in the order of their words, have different vectors."""
    return _collisions(encoder, WORDING)


@invariant("collisions", at_most=0, source="ollama#13942, ollama#15609")
def numbers_distinct(encoder: Encoder, _bound: float) -> Finding:
    """Texts that differ in a number have different vectors."""
    return _collisions(encoder, NUMBERS)


@invariant("collisions", at_most=0, source="vllm#11184")
def case_distinct(encoder: Encoder, _bound: float) -> Finding:
    """Texts that differ in upper and lower case have different vectors. Uncased models fail by design."""
    return _collisions(encoder, CASE)


@invariant("collisions", at_most=0, source="transformers#6680")
def accents_distinct(encoder: Encoder, _bound: float) -> Finding:
    """Words that differ in an accent have different vectors. Uncased models that strip accents fail by design."""
    return _collisions(encoder, ACCENTS)


@invariant("collisions", at_most=0, source="bert-embedding#18")
def cjk_distinct(encoder: Encoder, _bound: float) -> Finding:
    """Chinese, Japanese and Korean texts that differ in a word have different vectors."""
    return _collisions(encoder, CJK)


@invariant("nearer_share", at_least=0.9, source="text-embeddings-inference#642")
def paraphrases(encoder: Encoder, _bound: float) -> Finding:
    """A paraphrase is nearer than a sentence on another subject."""
    return _nearer(encoder, PARAPHRASES)


@invariant("nearer_share", at_least=0.9, source="spark-nlp#2846")
def mixed_languages(encoder: Encoder, _bound: float) -> Finding:
    """A sentence that mixes Chinese and English is nearer to the same in English than to another."""
    return _nearer(encoder, MIXED)


def _nearer(encoder: Encoder, triples: Sequence[tuple[str, str, str]]) -> Finding:
    texts, near, far = (encoder.encode([triple[part] for triple in triples]) for part in range(3))
    right = distances(texts, near) < distances(texts, far)
    wrong = [triple for triple, holds in zip(triples, right, strict=True) if not holds]
    shown = f"{wrong[0][0]!r} is nearer to {wrong[0][2]!r} than to {wrong[0][1]!r}" if wrong else ""
    return Finding(float(right.mean()), shown)


@invariant("nearer_share", at_least=0.9, source="mempalace#1483")
def languages(encoder: Encoder, _bound: float) -> Finding:
    """Sentences of 25 languages are nearer to their English translation than to any other of the sentences."""
    english = encoder.encode(ENGLISH)
    shares = {}
    for language, sentences in TRANSLATIONS.items():
        vectors = encoder.encode(sentences)
        nearest = np.stack([distances(vectors, np.broadcast_to(one, vectors.shape)) for one in english])
        own = nearest.diagonal().copy()
        np.fill_diagonal(nearest, np.inf)
        shares[language] = float((own < nearest.min(axis=0)).mean())
    listed = ", ".join(f"{language} {share:.2f}" for language, share in sorted(shares.items(), key=lambda one: one[1]))
    return Finding(float(np.mean(list(shares.values()))), f"share by language: {listed}")

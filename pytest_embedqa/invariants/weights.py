"""Invariants of sparse vectors: which weights the words of a vocabulary have."""

from __future__ import annotations

import numpy as np

from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.prompts import DOCUMENT, QUERY
from pytest_embedqa.invariants.catalogue import invariant
from pytest_embedqa.invariants.invariant import Finding
from pytest_embedqa.invariants.rows import rows
from pytest_embedqa.invariants.texts import SENTENCES, WORDS

_KIND = ("sparse",)
_REPEATED = 8


@invariant("active_dimensions", at_most=512, source="sentence-transformers#3752", kinds=_KIND)
def few_dimensions(encoder: Encoder, _bound: float) -> Finding:
    """A sentence has few active dimensions: published SPLADE models give a query about 50, a passage about 250."""
    found = [
        Finding(float(len(row)), f"{text!r} as {kind.value}: {len(row)} active dimensions of {encoder.dim}")
        for kind in (DOCUMENT, QUERY)
        for text, row in zip(SENTENCES, rows(encoder, SENTENCES, kind), strict=True)
    ]
    return max(found, key=lambda one: one.value)


@invariant("negative_share", at_most=0, source="SAEBench#89, splade#11", kinds=_KIND)
def no_negative_weight(encoder: Encoder, _bound: float) -> Finding:
    """No weight is negative: an inverted index adds up what words contribute, and may stop early."""
    texts = [*SENTENCES, *WORDS]
    negative = [
        (text, float(row["weight"].min()))
        for kind in (DOCUMENT, QUERY)
        for text, row in zip(texts, rows(encoder, texts, kind), strict=True)
        if len(row) and row["weight"].min() < 0
    ]
    shown = f"{negative[0][0]!r} has a weight of {negative[0][1]:.4f}" if negative else ""
    return Finding(len(negative) / (2 * len(texts)), shown)


@invariant("growth", at_most=3, source="splade#11", kinds=_KIND)
def repetition_saturates(encoder: Encoder, _bound: float) -> Finding:
    """A text that is repeated eight times does not weigh eight times as much: weights are saturated, not counts."""
    once = [float(np.abs(row["weight"]).sum()) for row in rows(encoder, SENTENCES)]
    repeated = [" ".join([text] * _REPEATED) for text in SENTENCES]
    found = [
        Finding(float(np.abs(row["weight"]).sum()) / before, f"{text!r} {_REPEATED} times")
        for text, row, before in zip(SENTENCES, rows(encoder, repeated), once, strict=True)
        if before
    ]
    return max(found, key=lambda one: one.value, default=Finding(0.0))

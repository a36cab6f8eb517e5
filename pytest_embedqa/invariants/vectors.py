"""Invariants of the vectors themselves: dimension, number format, finiteness, norm."""

from __future__ import annotations

import warnings

import numpy as np

from pytest_embedqa.core.errors import NotFiniteError
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.prompts import DOCUMENT, QUERY
from pytest_embedqa.encoders.representations import MULTI_VECTOR
from pytest_embedqa.invariants.catalogue import invariant
from pytest_embedqa.invariants.counterexamples import texts, worst
from pytest_embedqa.invariants.invariant import Finding, NotApplicableError, Tolerance
from pytest_embedqa.invariants.rows import are_finite, numbers, rows
from pytest_embedqa.invariants.texts import PLANES, SENTENCES, WORDS


@invariant("wrong_share", at_most=0, source="open-webui#11279")
def dimension(encoder: Encoder, _bound: float) -> Finding:
    """Every vector has the dimensions that the encoder promises, as query and as document."""
    if encoder.dim is None:
        encoder.encode(SENTENCES[:1])
    promised = encoder.dim
    found = [encoder.encode([text], kind) for kind in (DOCUMENT, QUERY) for text in SENTENCES[:4]]
    shapes = [(one[0] if encoder.kind == MULTI_VECTOR.name else one).shape[1] for one in found]
    wrong = [shape for shape in shapes if shape != promised]
    return Finding(len(wrong) / len(shapes), f"{wrong[0]} dimensions, {promised} promised" if wrong else "")


@invariant("coarse_share", at_most=0, source="mteb#4932, vllm#15393")
def dtype(encoder: Encoder, _bound: float) -> Finding:
    """An encoder that says float32 does not return numbers that went through half precision."""
    if encoder.identity.dtype != "float32":
        raise NotApplicableError(f"the encoder computes in {encoder.identity.dtype}, not in float32")
    # The lower 16 bits of a float32 are all zero if it was a bfloat16, the lower 13 bits if it was a float16.
    coarse = [
        not (np.ascontiguousarray(numbers(row)).view(np.uint32) & 0x1FFF).any() for row in rows(encoder, SENTENCES)
    ]
    return Finding(float(np.mean(coarse)), "every component fits in 16 bits" if any(coarse) else "")


@invariant("not_finite", at_most=0, source="ollama#12921, sentence-transformers#2886")
def finite(encoder: Encoder, bound: float) -> Finding:
    """No text gives NaN or infinity: single words, every Unicode plane, and whatever Hypothesis thinks of."""

    def broken(some: list[str]) -> bool:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a missing sign of a script is not the question here
                return not are_finite(rows(encoder, some))
        except NotFiniteError:
            return True

    for part in (list(WORDS), *(PLANES[start : start + 64] for start in range(0, len(PLANES), 64))):
        if broken(part):
            alone = [text for text in part if broken([text])]
            return Finding(len(alone) / len(part) or 1 / len(part), repr(alone[0] if alone else part))
    return worst(texts, lambda text: float(broken([text])), bound)


@invariant("norm_error", at_most=Tolerance(1e-4, 1e-2), source="vllm#34910", kinds=("dense", "multi-vector"))
def unit_norm(encoder: Encoder, bound: float) -> Finding:
    """Every vector has length 1, of a token too, unless the encoder says that it does not normalise. Texts without a token may have zeros."""
    if encoder.identity.unit_length is False:
        raise NotApplicableError("the encoder says that it does not normalise")

    def error(some: list[str]) -> float:
        found, tokens = rows(encoder, some), encoder.count_tokens(some) or [1] * len(some)
        norms = [np.atleast_1d(np.linalg.norm(row, axis=-1)) for row in found]
        # Nothing can be said of a text without a token.
        errors = [np.abs(norm - 1).max() for norm, count in zip(norms, tokens, strict=True) if norm.any() or count]
        return float(max(errors, default=0))

    known = [*SENTENCES, *WORDS[:8], "word " * 400]
    fixed = max((Finding(error([text]), repr(text[:80])) for text in known), key=lambda one: one.value)
    if not fixed.value <= bound:
        return fixed
    return max(fixed, worst(texts, lambda text: error([text]), bound), key=lambda one: one.value)

"""Invariants of the computation: a text has one vector, no matter when and beside which texts it is computed."""

from __future__ import annotations

import numpy as np

from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.invariants.catalogue import invariant
from pytest_embedqa.invariants.counterexamples import texts as any_text
from pytest_embedqa.invariants.counterexamples import worst
from pytest_embedqa.invariants.invariant import Finding, Tolerance
from pytest_embedqa.invariants.rows import distances, furthest, rows
from pytest_embedqa.invariants.texts import LONG, SENTENCES, WORDS

_BATCH_SIZES = (1, 2, 5, 16, 64)
# Short, long and foreign texts beside each other, so that every batch is padded.
_MIXED = (*SENTENCES, *WORDS[:12], *LONG)


@invariant("cosine_distance", at_most=Tolerance(1e-6, 1e-3), source="transformers#403")
def deterministic(encoder: Encoder, _bound: float) -> Finding:
    """The same texts have the same vectors each time, also after others were computed in between."""
    first = rows(encoder, _MIXED)
    found = []
    for _ in range(2):
        encoder.encode(_MIXED[::3])
        found.append(furthest(encoder, first, rows(encoder, _MIXED), _MIXED))
    return max(found, key=lambda one: one.value)


@invariant("cosine_distance", at_most=Tolerance(), source="vllm#16815, ollama#6262")
def batch_size_independent(encoder: Encoder, bound: float) -> Finding:
    """A text has the same vector in a batch of any size."""
    alone = rows(encoder.computing(batch_size=1), _MIXED)
    found = [
        furthest(encoder, alone, rows(encoder.computing(batch_size=size), _MIXED), _MIXED, f" in batches of {size}")
        for size in _BATCH_SIZES[1:]
    ]
    fixed = max(found, key=lambda one: one.value)
    if not fixed.value <= bound:
        return fixed

    def apart(text: str) -> float:
        alone = rows(encoder.computing(batch_size=1), [text])
        beside = rows(encoder.computing(batch_size=4), [text, *SENTENCES[:3]])
        return float(distances(encoder, alone, beside[:1])[0])

    drawn = worst(any_text, apart, bound, lambda text: f"{text!r} in a batch of 4")
    return max(fixed, drawn, key=lambda one: one.value)


@invariant("cosine_distance", at_most=Tolerance(), source="ollama#6187, openai-python#420")
def order_independent(encoder: Encoder, _bound: float) -> Finding:
    """A text has the same vector wherever it stands among the texts of a call."""
    # Words of about the same length: an encoder sorts by length, which would undo a different order of unequal texts.
    some = [*WORDS[:32], *SENTENCES[:8]]
    straight = rows(encoder.computing(batch_size=8), some)
    found = []
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(some)) if seed else np.arange(len(some))[::-1]
        shuffled = rows(encoder.computing(batch_size=8), [some[row] for row in order])
        back = [shuffled[place] for place in np.argsort(order)]
        found.append(furthest(encoder, straight, back, some, " in another order of the texts"))
    return max(found, key=lambda one: one.value)


@invariant("cosine_distance", at_most=Tolerance(), source="sentence-transformers#3208, sentence-transformers#2886")
def padding_independent(encoder: Encoder, _bound: float) -> Finding:
    """A short text has the same vector beside a long one, which pads it, as alone."""
    alone = rows(encoder.computing(batch_size=1), SENTENCES)
    found = []
    for text in LONG:
        padded = [rows(encoder.computing(batch_size=2), [short, text])[0] for short in SENTENCES]
        found.append(furthest(encoder, alone, padded, SENTENCES, f" beside a text of {len(text.split())} words"))
    return max(found, key=lambda one: one.value)


@invariant("cosine_distance", at_most=Tolerance(), source="llama_index#19537, ollama#12921")
def duplicates_equal(encoder: Encoder, _bound: float) -> Finding:
    """A text that comes several times, in one call and in several, has the same vector each time."""
    some = SENTENCES[:8]
    repeated = [text for other in SENTENCES[8:12] for text in (*some, other)]
    found = rows(encoder, repeated)
    first = {text: found[place] for place, text in reversed(list(enumerate(repeated)))}
    within = furthest(encoder, [first[text] for text in repeated], found, repeated, " twice in a call")
    again = furthest(encoder, [first[text] for text in some], rows(encoder, some), some, " in a second call")
    return max(within, again, key=lambda one: one.value)

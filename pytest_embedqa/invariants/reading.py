"""Invariants of reading: which part of a text reaches the model, and which differences of form do not matter."""

from __future__ import annotations

import unicodedata

import numpy as np

from pytest_embedqa.core.errors import EmbedQAError
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.exact_length import text_of_length
from pytest_embedqa.encoders.prompts import NO_PROMPTS
from pytest_embedqa.invariants.catalogue import invariant
from pytest_embedqa.invariants.counterexamples import spaced, worst
from pytest_embedqa.invariants.invariant import Finding, NotApplicableError, Tolerance
from pytest_embedqa.invariants.rows import are_finite, content_distances, distances, rows
from pytest_embedqa.invariants.texts import BLANK, COMPOSED, SENTENCES

# A tail is the last eighth of a text. Its effect must exceed rounding.
_TAIL = 8
_VISIBLE = 1e-5
# Length of the longest tried text: the time of attention grows with the square of it.
_MOST_TOKENS = {"cpu": 4096}
_MOST_TOKENS_ELSEWHERE = 32_768
# For a text that nothing cuts: attention to all of it must fit into memory.
_MOST_CHARACTERS = 8192


def _limits(encoder: Encoder) -> tuple[int, int]:
    """Return the promised maximum length, and the length of the longest text to try."""
    promised = encoder.max_length()
    if promised is None:
        raise NotApplicableError("the engine does not say how long a text its model takes")
    if encoder.count_tokens(["x"]) is None:
        raise NotApplicableError("the engine does not count tokens")
    return promised, min(promised, _MOST_TOKENS.get(encoder.identity.device, _MOST_TOKENS_ELSEWHERE))


@invariant("cosine_distance", at_least=_VISIBLE, source="ollama#14259, Qwen3-Embedding#103")
def tail_counts(encoder: Encoder, _bound: float) -> Finding:
    """The last eighth of a text changes its vector, at every length up to the promised maximum."""
    promised, most = _limits(encoder)
    lengths = [length for length in (2**power for power in range(5, 20)) if length < most] + [most]
    found = []
    for length in lengths:
        text = text_of_length(encoder, length)
        words = text.split()
        kept = len(words) - max(1, len(words) // _TAIL)
        other = " ".join([*words[:kept], *("justice" for _ in words[kept:])])
        apart = distances(encoder, rows(encoder, [text]), rows(encoder, [other]))
        found.append(Finding(float(apart[0]), f"the last eighth of a text of {length} tokens does not count"))
    notes = (f"nothing above {most} of {promised} tokens was tried",) if most < promised else ()
    least = min(found, key=lambda one: one.value)
    return Finding(least.value, least.example, notes)


@invariant("cosine_distance", at_most=Tolerance(), source="Qwen3-Embedding#103, ollama#14259")
def cut_where_promised(encoder: Encoder, _bound: float) -> Finding:
    """Text beyond the promised maximum length changes nothing."""
    promised, most = _limits(encoder)
    if most < promised:
        raise NotApplicableError(f"a text of {promised} tokens takes too long here")
    text = text_of_length(encoder, promised)
    longer = f"{text} {'justice ' * (promised // 2)}"
    apart = distances(encoder, rows(encoder, [text]), rows(encoder, [longer]))
    return Finding(float(apart[0]), f"what stands behind {promised} tokens changes the vector")


@invariant("cosine_distance", at_most=0.1, source="mcphub#645")
def white_space(encoder: Encoder, bound: float) -> Finding:
    """White space before, behind and repeated between the words of a text hardly changes its vector."""

    def apart(pair: tuple[str, str]) -> float:
        found = rows(encoder, pair)
        return float(content_distances(encoder, found[:1], found[1:])[0])

    return worst(spaced, apart, bound, lambda pair: f"{pair[0]!r} and {pair[1]!r}")


@invariant("cosine_distance", at_most=0.01, source="transformers#6680, llama.cpp#7122")
def unicode_forms(encoder: Encoder, _bound: float) -> Finding:
    """A text has the same vector with composed (NFC) and decomposed (NFD) characters, which look the same."""
    forms = [[unicodedata.normalize(form, text) for text in COMPOSED] for form in ("NFC", "NFD")]
    apart = content_distances(encoder, *(rows(encoder, form) for form in forms))
    row = int(np.argmax(apart))
    return Finding(float(apart[row]), f"{COMPOSED[row]!r} as NFC and NFD: clean=nfc in the spec mends it")


@invariant("broken_share", at_most=0, source="whatlies#290")
def blank(encoder: Encoder, _bound: float) -> Finding:
    """Empty and blank texts have finite vectors, and are no errors."""
    return _broken(encoder, BLANK)


@invariant("broken_share", at_most=0, source="ollama#14186, text-embeddings-inference#394")
def very_long(encoder: Encoder, _bound: float) -> Finding:
    """A text far beyond the maximum length is cut, and is no error; nor is a long text where there is no maximum."""
    limit = encoder.max_length()
    longest = ["word " * 3 * min(limit or _MOST_CHARACTERS, 8192), "x" * 40_000, " ".join(SENTENCES * 200)]
    return _broken(encoder, [text if limit else text[:_MOST_CHARACTERS] for text in longest])


def _broken(encoder: Encoder, texts: list[str] | tuple[str, ...]) -> Finding:
    broken = []
    for text in texts:
        try:
            holds = are_finite(rows(encoder, [text]))
            problem = "NaN or infinity"
        except EmbedQAError as error:
            holds, problem = False, str(error)
        if not holds:
            broken.append(f"{text[:20]!r} ({len(text)} characters): {problem}")
    return Finding(len(broken) / len(texts), broken[0] if broken else "")


@invariant("missing_share", at_most=0, source="mteb#5237, llama.cpp#14252", kinds=("dense",))
def closing_token(encoder: Encoder, _bound: float) -> Finding:
    """A tokenizer appends a special token where the last token is pooled: else a text's last word is its vector."""
    if encoder.identity.pooling != "lasttoken":
        raise NotApplicableError(f"the pooling is {encoder.identity.pooling}, not of the last token")
    special = encoder.with_prompts(NO_PROMPTS).count_tokens([""])
    if special is None:
        raise NotApplicableError("the engine does not count tokens")
    return Finding(float(special[0] == 0), "the tokenizer adds no special token" if special[0] == 0 else "")

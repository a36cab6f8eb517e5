"""The causes of a difference between two encoders: differing identities, and experiments with one setting changed."""

from __future__ import annotations

import contextlib
import unicodedata
from collections.abc import Callable, Iterator, Mapping

from pytest_embedqa.core.errors import EmbedQAError
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.prompts import DOCUMENT, NO_PROMPTS, QUERY
from pytest_embedqa.encoders.representations import Embeddings
from pytest_embedqa.encoders.spec import Spec
from pytest_embedqa.encoders.system import System
from pytest_embedqa.engine_parity.comparison import TASK, Agreement, closeness
from pytest_embedqa.engine_parity.texts import strata

_POOLING = ("mean", "cls", "lasttoken", "max")
_LENGTHS = (32, 64, 128, 256, 512, 1024, 2048)
# Kinds of text that tell the causes apart without being long.
_TELLING = ("short", "upper case", "accents")
_LONG = ("long", "beyond max length")
# A cause is named if undoing it closes this share of the gap to a cosine of 1.
_CLOSES = 0.8
_UNRELATED = 0.5
# Differences of the set-up that can change vectors altogether.
_DECISIVE = ("pooling", "prompts", "clean", "end_of_text")
# Options by which an engine finds its model, or that do not affect vectors.
_NOT_TELLING = {"run", "version", "url", "start", "encoding", "input", "tokenizer", "code", "state"}

Load = Callable[[Spec], Encoder]


def find_causes(encoder: System, reference: System, comparison: Agreement, load: Load) -> list[str]:
    """Return sentences that say why the encoders differ, the surest cause first.

    Args:
        encoder: The encoder under test.
        reference: The encoder that it should agree with.
        comparison: The measured agreement.
        load: Function that loads a variant of the reference; it is closed again here.
    """
    found = []
    if isinstance(encoder, Encoder) and isinstance(reference, Encoder) and comparison.by == "cosine":
        found = list(_experiments(encoder, reference, comparison, load))
    differences = list(_differences(encoder, reference))
    explained = found or any(one.startswith(_DECISIVE) for one in differences)
    found += [f"set up differently: {difference}" for difference in differences]
    if not explained and comparison.by == "cosine" and comparison.mean_cosine < _UNRELATED:
        found.insert(0, "nothing that was tried explains it: it looks like another model, or other weights.")
    return found


def norms_apart(comparison: Agreement) -> Iterator[str]:
    """Say that one side normalises and the other does not, which a cosine can't show."""
    if not comparison.norms:
        return  # rankings were compared
    (low, high), (reference_low, reference_high) = comparison.norms
    for what, other, (least, most), (other_least, other_most) in (
        ("the encoder's", "the reference's", (low, high), (reference_low, reference_high)),
        ("the reference's", "the encoder's", (reference_low, reference_high), (low, high)),
    ):
        if _unit(other_least, other_most) and not _unit(least, most):
            yield f"{what} vectors are not normalised (lengths {least:.2f} to {most:.2f}), {other} are: a dot product ranks differently."


def _unit(least: float, most: float) -> bool:
    return abs(least - 1) < 0.02 and abs(most - 1) < 0.02  # noqa: PLR2004  room for half precision


def _differences(encoder: System, reference: System) -> Iterator[str]:
    ours, theirs = encoder.identity, reference.identity
    for name in ("pooling", "normalize", "max_length", "clean", "dim"):
        here, there = getattr(ours, name), getattr(theirs, name)
        if here != there and "unknown" not in {here, there} and None not in {here, there}:
            yield f"{name} is {here} here and {there} in the reference."
    if dict(ours.prompts) != dict(theirs.prompts):
        yield f"prompts are {_shown(ours.prompts)} here and {_shown(theirs.prompts)} in the reference."
    for name, value in ours.options.items():
        if name not in _NOT_TELLING and theirs.options.get(name) != value:
            yield f"{name} is {value} here."


def _shown(prompts: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {text!r:.60}" for name, text in prompts.items()) or "none"


def _experiments(encoder: Encoder, reference: Encoder, comparison: Agreement, load: Load) -> Iterator[str]:
    """Yield the settings whose change makes the reference give the encoder's vectors."""
    broken = {stratum.name for stratum in comparison.strata if stratum.worst < (1 + comparison.cosine) / 2}
    chosen = strata(min(reference.identity.max_length or _LENGTHS[-1], _LENGTHS[-1]), None)
    long_only = broken <= set(_LONG)
    texts = [text for name in (_LONG[:1] if long_only else _TELLING) for text in chosen[name][1]]
    found = encoder.computing().encode(texts, DOCUMENT, TASK)
    before = _agreement(encoder, found, reference.computing().encode(texts, DOCUMENT, TASK))
    variants = _cuts(reference, load) if long_only else _variants(reference, load)
    best, cause = before, ""
    for label, encode in variants:
        with contextlib.suppress(EmbedQAError):  # a variant that can't be loaded explains nothing
            agreement = _agreement(encoder, found, encode(texts))
            if agreement > best:
                best, cause = agreement, label
    if best - before > _CLOSES * (1 - before):
        yield f"{cause}: so the reference gives the same vectors (mean cosine {best:.4f}, otherwise {before:.4f})."


Variant = tuple[str, Callable[[list[str]], Embeddings]]


def _variants(reference: Encoder, load: Load) -> Iterator[Variant]:
    same = reference.computing()
    yield "texts are lower-cased", lambda texts: same.encode([text.lower() for text in texts], DOCUMENT, TASK)
    yield "accents are stripped", lambda texts: same.encode([_without_accents(text) for text in texts], DOCUMENT, TASK)
    if same.prompts.resolve(QUERY, TASK) != same.prompts.resolve(DOCUMENT, TASK):
        yield "documents get the query's prompt", lambda texts: same.encode(texts, QUERY, TASK)
    if same.prompts.resolve(DOCUMENT, TASK):
        yield "the prompt is missing", lambda texts: same.with_prompts(NO_PROMPTS).encode(texts)
    for pooling in _POOLING:
        if pooling != reference.identity.pooling:
            yield f"pooling is {pooling}", _reloaded(reference, load, pooling=pooling)


def _cuts(reference: Encoder, load: Load) -> Iterator[Variant]:
    for length in _LENGTHS:
        if length < (reference.identity.max_length or _LENGTHS[-1] + 1):
            yield f"texts are cut at {length} tokens", _reloaded(reference, load, max_length=str(length))


def _reloaded(reference: Encoder, load: Load, **option: str) -> Callable[[list[str]], Embeddings]:
    """Return a function that encodes with the reference, reloaded with another option."""
    spec = reference.spec.with_options(**option)

    def encode(texts: list[str]) -> Embeddings:
        variant = load(spec)
        try:
            vectors: Embeddings = variant.encode(texts, DOCUMENT, TASK)
            return vectors
        finally:
            variant.close()

    return encode


def _agreement(encoder: Encoder, first: Embeddings, second: Embeddings) -> float:
    split = encoder.representation.split
    return float(closeness(encoder, split(first), split(second)).mean())


def _without_accents(text: str) -> str:
    return "".join(one for one in unicodedata.normalize("NFD", text) if not unicodedata.combining(one))

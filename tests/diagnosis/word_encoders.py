"""Encoders without a model, for diagnoses: a text's vector is the sum of its words' vectors, unless a fault makes noise of it."""

from __future__ import annotations

import zlib
from typing import ClassVar

import numpy as np

from pytest_embedqa.core.identity import Identity
from pytest_embedqa.core.slice import Ranking
from pytest_embedqa.diagnosis.diagnose import diagnose
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.engine import Limits
from pytest_embedqa.encoders.prompts import Prompts
from pytest_embedqa.encoders.spec import Spec

E5 = Prompts("mteb", {"query": "query: ", "document": "passage: "})
# An engine of one model, which says itself how it pools and how long a text may be.
SPEC = Spec("builtin", "builtin", "")


def noise(text, dim=64):
    """A direction that belongs to this text alone."""
    return np.random.default_rng(zlib.crc32(text.encode())).standard_normal(dim)


class WordEngine:
    """A text's vector is the sum of its words' vectors; faults are options of the spec."""

    options: ClassVar = {}
    counts_tokens = True

    def __init__(  # noqa: PLR0913  a fault each
        self, options, *, needs=None, right="mean", unit=True, padding=0.0, closing="", **facts
    ):
        """``needs`` prompts, ``right`` pooling, a ``closing`` token; vectors of what is set up otherwise are noisy."""
        given = {"pooling": "mean", "max_length": 100, "dtype": "float32", **facts, **options}
        length = int(given.pop("max_length"))
        self.identity = Identity(model="words", engine="st", full_dim=64, max_length=length, **given)
        self.limits = Limits(batch_tokens=100_000, batch_size=64)
        self.prompts = None
        self._needs, self._right, self._unit, self._padding, self._closing = needs, right, unit, padding, closing

    def embed(self, texts):
        """Vectors of a batch."""
        vectors = np.stack([self._vector(text) for text in texts])
        if self._padding and len(texts) > 1:  # a short text in the batch of a long one
            vectors += np.stack([noise(text) * self._padding * (len(text.split()) > 9) for text in texts])
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        lengths = [[1.0 if self._unit else 1 + zlib.crc32(text.encode()) % 50] for text in texts]
        return vectors / norms * np.array(lengths)

    def _vector(self, text):
        words = text.split()[: self.identity.max_length]
        vector = np.sum([noise(word.removesuffix(self._closing or "\n")) for word in words], axis=0)
        wrong = self._needs and not text.startswith(self._needs)
        wrong = wrong or self.identity.pooling != self._right or self.identity.dtype == "float16"
        wrong = wrong or text == text.lower() or (self._closing and not text.endswith(self._closing))
        return vector + (8 * noise(text) if wrong else 0)

    def lengths(self, texts):
        """Words, and closing tokens."""
        return [len(text.split()) + text.count("[SEP]") for text in texts]

    def close(self):
        """Nothing to free."""


def ranking(count=60):
    """Each query has some words of its document."""
    rng = np.random.default_rng(5)
    words = [f"Word{number}" for number in range(300)]
    documents = [" ".join(rng.choice(words, 12)) for _ in range(count)]
    queries = [" ".join(rng.choice(text.split(), 3)) for text in documents]
    relevant = {row: {row: 1.0} for row in range(count)}
    return Ranking(queries, documents, relevant, {row: [row, (row * 7) % count] for row in range(count)})


def loader(**facts):
    """Loads word encoders that have the engine's faults whatever the spec says."""

    def load(spec):
        return Encoder(WordEngine(spec.options, **facts), None, spec=spec)

    return load


def ask(load=None, part=None, *, options=None, known=(), seconds=600, published=(), **encoder):  # noqa: PLR0913  each is varied
    """The diagnosis of a word encoder; ``published`` holds where it stands and how it is scored again."""
    load = load or loader()
    given = dict(zip(("standing", "rescore"), published, strict=False))
    spec = SPEC.with_options(**(options or {}))
    return diagnose(
        load(spec).variant(**encoder), part or ranking(), None, load, known_prompts=known, seconds=seconds, **given
    )


def prompts(query, document):
    """Prompts of a spec."""
    return Prompts("spec", {"query": query, "document": document})

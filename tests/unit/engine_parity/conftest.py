"""Encoders whose vectors are sums of hashed words: real enough to be compared, and wrong in one way at a time."""

from __future__ import annotations

import zlib
from typing import ClassVar

import numpy as np
import pytest

from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.engine import Limits
from pytest_embedqa.encoders.prompts import NO_PROMPTS
from pytest_embedqa.encoders.spec import Spec

DIM = 64


class WordEngine:
    """A text's vector is the sum of its words', each weighted by its place."""

    options: ClassVar = {}
    counts_tokens = True

    def __init__(
        self, *, max_length=100, change=lambda vectors, _texts: vectors, read=lambda text: text, dim=DIM, **facts
    ):
        """``read`` changes what is read of a text, ``change`` the vectors of a batch."""
        self.identity = Identity(model="words", engine="words", full_dim=dim, max_length=max_length, **facts)
        self.limits = Limits(batch_tokens=10_000, batch_size=32)
        self.prompts = None
        self.batches = []
        self._change, self._read, self._dim = change, read, dim

    def embed(self, texts):
        """Vectors of a batch."""
        self.batches.append(list(texts))
        return self._change(np.stack([self._vector(self._read(text)) for text in texts]), texts)

    def lengths(self, texts):
        """One token a word."""
        return [len(text.split()) for text in texts]

    def close(self):
        """Nothing to free."""

    def _vector(self, text):
        vector = np.zeros(self._dim, np.float32)
        for place, word in enumerate(text.split()[: self.identity.max_length] or ["(blank)"]):
            vector += np.random.default_rng(zlib.crc32(word.encode())).standard_normal(self._dim) / (1 + place / 10)
        return vector / np.linalg.norm(vector)


@pytest.fixture
def words():
    """Makes an encoder: ``words(read=str.lower)``."""

    def make(prompts=NO_PROMPTS, **faults):
        spec = Spec(f"words:{'+'.join(faults) or 'right'}", "words", "words")
        return Encoder(WordEngine(**faults), None, spec=spec, prompts=prompts)

    return make

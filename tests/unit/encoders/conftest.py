"""A tiny engine that stands for a model wherever a fault has to be forced."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest

from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.engine import Limits
from pytest_embedqa.encoders.prompts import Prompts
from pytest_embedqa.encoders.spec import Parser, Spec
from pytest_embedqa.encoders.store import Store

DIM = 8


class FakeEngine:
    """Vectors drawn from a hash of the text: equal texts agree, different texts differ.

    Attributes:
        batches: Every batch that was asked for, in order.
        disturb: Called with (texts, vectors) of each batch; returns the vectors to hand out, or raises.
    """

    options: ClassVar[Mapping[str, Parser]] = {"version": str}
    counts_tokens = True

    def __init__(
        self, *, model: str = "org/fake", full_dim: int | None = DIM, limits: Limits | None = None, **facts: Any
    ) -> None:
        """An engine of its own identity."""
        self.identity = Identity(model=model, engine="fake", full_dim=full_dim, **facts)
        self.limits = limits or Limits(batch_tokens=100_000, batch_size=64)
        self.prompts: Prompts | None = None
        self.batches: list[list[str]] = []
        self.disturb: Callable[[Sequence[str], np.ndarray], Any] = lambda _texts, vectors: vectors
        self.closed = False
        self.loaded_with: Mapping[str, Any] = {}

    @classmethod
    def load(cls, spec: Spec, options: Mapping[str, Any]) -> FakeEngine:
        """Remember the options."""
        engine = cls(model=spec.model)
        engine.loaded_with = options
        return engine

    def embed(self, texts: Sequence[str]) -> Any:
        """Vectors of a batch."""
        self.batches.append(list(texts))
        return self.disturb(texts, np.array([self.vector(text) for text in texts], dtype=np.float32))

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """One token a character."""
        return [len(text) for text in texts]

    def close(self) -> None:
        """Remember it."""
        self.closed = True

    @staticmethod
    def vector(text: str) -> np.ndarray:
        """The right vector of a text, not normalised."""
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        return np.random.default_rng(seed).standard_normal(DIM).astype(np.float32)

    @property
    def seen(self) -> list[str]:
        """Distinct texts in the order in which they were first asked for."""
        return list(dict.fromkeys(text for batch in self.batches for text in batch))


@pytest.fixture(scope="session")
def fake_engine() -> type[FakeEngine]:
    """The class of the fake engine."""
    return FakeEngine


@pytest.fixture(scope="session")
def make_encoder() -> Iterator[Callable[..., Encoder]]:
    """Make an encoder around a fake engine, with a temporary store unless one is given."""
    stores: list[Store] = []

    def make(engine: FakeEngine | None = None, store: Store | None = None, **settings: Any) -> Encoder:
        if store is None:
            store = Store(None)
            stores.append(store)
        return Encoder(engine or FakeEngine(), store, spec=Spec("fake:org/fake", "fake", "org/fake"), **settings)

    yield make
    for store in stores:
        store.close()

"""The identity of an encoder: all that decides a vector. Two vectors may share a store row only if it is equal."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Identity:
    """Everything that changes the vectors an encoder returns.

    An engine fills in what it knows; the encoder adds what it does itself (prompts, ``dim``, ``clean``).

    Attributes:
        model: Public name or path of the model; never a secret.
        engine: Name of the engine, as in a spec.
        weights: SHA-256 over the model's files, or ``None`` where the engine can't see them.
        revision: Commit or tag of the model, if one was given.
        libraries: Version of each library that takes part in the computation.
        dtype: Number format of weights and activations, e.g. ``float32``.
        device: Kind of device (``cpu``, ``cuda``, ``mps``), not its index: two GPUs of a kind give equal vectors.
        pooling: Way in which token vectors become one vector.
        normalize: Whether the model L2-normalises its output.
        similarity: The similarity the model was trained for, ``cosine`` or ``dot``.
        max_length: Tokens after which a text is cut, or ``None`` if unknown.
        full_dim: Dimensions the engine returns.
        options: Everything else that the engine was told and that may change a vector (quantisation, version tag).
        dim: Dimensions after the Matryoshka cut, or ``None`` for all.
        quantization: Way in which vectors are made coarser after the cut, or ``None`` if they are not.
        clean: Text cleaning done before the prompt.
        prompts: Effective prompts, by name.
    """

    model: str
    engine: str
    weights: str | None = None
    revision: str | None = None
    libraries: Mapping[str, str] = field(default_factory=dict)
    dtype: str = "unknown"
    device: str = "unknown"
    pooling: str = "unknown"
    normalize: bool | None = None
    similarity: str = "cosine"
    max_length: int | None = None
    full_dim: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    dim: int | None = None
    quantization: str | None = None
    clean: str = "none"
    prompts: Mapping[str, str] = field(default_factory=dict)

    @property
    def unit_length(self) -> bool | None:
        """Whether vectors have length 1; ``None`` where the engine does not say.

        After a cut they have it only where they are compared by the cosine.
        """
        return self.similarity == "cosine" if self.dim else self.normalize

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over all fields: the key of every cached result."""
        return _digest(asdict(self))

    @property
    def store_digest(self) -> str:
        """SHA-256 (hex) over what decides the full-dimension vector of an already prepared text.

        Cleaning and prompts are in the prepared text itself and the cut comes after the store, so that
        every dimension is served from one encoding pass.
        """
        facts = asdict(self)
        for after_or_before_store in ("dim", "quantization", "clean", "prompts", "similarity"):
            del facts[after_or_before_store]
        return _digest(facts)

    def as_dict(self) -> dict[str, Any]:
        """Return the identity as a plain dictionary, JSON-serialisable."""
        return asdict(self)


def _digest(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(
        json.dumps(facts, sort_keys=True, ensure_ascii=False).encode(errors="surrogatepass")
    ).hexdigest()

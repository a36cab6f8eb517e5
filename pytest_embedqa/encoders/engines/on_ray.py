"""``ray+ENGINE:``, replicas of any other engine on a Ray cluster: the same suites on many machines."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from math import ceil
from typing import Any, ClassVar

import numpy as np

from pytest_embedqa.core.errors import MissingExtraError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.checks import check_batch
from pytest_embedqa.encoders.engine import Engine, Limits, Told, estimated_lengths
from pytest_embedqa.encoders.engines.ray_actors import Actors, Loaded, Part
from pytest_embedqa.encoders.engines.ray_cluster import connected, share_of
from pytest_embedqa.encoders.prompts import Prompts
from pytest_embedqa.encoders.representations import DENSE, REPRESENTATIONS, Representation
from pytest_embedqa.encoders.spec import RAY_KEYS, Parser, Spec, amount, positive

# Parts for each replica in a batch of the encoder: at the end of a batch all replicas wait for the slowest.
_PARTS = 16
_TEXTS_TO_COUNT = 1024
_SECONDS_TO_PLACE = 60
# Keys of this engine, beside those of the inner engine.
_OPTIONS: Mapping[str, Parser] = dict(zip(RAY_KEYS, (positive, positive, amount, positive), strict=True))


def on_ray(inner: type[Engine]) -> type[Engine]:
    """Return the class of an engine that runs replicas of another engine."""
    return type(f"Ray{inner.__name__}", (RayEngine,), {"inner": inner, "options": {**inner.options, **_OPTIONS}})


class RayEngine:
    """Engine that spreads each batch over replicas of another engine.

    Its identity is that of the inner engine: the vectors are the same, wherever they are computed.

    Attributes:
        inner: Class of the engine that the replicas run.
    """

    inner: ClassVar[type[Engine]]
    options: ClassVar[Mapping[str, Parser]] = _OPTIONS

    def __init__(self, actors: Actors, replicas: int, opened: ExitStack) -> None:
        """Wrap actors that are ready; closing the engine closes ``opened``."""
        told: Loaded = actors.loaded
        self._actors = actors
        self._replicas = replicas
        self._opened = opened
        self._part = told.limits
        self.identity: Identity = told.identity
        self.prompts: Prompts | None = told.prompts
        self.counts_tokens: bool = told.counts_tokens
        self.told: Told = told.told
        self.representation: Representation = REPRESENTATIONS[told.representation]
        times = replicas * _PARTS
        self.limits = Limits(told.limits.batch_tokens * times, told.limits.batch_size * times)

    @classmethod
    def load(cls, spec: Spec, options: Mapping[str, Any]) -> RayEngine:
        """Find or start a cluster, and load the inner engine in each replica."""
        if importlib.util.find_spec("ray") is None:
            raise MissingExtraError("ray", "ray", f"The engine of the spec '{spec}'")
        inner = spec.off_ray()
        theirs = {key: value for key, value in options.items() if key not in _OPTIONS}
        with ExitStack() as opened:
            opened.enter_context(connected())
            share = share_of(options)
            seconds = options.get("ray_timeout", _SECONDS_TO_PLACE)
            actors = Actors((cls.inner, inner, theirs), spec=spec, share=share, seconds=seconds)
            opened.callback(actors.close)
            actors.open()
            return cls(actors, share.replicas, opened.pop_all())

    def embed(self, texts: Sequence[str]) -> Any:
        """Return what the inner engine makes of a batch, in the order of the texts."""
        parts = self._cut(texts)
        found = self._actors.call("embed", parts)
        if len(found) > len(parts):  # some parts did not fit into memory; later parts shall
            half = (max(1, self._part.batch_tokens // 2), max(1, self._part.batch_size // 2))
            self._part = Limits(*half)
        if self.representation is not DENSE:
            parted = (self.representation.rows(made, part.texts, self.identity) for part, made in found)
            return self.representation.join([row for rows in parted for row in rows], self.identity)
        for part, vectors in found:
            if vectors.shape != (len(part.texts), self.identity.full_dim):
                check_batch(vectors, part.texts, self.identity)  # rows of a part must not become those of the next
        return np.concatenate([vectors for _, vectors in found])

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text before any cut in the replicas, or estimate them."""
        if not self.counts_tokens:
            return estimated_lengths(texts)
        starts = range(0, len(texts), _TEXTS_TO_COUNT)
        parts = [Part(start, texts[start : start + _TEXTS_TO_COUNT]) for start in starts]
        return [length for _, lengths in self._actors.call("lengths", parts) for length in lengths]

    def close(self) -> None:
        """End the replicas, and Ray if it was started for them."""
        self._opened.close()

    def _cut(self, texts: Sequence[str]) -> list[Part]:
        """Split texts into parts for the inner engine, by estimated lengths; enough texts give each replica a part."""
        limit = self.identity.max_length or sys.maxsize
        most = min(self._part.batch_size, ceil(len(texts) / self._replicas))
        parts: list[Part] = []
        start = longest = 0
        for row, length in enumerate(estimated_lengths(texts)):
            wider = max(longest, min(length, limit))
            if row > start and (row - start == most or (row - start + 1) * wider > self._part.batch_tokens):
                parts.append(Part(start, texts[start:row]))
                start, wider = row, min(length, limit)
            longest = wider
        return [*parts, Part(start, texts[start:])]

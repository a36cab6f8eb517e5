"""usearch: an HNSW index in memory, with vectors stored in one of many types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from pytest_embedqa.core.errors import IndexFaultError, NotTheIndexError
from pytest_embedqa.core.measures import Floats
from pytest_embedqa.core.vector_index import Hits
from pytest_embedqa.encoders.scratch import scratch_folder
from pytest_embedqa.encoders.values import choice, positive
from pytest_embedqa.index.client import Client

_OF_BITS = ("hamming", "tanimoto", "sorensen")


class UsearchIndex(Client):
    """``usearch?metric=&dtype=&connectivity=&expansion_add=&expansion_search=``, e.g. ``usearch?dtype=i8``.

    Without ``dtype``, usearch picks bf16, f16 or f32 for the processor that it runs on. For ``b1``, a bit says whether a
    component is above 0. Its Python package has no filter.
    """

    name, package, extra = "usearch", "usearch", "usearch"
    kinds = ("hnsw",)
    build_settings: ClassVar = {
        "metric": choice("cos", "ip", "l2sq", "pearson", *_OF_BITS),
        "dtype": choice("f64", "f32", "bf16", "f16", "e5m2", "e4m3", "e3m2", "e2m3", "i8", "u8", "b1"),
        "connectivity": positive,
        "expansion_add": positive,
    }
    search_settings: ClassVar = {"expansion_search": positive}

    def build(self, vectors: Floats, ids: Sequence[str]) -> None:
        """Add all vectors to a new index."""
        metric, dtype = self.settings.get("metric", "cos"), self.settings.get("dtype")
        if dtype is not None and (dtype == "b1") != (metric in _OF_BITS):
            raise IndexFaultError(
                f"usearch can't compare vectors of the type {dtype} by {metric}, and returns wrong rows without an error. The type b1 goes with {', '.join(_OF_BITS)}, and only b1 does."
            )
        self._bits = metric in _OF_BITS
        self._ids: list[str] = []
        self._key: dict[str, int] = {}
        with self.telling("build an index"):
            self._index = self._new(vectors.shape[1])
        self.add(vectors, ids)

    def add(self, vectors: Floats, ids: Sequence[str]) -> None:
        """Add vectors; an id that was there before gets its old key."""
        for id_ in ids:
            if id_ not in self._key:
                self._key[id_] = len(self._ids)
                self._ids.append(id_)
        self._index.add(self._keys(ids), self._stored(vectors))

    def remove(self, ids: Sequence[str]) -> None:
        """Remove vectors by key."""
        self._index.remove(self._keys(ids))

    def search(self, queries: Floats, k: int) -> Hits:
        """Search; of several queries each has a row of its own."""
        found = self._index.search(self._stored(queries), k)
        each = [found] if len(queries) == 1 else [found[row] for row in range(len(found))]
        return [[self._ids[key] for key in one.keys.tolist()] for one in each]

    def reopen(self) -> None:
        """Save the index to a file, and load it with the settings given again, which the file lacks."""
        with scratch_folder("usearch") as folder:
            self._index.save(folder / "index")
            self._index = self._new(self._index.ndim)
            self._index.load(folder / "index")

    def tune(self, settings: Mapping[str, Any]) -> None:
        """Search with these settings from now on."""
        for name, value in settings.items():
            setattr(self._index, name, value)

    def size(self) -> int:
        """Return the bytes of the index as usearch writes it."""
        return int(self._index.serialized_length)

    def proof(self, queries: Floats, k: int) -> str:
        """Read how many distances usearch computed, and which settings it holds."""
        for name, value in self.given("connectivity", "expansion_add", "expansion_search").items():
            if (held := getattr(self._index, name)) != value:
                raise NotTheIndexError(f"usearch: {name}={value} has no effect; it holds {held}.")
        self.require_effect("expansion_search", k)
        compared = self._index.search(self._stored(queries), k).computed_distances / len(queries)
        self.require_partial(compared, len(self._index))
        chosen = "" if "dtype" in self.settings or self._bits else ", chosen for this processor"
        return f"usearch: HNSW compares each query with {compared:,.0f} of {len(self._index):,} rows, stored as {self._index.dtype.name.lower()}{chosen}."

    def _new(self, dim: int) -> Any:
        from usearch.index import Index

        return Index(ndim=dim, **self.settings)

    def _keys(self, ids: Sequence[str]) -> Any:
        return np.array([self._key[id_] for id_ in ids], dtype=np.uint64)

    def _stored(self, vectors: Floats) -> Any:
        return np.packbits(vectors > 0, axis=1) if self._bits else vectors

"""faiss: an index from a text of its index factory, in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pytest_embedqa.core.errors import IndexFaultError, NotTheIndexError, SpecError
from pytest_embedqa.core.measures import Floats
from pytest_embedqa.encoders.values import choice, positive
from pytest_embedqa.index.client import Client
from pytest_embedqa.index.protocol import Hits


class FaissIndex(Client):
    """``faiss:FACTORY?metric=&efConstruction=&efSearch=&nprobe=``, e.g. ``faiss:HNSW32?efSearch=64``."""

    package, extra = "faiss", "faiss"
    build_settings: ClassVar = {"metric": choice("l2", "ip"), "efConstruction": positive}
    search_settings: ClassVar = {"efSearch": positive, "nprobe": positive}

    @classmethod
    def read_kind(cls, kind: str, text: str) -> str:
        """Take any text: faiss reads it when the index is built."""
        if not kind:
            raise SpecError(
                f"index='{text}' names no index of faiss. Give a text for its index_factory, e.g. faiss:HNSW32 or faiss:IVF256,Flat."
            )
        return kind

    def build(self, vectors: Floats, ids: Sequence[str]) -> None:
        """Train on all vectors, and add them."""
        import faiss

        metric = faiss.METRIC_INNER_PRODUCT if self.settings.get("metric") == "ip" else faiss.METRIC_L2
        try:
            self._index = faiss.index_factory(vectors.shape[1], self.kind, metric)
            self._set("efConstruction", "efSearch", "nprobe")
            self._index.train(vectors)
            self._index.add(vectors)
        except RuntimeError as error:
            raise IndexFaultError(f"faiss can't build '{self.kind}' of {len(vectors):,} vectors: {error}") from None
        self._ids = list(ids)

    def search(self, queries: Floats, k: int) -> Hits:
        """Search; faiss fills what it does not find with -1."""
        _, found = self._index.search(queries, k)
        return [[self._ids[row] for row in rows if row >= 0] for rows in found.tolist()]

    def tune(self, settings: Mapping[str, Any]) -> None:
        """Search with these settings from now on."""
        self.settings.update(settings)
        self._set(*settings)

    def size(self) -> int:
        """Return the bytes of the index as faiss writes it."""
        import faiss

        return int(faiss.serialize_index(self._index).nbytes)

    def _set(self, *names: str) -> None:
        import faiss

        text = ",".join(f"{name}={value}" for name, value in self.given(*names).items())
        space: Any = faiss.ParameterSpace()
        try:
            space.set_index_parameters(self._index, text)
        except RuntimeError:
            raise NotTheIndexError(
                f"faiss: a setting of '{text}' has no effect on the index '{self.kind}'. Leave it out."
            ) from None

"""hnswlib: an HNSW index in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from pytest_embedqa.core.errors import IndexFaultError, NotTheIndexError
from pytest_embedqa.core.measures import Floats
from pytest_embedqa.core.vector_index import Hits
from pytest_embedqa.encoders.scratch import scratch_folder
from pytest_embedqa.encoders.values import boolean, choice, positive
from pytest_embedqa.index.client import Client


class HnswlibIndex(Client):
    """``hnswlib?space=&M=&ef_construction=&allow_replace_deleted=&ef=``, e.g. ``hnswlib?M=32&ef=100``.

    The space must be named: it is the model's similarity unless it is given. Removed rows are marked, and searched
    around. With ``allow_replace_deleted`` a row that is added takes the place of a removed row, under a new label; without
    it, a row that is added again under its label is written over its old place.
    """

    name, package, extra = "hnswlib", "hnswlib", "hnswlib"
    kinds = ("hnsw",)
    build_settings: ClassVar = {
        "space": choice("l2", "ip", "cosine"),
        "M": positive,
        "ef_construction": positive,
        "allow_replace_deleted": boolean,
    }
    search_settings: ClassVar = {"ef": positive}

    def build(self, vectors: Floats, ids: Sequence[str]) -> None:
        """Add all vectors to a new index of that size."""
        self._ids: list[str] = []
        self._label: dict[str, int] = {}
        self._gone: dict[str, int] = {}
        self._index = self._new(vectors.shape[1])
        with self.telling(f"build an index of {len(vectors):,} vectors"):
            self._index.init_index(
                max_elements=len(vectors), **self.given("M", "ef_construction", "allow_replace_deleted")
            )
            self.add(vectors, ids)
        self.tune(self.given("ef"))

    def add(self, vectors: Floats, ids: Sequence[str]) -> None:
        """Add vectors, and make room for them first."""
        replaces = self.settings.get("allow_replace_deleted", False)
        for id_ in ids:
            if replaces or id_ not in self._gone:
                # A label that is used again is lost: hnswlib 0.8 forgets it with the place that it had before.
                self._label[id_] = len(self._ids)
                self._ids.append(id_)
            else:
                self._label[id_] = self._gone.pop(id_)
        labels = [self._label[id_] for id_ in ids]
        room = len(self._label) if replaces else len(self._ids)
        if room > self._index.max_elements:
            self._index.resize_index(room)
        self._index.add_items(vectors, labels, replace_deleted=replaces)

    def remove(self, ids: Sequence[str]) -> None:
        """Mark rows as deleted."""
        for id_ in ids:
            self._gone[id_] = self._label.pop(id_)
            self._index.mark_deleted(self._gone[id_])

    def search(self, queries: Floats, k: int) -> Hits:
        """Search among the rows that are left."""
        return self._found(queries, min(k, len(self._label)))

    def build_with_slots(self, vectors: Floats, ids: Sequence[str], slots: Sequence[int]) -> None:
        """Build, and keep the slots: hnswlib has no columns."""
        self.build(vectors, ids)
        self._slots = list(slots)

    def search_below(self, queries: Floats, k: int, slot: int) -> Hits:
        """Search with a function that says of each label whether it counts."""
        slots = self._slots
        passing = sum(one < slot for one in slots)
        return self._found(queries, min(k, passing), lambda label: slots[label] < slot)

    def reopen(self) -> None:
        """Save the index, load it, and set ``ef`` again, which a loaded index does not keep."""
        with scratch_folder("hnswlib") as folder:
            self._index.save_index(str(folder / "index"))
            index = self._new(self._index.dim)
            index.load_index(str(folder / "index"), self._index.max_elements, **self.given("allow_replace_deleted"))
        self._index = index
        self.tune(self.given("ef"))

    def tune(self, settings: Mapping[str, Any]) -> None:
        """Search with these settings from now on."""
        if "ef" in settings:
            self._index.set_ef(settings["ef"])

    def size(self) -> int:
        """Return the bytes of the index as hnswlib writes it."""
        return int(self._index.index_file_size())

    def proof(self, queries: Floats, k: int) -> str:
        """Count the rows that hnswlib asks a filter about, and read the settings that it holds."""
        for name, value in self.given("M", "ef_construction").items():
            if (held := getattr(self._index, name)) != value:
                raise NotTheIndexError(f"hnswlib: {name}={value} has no effect; it takes {held} instead.")
        self.require_effect("ef", k)
        asked: list[int] = []

        def passes(label: int) -> bool:
            asked.append(label)
            return True

        self._found(queries, min(k, len(self._label)), passes)
        compared = len(asked) / len(queries)
        self.require_partial(compared, len(self._label))
        return f"hnswlib: HNSW takes {compared:,.0f} of {len(self._label):,} rows as candidates for a query, with ef={self._index.ef}."

    def _new(self, dim: int) -> Any:
        import hnswlib

        own = "ip" if self.similarity == "dot" else "cosine"
        return hnswlib.Index(self.settings.get("space", own), dim)

    def _found(self, queries: Floats, k: int, passes: Callable[[int], bool] | None = None) -> Hits:
        try:
            labels, _ = self._index.knn_query(queries, k, filter=passes)
        except RuntimeError as error:
            raise IndexFaultError(
                f"hnswlib finds fewer than the {k} rows that a query asks for, and returns none of them: {error}. Take a higher ef or M."
            ) from None
        return [[self._ids[label] for label in row] for row in labels.tolist()]

"""faiss: an index from a text of its index factory, in memory."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, ClassVar

import numpy as np

from pytest_embedqa.core.errors import NotTheIndexError, SpecError
from pytest_embedqa.core.measures import Floats
from pytest_embedqa.core.vector_index import Hits
from pytest_embedqa.encoders.scratch import scratch_folder
from pytest_embedqa.encoders.values import Parser, choice, positive
from pytest_embedqa.index.client import Client

# Settings of what the text of a factory names.
_SETTINGS = {
    r"(^|,)HNSW": ("efConstruction", "efSearch"),
    r"(^|,)(IVF|IMI)": ("nprobe",),
    r"IVF\d+(_|\()HNSW": ("quantizer_efConstruction", "quantizer_efSearch"),
    r",R(Flat|efine)": ("k_factor_rf",),
}
# Methods that it lacks, and why. After IDMap over IVF removed rows, ids stand for other rows.
_LACKS = (
    ("remove", r"(^|,)(HNSW|NSG)", "faiss removes nothing from a graph; build it again instead"),
    (
        "remove",
        r"IDMap2?,(.*,)?(IVF|IMI)",
        "after its IDMap removed a row, ids stand for other rows; IVF takes ids itself, so leave IDMap out",
    ),
    ("remove", r",R(Flat|efine)", "faiss removes nothing from a refined index"),
    (
        "search_below",
        r"^(?!.*(IVF|IMI)).*(^|,)(LSH|PQ)|(^|,)(NSG|HNSW\d+_\d\+)|,R(Flat|efine)",
        "faiss takes no selector of rows for it",
    ),
)
# Attributes of an index that hold the index inside of it.
_INSIDE = ("index", "base_index", "storage")


def _faiss() -> Any:  # its stubs know half of it
    return import_module("faiss")


class FaissIndex(Client):
    """``faiss:FACTORY?metric=&efConstruction=&efSearch=&nprobe=``, e.g. ``faiss:HNSW32?efSearch=64``.

    The text of the factory is faiss' own. An index that takes ids (IVF, IDMap) gets them; from any other, removed rows
    move the numbers of the rows behind them, as faiss says, and the ids move with them.
    """

    name, package, extra = "faiss", "faiss", "faiss"
    build_settings: ClassVar = {
        "metric": choice("l2", "ip"),
        "efConstruction": positive,
        "quantizer_efConstruction": positive,
    }
    search_settings: ClassVar = {
        "efSearch": positive,
        "nprobe": positive,
        "quantizer_efSearch": positive,
        "k_factor_rf": positive,
    }

    @classmethod
    def read_kind(cls, kind: str, text: str) -> str:
        """Take any text: faiss reads it when the index is built."""
        if not kind:
            raise SpecError(
                f"index='{text}' names no index of faiss. Give a text for its index_factory, e.g. faiss:HNSW32 or faiss:IVF256,Flat."
            )
        return kind

    @classmethod
    def settings_of(cls, kind: str) -> Mapping[str, Parser]:
        """Return the parsers of the settings that an index of this text has: nprobe means nothing to HNSW."""
        every = super().settings_of(kind)
        names = [name for pattern, some in _SETTINGS.items() if re.search(pattern, kind) for name in some]
        return {name: every[name] for name in ("metric", *names)}

    @classmethod
    def lacks(cls, kind: str) -> Mapping[str, str]:
        """Return what faiss can't do with an index of this text, such as to remove rows from HNSW."""
        return {method: why for method, pattern, why in _LACKS if re.search(pattern, kind)}

    def build(self, vectors: Floats, ids: Sequence[str]) -> None:
        """Train on all vectors, and add them."""
        faiss = _faiss()

        metric = faiss.METRIC_INNER_PRODUCT if self.settings.get("metric") == "ip" else faiss.METRIC_L2
        self._ids: list[str] = []
        self._trained = len(vectors)
        with self.telling(f"build '{self.kind}' of {len(vectors):,} vectors"):
            self._index = faiss.index_factory(vectors.shape[1], self.kind, metric)
            self.tune({name: value for name, value in self.settings.items() if name != "metric"})
            self._index.train(vectors)
        parts = self._parts()
        self._keeps_ids = not hasattr(parts[0], "base_index") and any(
            hasattr(one, "id_map") or hasattr(one, "invlists") for one in parts
        )
        self.add(vectors, ids)

    def add(self, vectors: Floats, ids: Sequence[str]) -> None:
        """Add vectors, under numbers that go up."""
        with self.telling(f"add {len(ids):,} vectors to '{self.kind}'"):
            if self._keeps_ids:
                self._index.add_with_ids(vectors, np.arange(len(self._ids), len(self._ids) + len(ids)))
            else:
                self._index.add(vectors)
        self._ids += ids

    def remove(self, ids: Sequence[str]) -> None:
        """Remove vectors by number."""
        number = {id_: number for number, id_ in enumerate(self._ids)}
        with self.telling(f"remove rows from '{self.kind}'"):
            self._index.remove_ids(np.array([number[id_] for id_ in ids]))
        if not self._keeps_ids:
            gone = set(ids)
            self._ids = [id_ for id_ in self._ids if id_ not in gone]

    def search(self, queries: Floats, k: int) -> Hits:
        """Search; faiss fills what it does not find with -1."""
        return self._hits(self._index.search(queries, k))

    def build_with_slots(self, vectors: Floats, ids: Sequence[str], slots: Sequence[int]) -> None:
        """Build, and keep the slots: faiss has no columns."""
        self.build(vectors, ids)
        self._slots, self._selected = np.array(slots), (0, None)

    def search_below(self, queries: Floats, k: int, slot: int) -> Hits:
        """Search with a selector of the rows, and with the settings: without them, faiss takes its defaults here."""
        faiss = _faiss()

        if self._selected[0] != slot:
            self._selected = slot, faiss.IDSelectorBatch(np.flatnonzero(self._slots < slot))
        parameters: Any = faiss.SearchParameters(sel=self._selected[1])
        for part in self._parts():
            if hasattr(part, "nprobe"):
                parameters = faiss.SearchParametersIVF(sel=self._selected[1], nprobe=part.nprobe)
            elif hasattr(part, "hnsw"):
                parameters = faiss.SearchParametersHNSW(sel=self._selected[1], efSearch=part.hnsw.efSearch)
        with self.telling(f"search '{self.kind}' under a filter"):
            return self._hits(self._index.search(queries, k, params=parameters))

    def reopen(self) -> None:
        """Write the index to a file, and read it."""
        faiss = _faiss()

        with scratch_folder("faiss") as folder, self.telling(f"write and read '{self.kind}'"):
            faiss.write_index(self._index, str(folder / "index"))
            self._index = faiss.read_index(str(folder / "index"))

    def tune(self, settings: Mapping[str, Any]) -> None:
        """Search with these settings from now on."""
        faiss = _faiss()

        text = ",".join(f"{name}={value}" for name, value in settings.items())
        try:
            faiss.ParameterSpace().set_index_parameters(self._index, text)
        except RuntimeError:
            raise NotTheIndexError(
                f"faiss: a setting of '{text}' has no effect on the index '{self.kind}'. Leave it out."
            ) from None

    def size(self) -> int:
        """Return the bytes of the index as faiss writes it."""
        faiss = _faiss()

        return int(faiss.serialize_index(self._index).nbytes)

    def proof(self, queries: Floats, k: int) -> str:
        """Read from faiss' statistics with how many rows a query is compared."""
        faiss = _faiss()

        self.require_effect("efSearch", k)
        graph, lists, count = faiss.cvar.hnsw_stats, faiss.cvar.indexIVF_stats, self._index.ntotal
        graph.reset()
        lists.reset()
        self.search(queries, k)
        compared = (lists.ndis or graph.ndis) / len(queries)
        self.require_partial(compared, count)
        seen = (
            f"compares each query with {compared:,.0f} of {count:,} rows"
            if compared
            else "compares each query with all rows, by design"
        )
        if any(hasattr(one, "nsg") for one in self._parts()):
            seen = "is a graph of which faiss keeps no statistics"
        return f"faiss: '{self.kind}' {seen}{self._training()}."

    def _training(self) -> str:
        """Say so where there were fewer rows than faiss asks for; faiss only prints that."""
        parts = self._parts()
        least = [one.nlist * one.cp.min_points_per_centroid for one in parts if hasattr(one, "nlist")]
        least += [one.pq.ksub * one.pq.cp.min_points_per_centroid for one in parts if hasattr(one, "pq")]
        wanted = max(least, default=0)
        return (
            f"; trained on {self._trained:,} rows, for which faiss asks for {wanted:,}"
            if wanted > self._trained
            else ""
        )

    def _parts(self) -> list[Any]:
        """Return the index and the indexes inside of it, the outermost first."""
        faiss = _faiss()

        parts, inside = [], self._index
        while inside is not None:
            parts.append(faiss.downcast_index(inside))
            inside = next((found for name in _INSIDE if (found := getattr(parts[-1], name, None))), None)
        return parts

    def _hits(self, found: tuple[Any, Any]) -> Hits:
        return [[self._ids[row] for row in rows if row >= 0] for rows in found[1].tolist()]

    def words_of(self, error: Any) -> str:
        """Return what faiss says, without the place in its sources."""
        return str(error).rpartition(": ")[2].strip()

"""LanceDB: a table in a folder of its own, with one of its vector indexes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from pytest_embedqa.core.errors import NotTheIndexError
from pytest_embedqa.core.measures import Floats
from pytest_embedqa.core.vector_index import Hits
from pytest_embedqa.encoders.scratch import scratch_folder
from pytest_embedqa.encoders.values import Parser, boolean, choice, positive
from pytest_embedqa.index.client import TableClient, folder_size

# The class of each type's settings.
_CONFIGS = {
    "IVF_PQ": "IvfPq",
    "IVF_FLAT": "IvfFlat",
    "IVF_SQ": "IvfSq",
    "IVF_RQ": "IvfRq",
    "IVF_HNSW_SQ": "HnswSq",
    "IVF_HNSW_PQ": "HnswPq",
    "IVF_HNSW_FLAT": "HnswFlat",
}
# Where the details of a built index hold its settings; the number of partitions is in the plan of a search.
_DETAILS = {
    "distance_type": ("metric_type",),
    "num_sub_vectors": ("compression", "num_sub_vectors"),
    "num_bits": ("compression", "num_bits"),
    "m": ("hnsw", "max_connections"),
    "ef_construction": ("hnsw", "construction_ef"),
    "max_iterations": ("runtime_hints", "lance.ivf.max_iters"),
    "sample_rate": ("runtime_hints", "lance.ivf.sample_rate"),
    "target_partition_size": ("target_partition_size",),
}
# Plans round numbers from a thousand up.
_ROUNDING = 0.01
_WIDE = 4096
# A place in the sources of LanceDB, at the end of its errors.
_PLACE = re.compile(r",? \S+\.rs:\d+:\d+\S*")


class LanceDBIndex(TableClient):
    """``lancedb:TYPE?num_partitions=&nprobes=&...``, e.g. ``lancedb:IVF_PQ?num_partitions=64&nprobes=20``.

    ``optimize=true`` calls ``Table.optimize()`` after each change; LanceDB leaves that to its user, and searches new
    rows exactly until then.
    """

    name = "LanceDB"
    package, extra, kinds = "lancedb", "lancedb", tuple(_CONFIGS)
    build_settings: ClassVar = {
        "distance_type": choice("l2", "cosine", "dot"),
        "num_partitions": positive,
        "num_sub_vectors": positive,
        "num_bits": positive,
        "max_iterations": positive,
        "sample_rate": positive,
        "target_partition_size": positive,
        "m": positive,
        "ef_construction": positive,
        "optimize": boolean,
    }
    search_settings: ClassVar = {"nprobes": positive, "refine_factor": positive, "ef": positive}

    @classmethod
    def settings_of(cls, kind: str) -> Mapping[str, Parser]:
        """Return the parsers of the settings that count for a type; LanceDB ignores ``ef`` of an index without a graph."""
        missing = {
            "num_sub_vectors": "PQ" not in kind,
            "num_bits": "PQ" not in kind and "RQ" not in kind,
            "m": "HNSW" not in kind,
            "ef_construction": "HNSW" not in kind,
            "ef": "HNSW" not in kind,
            "refine_factor": "FLAT" in kind,
        }
        return {name: parser for name, parser in super().settings_of(kind).items() if not missing.get(name)}

    def build_with_slots(self, vectors: Floats, ids: Sequence[str], slots: Sequence[int]) -> None:
        """Write a table with the slots in a column, and create the index of its vectors."""
        import lancedb

        self._slots = dict(zip(ids, slots, strict=True))
        self._changed = False
        self._folder = self.held.enter_context(scratch_folder("lancedb"))
        self._table = lancedb.connect(self._folder).create_table("vectors", self._rows(vectors, ids))
        config = getattr(lancedb.index, _CONFIGS[self.kind])(**self.given("num_partitions", *_DETAILS))
        with self.telling(f"build {self.kind} of {len(ids):,} vectors"):
            self._table.create_index("vector", config=config)

    def search(self, queries: Floats, k: int) -> Hits:
        """Search each query."""
        return [self._ids(self._query(query, k)) for query in queries]

    def search_below(self, queries: Floats, k: int, slot: int) -> Hits:
        """Search under a filter, which LanceDB applies before the search."""
        return [self._ids(self._query(query, k).where(f"slot < {slot}")) for query in queries]

    def add(self, vectors: Floats, ids: Sequence[str]) -> None:
        """Add rows; they are in the index once ``optimize`` was called."""
        self._table.add(self._rows(vectors, ids))
        self._settle()

    def remove(self, ids: Sequence[str]) -> None:
        """Delete rows."""
        listed = ", ".join("'" + id_.replace("'", "''") + "'" for id_ in ids)
        self._table.delete(f"id IN ({listed})")
        self._settle()

    def reopen(self) -> None:
        """Connect to the folder anew."""
        import lancedb

        self._table = lancedb.connect(self._folder).open_table("vectors")

    def tune(self, settings: Mapping[str, Any]) -> None:
        """Search with these settings from now on."""
        self.settings.update(settings)

    def proof(self, queries: Floats, k: int) -> str:
        """Show by the index's statistics and details, and by the plan of a search, what answered."""
        index = next(iter(self._table.list_indices()))
        rows = index.num_indexed_rows + index.num_unindexed_rows
        plan = self._query(queries[0], k).analyze_plan()
        if not index.num_indexed_rows or "ANNSubIndex" not in plan:
            raise NotTheIndexError(
                f"LanceDB: exact search, not the index: {self.kind} holds {index.num_indexed_rows} of {rows:,} rows. "
                "It trains on 256 rows or more: rows= grows the data."
            )
        partitions = _number("partitions_ranked", plan)
        if self.kind == "IVF_FLAT" and _number("partitions_searched", plan) >= partitions:
            raise NotTheIndexError(
                f"LanceDB: exact search, not the index: IVF_FLAT searches all of its {partitions:.0f} partitions. "
                "Give a higher num_partitions, or a lower nprobes."
            )
        # optimize() joins partitions that deletions have emptied: the settings are those of a new index.
        ignored = (
            []
            if self._changed
            else [*self._ignored(index.index_details, partitions), *self._idle(queries, k, partitions)]
        )
        if ignored:
            raise NotTheIndexError(
                f"LanceDB: {ignored[0]} has no effect on {self.kind} of {rows:,} rows. Leave it out, or grow the data by rows=."
            )
        rest = ", and the others are searched exactly until optimize()" if index.num_unindexed_rows else ""
        return f"LanceDB: {index.num_indexed_rows:,} of {rows:,} rows are in {self.kind} with num_partitions={partitions:.0f}{rest}."

    def size(self) -> int:
        """Return the bytes of the table's folder."""
        return folder_size(self._folder)

    def words_of(self, error: Any) -> str:
        """Return what LanceDB says, without the places in its own sources."""
        return _PLACE.sub("", str(error))

    def _rows(self, vectors: Floats, ids: Sequence[str]) -> Any:  # a table of pyarrow
        import pyarrow as pa

        column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
        return pa.table({"id": list(ids), "slot": [self._slots[id_] for id_ in ids], "vector": column})

    def _query(self, vector: Floats, k: int, **other: int) -> Any:  # LanceDB's builder of a query
        query = self._table.search(vector, vector_column_name="vector").limit(k).select(["id", "_distance"])
        for name, value in {**self.given(*self.search_settings), **other}.items():
            query = getattr(query, name)(value)
        return query

    def _ids(self, query: Any) -> list[str]:
        with self.telling("search"):
            found: list[str] = query.to_arrow()["id"].to_pylist()
        return found

    def _settle(self) -> None:
        self._changed = True
        if self.settings.get("optimize"):
            self._table.optimize()

    def _ignored(self, details: Any, partitions: float) -> Iterator[str]:
        """Yield the given settings that the index was not built with."""
        for name, value in self.given(*_DETAILS).items():
            kept = details
            for key in _DETAILS[name]:
                kept = kept.get(key, {})
            if str(kept).lower() != str(value):
                yield f"{name}={value}"
        wanted = self.settings.get("num_partitions", partitions)
        if abs(wanted - partitions) > _ROUNDING * partitions:
            yield f"num_partitions={wanted} ({partitions:.0f} were made)"

    def _idle(self, queries: Floats, k: int, partitions: float) -> Iterator[str]:
        """Yield the given settings of a search that change nothing."""
        probes = self.settings.get("nprobes", 0)
        if probes > partitions:
            yield f"nprobes={probes} (there are {partitions:.0f} partitions)"
        if "ef" in self.settings:
            narrow, wide = ([self._ids(self._query(query, k, ef=ef)) for query in queries] for ef in (k, _WIDE))
            if narrow == wide:
                yield f"ef={self.settings['ef']}"


def _number(name: str, plan: str) -> float:
    """Return a number of a plan, which writes 1200 as ``1.20 K``; the largest where there are several."""
    found = re.findall(rf"\b{name}=([\d.]+)( K)?", plan)
    return max((float(number) * (1000 if thousands else 1) for number, thousands in found), default=0.0)

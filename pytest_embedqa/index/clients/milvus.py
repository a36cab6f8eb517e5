"""Milvus: Milvus Lite in a folder of its own, or a running server."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pytest_embedqa.core.errors import NotTheIndexError
from pytest_embedqa.core.measures import Floats
from pytest_embedqa.core.vector_index import Hits
from pytest_embedqa.encoders.scratch import scratch_folder
from pytest_embedqa.encoders.values import Parser, choice, positive
from pytest_embedqa.index.client import TableClient, folder_size, remove_from_server

# Names of settings of the types of index: how each is built, and how it is searched.
_GRAPH, _LISTS = (("M", "efConstruction"), "ef"), (("nlist",), "nprobe")
_KINDS = {"AUTOINDEX": ((), "ef"), "HNSW": _GRAPH, "HNSW_SQ": _GRAPH, "IVF_FLAT": _LISTS, "IVF_SQ8": _LISTS}
# A setting of a search at its ends: with few ids asked for, as Milvus takes no ef below their number.
_FEW, _WIDE = 10, 4096
_BATCH = 1000


class MilvusIndex(TableClient):
    """``milvus:TYPE?metric_type=&ef=&...``, e.g. ``milvus:HNSW?ef=128``; ``uri=http://HOST:PORT`` names a server.

    Rows are flushed and loaded after each change, as Milvus does with time: until then they are searched exactly.
    """

    name = "Milvus"
    package, extra, kinds = "pymilvus", "milvus", tuple(_KINDS)
    build_settings: ClassVar = {
        "uri": str,
        "metric_type": choice("COSINE", "IP", "L2"),
        "M": positive,
        "efConstruction": positive,
        "nlist": positive,
    }
    search_settings: ClassVar = {"ef": positive, "nprobe": positive}

    @classmethod
    def settings_of(cls, kind: str) -> Mapping[str, Parser]:
        """Return the parsers of the settings that a type has: Milvus ignores all others."""
        built, searched = _KINDS[kind]
        names = {"uri", "metric_type", *built, searched}
        return {name: parser for name, parser in super().settings_of(kind).items() if name in names}

    def build_with_slots(self, vectors: Floats, ids: Sequence[str], slots: Sequence[int]) -> None:
        """Insert all vectors with their slots in a field, create the index, flush and load."""
        from pymilvus import DataType

        self._slots = dict(zip(ids, slots, strict=True))
        # delete(ids=) writes ids of texts into an expression without escaping them.
        self._ids = list(ids)
        self._keys = {id_: number for number, id_ in enumerate(ids)}
        self._name = f"embedqa_{secrets.token_hex(8)}"
        if "uri" not in self.settings:
            self._folder = self.held.enter_context(scratch_folder("milvus"))
        with self.telling(f"build {self.kind} of {len(ids):,} vectors"):
            self._client = self._connect()
            self.held.callback(self._disconnect)
            schema = self._client.create_schema(auto_id=False)
            schema.add_field("id", DataType.INT64, is_primary=True)
            schema.add_field("slot", DataType.INT64)
            schema.add_field("vector", DataType.FLOAT_VECTOR, dim=vectors.shape[1])
            self._client.create_collection(self._name, schema=schema)
            self.held.callback(remove_from_server, self._name, lambda: self._client.drop_collection(self._name))
            self._insert(vectors, ids)
            self._client.create_index(self._name, self._index())
            self._settle()

    def search(self, queries: Floats, k: int) -> Hits:
        """Search all queries."""
        return self._found(queries, k)

    def search_below(self, queries: Floats, k: int, slot: int) -> Hits:
        """Search under a filter expression."""
        return self._found(queries, k, f"slot < {slot}")

    def add(self, vectors: Floats, ids: Sequence[str]) -> None:
        """Insert rows, flush, and load them with their index."""
        self._insert(vectors, ids)
        self._settle()

    def remove(self, ids: Sequence[str]) -> None:
        """Delete rows, flush, and load what is left."""
        for start in range(0, len(ids), _BATCH):
            self._client.delete(self._name, ids=[self._keys[id_] for id_ in ids[start : start + _BATCH]])
        self._settle()

    def reopen(self) -> None:
        """Stop Milvus Lite or leave the server, connect anew, and load the collection."""
        self._disconnect()
        self._client = self._connect()
        self._client.load_collection(self._name)

    def tune(self, settings: Mapping[str, Any]) -> None:
        """Search with these settings from now on."""
        self.settings.update(settings)

    def proof(self, queries: Floats, k: int) -> str:
        """Show that the index has the settings given, and that a setting of the search changes what it finds."""
        built, searched = _KINDS[self.kind]
        kept = self._client.describe_index(self._name, "vector") or {}
        params = kept | kept.get("params", {})
        for name, value in self.given(*built).items():
            if str(params.get(name)) != str(value):
                raise NotTheIndexError(
                    f"Milvus: {name}={value} has no effect: describe_index() shows {name}={params.get(name)}. Milvus Lite drops "
                    f"what add_index(params={{'{name}': {value}}}) gives and keeps params={{'params': {{'{name}': {value}}}}}. Leave it out."
                )
        few = min(k, _FEW)
        least = few if searched == "ef" else 1
        narrow, wide = (self._found(queries, few, width=width) for width in (least, _WIDE))
        if narrow == wide:
            raise NotTheIndexError(
                f"Milvus: exact search, not the index: {searched}={least} and {searched}={_WIDE} find the same. "
                "Rows without a built index are searched exactly, as all are before a flush, and so are few. rows= grows the data."
            )
        return f"Milvus: {searched} changes what {self.kind} finds."

    def size(self) -> int | None:
        """Return the bytes of the folder; ``None`` on a server."""
        return None if "uri" in self.settings else folder_size(self._folder)

    def raised(self) -> tuple[type[Exception], ...]:
        """Return Milvus' exceptions."""
        from pymilvus.exceptions import MilvusException

        return (MilvusException,)

    def words_of(self, error: Any) -> str:
        """Return the message without the code."""
        return str(error.message)

    def _insert(self, vectors: Floats, ids: Sequence[str]) -> None:
        for start in range(0, len(ids), _BATCH):
            rows = [
                {"id": self._keys[id_], "slot": self._slots[id_], "vector": vector}
                for id_, vector in zip(ids[start : start + _BATCH], vectors[start : start + _BATCH], strict=True)
            ]
            self._client.insert(self._name, rows)

    def _settle(self) -> None:
        """Wait for the index of new rows: loading builds it, where a flush alone leaves that to the background."""
        self._client.flush(self._name)
        self._client.release_collection(self._name)
        self._client.load_collection(self._name)

    def _index(self) -> Any:  # IndexParams of pymilvus
        built, _ = _KINDS[self.kind]
        metric = self.settings.get("metric_type", "IP" if self.similarity == "dot" else "COSINE")
        index = self._client.prepare_index_params()
        index.add_index("vector", index_type=self.kind, metric_type=metric, params=self.given(*built))
        return index

    def _found(self, queries: Floats, k: int, only: str = "", width: int | None = None) -> Hits:
        _, searched = _KINDS[self.kind]
        params = self.given(searched) if width is None else {searched: width}
        with self.telling("search"):
            found = self._client.search(
                self._name,
                data=queries,
                anns_field="vector",
                limit=k,
                filter=only,
                search_params={"params": params},
                output_fields=["id"],
            )
        return [[self._ids[hit["id"]] for hit in hits] for hits in found]

    @property
    def _uri(self) -> str:
        return str(self.settings.get("uri") or self._folder / "milvus.db")

    def _connect(self) -> Any:  # a MilvusClient
        from pymilvus import MilvusClient

        return MilvusClient(self._uri, token=os.environ.get("MILVUS_TOKEN", ""))

    def _disconnect(self) -> None:
        self._client.close()
        if "uri" not in self.settings:
            from milvus_lite import server_manager_instance

            server_manager_instance.release_server(self._uri)

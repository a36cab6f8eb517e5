"""Chroma: a collection in a folder of its own, or on a running server."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pytest_embedqa.core.errors import NotTheIndexError
from pytest_embedqa.core.measures import Floats
from pytest_embedqa.core.vector_index import Hits
from pytest_embedqa.encoders.scratch import scratch_folder
from pytest_embedqa.encoders.values import choice, positive
from pytest_embedqa.index.client import TableClient, folder_size, remove_from_server

_HNSW = ("space", "ef_construction", "max_neighbors", "ef_search", "sync_threshold")
# Times by which a search is widened to see what a narrower one misses.
_WIDER = 10


class ChromaIndex(TableClient):
    """``chroma?space=&ef_search=&...``, e.g. ``chroma?space=cosine`` as OpenWebUI has it, or ``chroma?url=http://HOST:PORT``.

    Without ``url`` a ``PersistentClient`` keeps the collection. ``collection=NAME`` names a collection of the server
    whose settings the test is about: they are checked against those given, and its rows are left alone.
    """

    name = "Chroma"
    package, extra, kinds = "chromadb", "chroma", ("hnsw",)
    # Chroma reads ef_search when it opens a collection: each value is a collection of its own.
    build_settings: ClassVar = {
        "url": str,
        "collection": str,
        "space": choice("l2", "ip", "cosine"),
        "ef_construction": positive,
        "max_neighbors": positive,
        "ef_search": positive,
        "sync_threshold": positive,
    }

    def build_with_slots(self, vectors: Floats, ids: Sequence[str], slots: Sequence[int]) -> None:
        """Create a collection and add all vectors, with the slots as metadata."""
        self._slots = dict(zip(ids, slots, strict=True))
        if "url" not in self.settings:
            self._folder = self.held.enter_context(scratch_folder("chroma"))
        with self.telling(f"build a collection of {len(ids):,} vectors"):
            self._client = self._connect()
            self.held.callback(self._disconnect)
            self._collection = self._client.create_collection(
                f"embedqa-{secrets.token_hex(8)}",
                configuration={"hnsw": self._kept() if "collection" in self.settings else self.given(*_HNSW)},
                embedding_function=None,
            )
            if "url" in self.settings:
                name = self._collection.name
                self.held.callback(remove_from_server, name, lambda: self._client.delete_collection(name))
            self.add(vectors, ids)

    def search(self, queries: Floats, k: int) -> Hits:
        """Search all queries."""
        return self._found(queries, k)

    def search_below(self, queries: Floats, k: int, slot: int) -> Hits:
        """Search under a filter on metadata."""
        return self._found(queries, k, {"slot": {"$lt": slot}})

    def add(self, vectors: Floats, ids: Sequence[str]) -> None:
        """Add rows, as many at a time as Chroma takes."""
        size = self._client.get_max_batch_size()
        for start in range(0, len(ids), size):
            some = list(ids[start : start + size])
            self._collection.add(
                ids=some,
                embeddings=vectors[start : start + size],
                metadatas=[{"slot": self._slots[id_]} for id_ in some],
            )

    def remove(self, ids: Sequence[str]) -> None:
        """Delete rows, as many at a time as Chroma takes."""
        size = self._client.get_max_batch_size()
        for start in range(0, len(ids), size):
            self._collection.delete(ids=list(ids[start : start + size]))

    def reopen(self) -> None:
        """Close the client, and get the collection from a new one."""
        self._disconnect()
        self._client = self._connect()
        self._collection = self._client.get_collection(self._collection.name, embedding_function=None)

    def proof(self, queries: Floats, k: int) -> str:
        """Show that the collection has the settings given, and that its graph is not searched whole."""
        kept = self._client.get_collection(self._collection.name, embedding_function=None).configuration_json["hnsw"]
        self._require_given(kept, "the new collection")
        self.require_effect("ef_search", k)
        rows, width = self._collection.count(), max(kept["ef_search"], k)
        if rows <= width:
            raise NotTheIndexError(
                f"Chroma: exact search, not the index: ef_search={width} looks at all of the {rows} rows. rows= grows the data."
            )
        wider = [ids[:k] for ids in self.search(queries, min(rows, _WIDER * width))]
        changed = sum(one != other for one, other in zip(self.search(queries, k), wider, strict=True))
        return (
            f"Chroma: the index has {', '.join(f'{name}={value}' for name, value in kept.items())}; "
            f"a wider search changes what {changed} of {len(wider)} queries find."
        )

    def size(self) -> int | None:
        """Return the bytes of the folder; ``None`` on a server."""
        return None if "url" in self.settings else folder_size(self._folder)

    def raised(self) -> tuple[type[Exception], ...]:
        """Return Chroma's exceptions."""
        from chromadb.errors import ChromaError

        return ChromaError, ValueError

    def _found(self, queries: Floats, k: int, where: Any = None) -> Hits:
        with self.telling("search"):
            found: Hits = self._collection.query(query_embeddings=queries, n_results=k, where=where, include=[])["ids"]
        return found

    def _connect(self) -> Any:  # a client of Chroma
        import chromadb
        from chromadb.config import Settings

        settings = Settings(anonymized_telemetry=False)
        if "url" in self.settings:
            return chromadb.HttpClient(host=self.settings["url"], settings=settings)
        return chromadb.PersistentClient(path=self._folder, settings=settings)

    def _disconnect(self) -> None:
        self._client.close()

    def _kept(self) -> dict[str, Any]:
        """Return the settings of the collection that the test is about."""
        name = self.settings["collection"]
        kept = self._client.get_collection(name, embedding_function=None).configuration_json["hnsw"]
        self._require_given(kept, f"the collection '{name}'")
        return {setting: kept[setting] for setting in _HNSW}

    def _require_given(self, kept: Mapping[str, Any], where: str) -> None:
        for name, value in self.given(*_HNSW).items():
            if kept.get(name) != value:
                raise NotTheIndexError(
                    f"Chroma: {name}={value} has no effect: {where} has {name}={kept.get(name)}. get_or_create_collection "
                    "keeps the settings of a collection that exists, and ignores those given; modify() changes some of them."
                )

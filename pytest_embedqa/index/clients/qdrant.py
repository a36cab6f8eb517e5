"""Qdrant: a collection of its own on a running server."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pytest_embedqa.core.errors import IndexFaultError, NotTheIndexError
from pytest_embedqa.core.measures import Floats
from pytest_embedqa.core.vector_index import Hits
from pytest_embedqa.encoders.values import choice, natural, positive
from pytest_embedqa.index.client import TableClient, remove_from_server

_HNSW = ("m", "ef_construct", "full_scan_threshold", "payload_m")
_OPTIMIZERS = ("indexing_threshold", "default_segment_number", "max_segment_size")
_BATCH = 500
_WIDE = 4096
# Seconds to wait for the optimizers, and between two looks; a collection that stays green so many times is ready.
_PATIENCE, _PAUSE, _LOOKS = 1800, 0.3, 3


class QdrantIndex(TableClient):
    """``qdrant?url=http://HOST:PORT&m=&hnsw_ef=&...``; the key of the server is read from ``QDRANT_API_KEY``."""

    name = "Qdrant"
    package, extra, kinds = "qdrant_client", "qdrant", ("hnsw",)
    build_settings: ClassVar = {
        "url": str,
        "distance": choice("Cosine", "Dot", "Euclid", "Manhattan"),
        "datatype": choice("float32", "float16", "uint8"),
        "m": natural,
        "ef_construct": positive,
        "full_scan_threshold": natural,
        "payload_m": natural,
        "indexing_threshold": natural,
        "default_segment_number": natural,
        "max_segment_size": positive,
    }
    search_settings: ClassVar = {"hnsw_ef": positive}

    def build_with_slots(self, vectors: Floats, ids: Sequence[str], slots: Sequence[int]) -> None:
        """Create a collection, add all vectors with their slots as payload, and wait for the optimizers."""
        from qdrant_client import models

        if "url" not in self.settings:
            raise NotTheIndexError(
                "Qdrant: exact search, not the index: the local mode of qdrant-client has none. "
                "Start a server and name it, e.g. qdrant?url=http://127.0.0.1:6333."
            )
        self._slots = dict(zip(ids, slots, strict=True))
        # Qdrant takes numbers and UUIDs as ids.
        self._ids = list(ids)
        self._points = {id_: number for number, id_ in enumerate(ids)}
        self._name = f"embedqa-{secrets.token_hex(8)}"
        distance = self.settings.get("distance", "Dot" if self.similarity == "dot" else "Cosine")
        datatype = self.given("datatype")
        with self.telling(f"build a collection of {len(ids):,} vectors"):
            self._client = self._connect()
            self.held.callback(self._client.close)
            self._client.create_collection(
                self._name,
                vectors_config=models.VectorParams(size=vectors.shape[1], distance=distance, **datatype),
                hnsw_config=models.HnswConfigDiff(**self.given(*_HNSW)),
                optimizers_config=models.OptimizersConfigDiff(**self.given(*_OPTIMIZERS)),
            )
            self.held.callback(remove_from_server, self._name, lambda: self._client.delete_collection(self._name))
            self.add(vectors, ids)

    def search(self, queries: Floats, k: int) -> Hits:
        """Search each query."""
        return self._found(queries, k)

    def search_below(self, queries: Floats, k: int, slot: int) -> Hits:
        """Search under a filter on the payload."""
        from qdrant_client import models

        below = models.FieldCondition(key="slot", range=models.Range(lt=slot))
        return self._found(queries, k, models.Filter(must=[below]))

    def add(self, vectors: Floats, ids: Sequence[str]) -> None:
        """Upsert points, and wait for the optimizers."""
        from qdrant_client import models

        for start in range(0, len(ids), _BATCH):
            some = ids[start : start + _BATCH]
            points = models.Batch(
                ids=[self._points[id_] for id_ in some],
                vectors=vectors[start : start + _BATCH].tolist(),
                payloads=[{"slot": self._slots[id_]} for id_ in some],
            )
            self._client.upsert(self._name, points=points, wait=True)
        self._wait()

    def remove(self, ids: Sequence[str]) -> None:
        """Delete points, and wait for the optimizers."""
        from qdrant_client import models

        points = models.PointIdsList(points=[self._points[id_] for id_ in ids])
        self._client.delete(self._name, points_selector=points, wait=True)
        self._wait()

    def tune(self, settings: Mapping[str, Any]) -> None:
        """Search with these settings from now on."""
        self.settings.update(settings)

    def proof(self, queries: Floats, k: int) -> str:
        """Show that vectors are indexed, that the collection has the settings given, and that hnsw_ef counts."""
        self.require_effect("hnsw_ef", k)
        info = self._client.get_collection(self._name)
        if not info.indexed_vectors_count:
            raise NotTheIndexError(
                f"Qdrant: exact search, not the index: none of the {info.points_count} vectors is indexed. A segment is from "
                f"indexing_threshold={info.config.optimizer_config.indexing_threshold} kB up: lower it, or grow the data by rows=."
            )
        kept = {**info.config.hnsw_config.model_dump(), **info.config.optimizer_config.model_dump()}
        kept["datatype"] = info.config.params.vectors.datatype
        for name, value in self.given(*_HNSW, *_OPTIMIZERS, "datatype").items():
            if kept[name] != value:
                raise NotTheIndexError(f"Qdrant: {name}={value} has no effect: the collection has {name}={kept[name]}.")
        if self._found(queries, k, hnsw_ef=1) == self._found(queries, k, hnsw_ef=_WIDE):
            raise NotTheIndexError(
                f"Qdrant: exact search, not the index: hnsw_ef=1 and hnsw_ef={_WIDE} find the same. A segment is scanned up to "
                f"full_scan_threshold={kept['full_scan_threshold']} kB: lower it, or grow the data by rows=."
            )
        return f"Qdrant: {info.indexed_vectors_count:,} of {info.points_count:,} vectors are indexed, and hnsw_ef changes what is found."

    def _connect(self) -> Any:  # a QdrantClient
        from qdrant_client import QdrantClient

        return QdrantClient(url=self.settings["url"], api_key=os.environ.get("QDRANT_API_KEY"), timeout=_PATIENCE)

    def raised(self) -> tuple[type[Exception], ...]:
        """Return Qdrant's exceptions."""
        from qdrant_client.common.client_exceptions import QdrantException
        from qdrant_client.http.exceptions import ApiException

        return ApiException, QdrantException, ValueError

    def _found(self, queries: Floats, k: int, only: Any = None, **params: int) -> Hits:
        from qdrant_client import models

        searched = models.SearchParams(**{**self.given("hnsw_ef"), **params})
        requests = [
            models.QueryRequest(query=query, limit=k, filter=only, params=searched) for query in queries.tolist()
        ]
        with self.telling("search"):
            answers = self._client.query_batch_points(self._name, requests=requests)
        return [[self._ids[point.id] for point in answer.points] for answer in answers]

    def _wait(self) -> None:
        """Wait until the optimizers are done.

        Raises:
            IndexFaultError: If they fail, or go on for too long.
        """
        end, looks = time.monotonic() + _PATIENCE, 0
        while looks < _LOOKS:
            status = str(self._client.get_collection(self._name).status.value)
            looks = looks + 1 if status == "green" else 0
            if status == "red" or time.monotonic() > end:
                raise IndexFaultError(
                    f"Qdrant: the optimizers of the collection ended {status}. The log of the server says why."
                )
            time.sleep(_PAUSE)

"""A server that speaks Qdrant's HTTP API, with Qdrant's own engine behind it: ``python qdrant_server.py PORT FOLDER``.

Qdrant's server is in no package registry; its engine is, as ``qdrant-edge-py``. It builds the same segments and graphs by
the same thresholds. This process takes the requests of ``qdrant-client`` that the index ``qdrant`` makes.
"""

from __future__ import annotations

import json
import shutil
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock

import qdrant_edge as edge

# As the server's configuration file has them.
HNSW = {"m": 16, "ef_construct": 100, "full_scan_threshold": 10_000}
OPTIMIZERS = {
    "deleted_threshold": 0.2,
    "vacuum_min_vector_number": 1000,
    "default_segment_number": 0,
    "indexing_threshold": 10_000,
}
COLLECTIONS = {}
FOLDER = Path(sys.argv[2])
LOCK = Lock()


def create(name, body):
    """Create a collection."""
    hnsw = HNSW | {key: value for key, value in (body.get("hnsw_config") or {}).items() if value is not None}
    given = {key: value for key, value in (body.get("optimizers_config") or {}).items() if value is not None}
    optimizers, vectors = OPTIMIZERS | given, body["vectors"]
    datatype = {None: None, "float16": edge.VectorStorageDatatype.Float16}[vectors.get("datatype")]
    config = edge.EdgeConfig(
        vectors=edge.EdgeVectorParams(vectors["size"], getattr(edge.Distance, vectors["distance"]), datatype=datatype),
        hnsw_config=edge.HnswIndexConfig(**hnsw),
        optimizers=edge.EdgeOptimizersConfig(**optimizers),
    )
    (FOLDER / name).mkdir()
    shard = edge.EdgeShard.create(str(FOLDER / name), config)
    kept = {
        "params": {"vectors": vectors},
        "hnsw_config": hnsw,
        "optimizer_config": {"flush_interval_sec": 5, **optimizers},
    }
    COLLECTIONS[name] = shard, kept
    return True


def describe(name, _):
    """Describe a collection, after its optimizers; the server runs them in the background."""
    shard, config = COLLECTIONS[name]
    shard.optimize()
    info = shard.info()
    return {
        "status": "green",
        "optimizer_status": "ok",
        "indexed_vectors_count": info.indexed_vectors_count,
        "points_count": info.points_count,
        "segments_count": info.segments_count,
        "config": config,
        "payload_schema": {},
    }


def upsert(name, body):
    """Upsert points."""
    batch = body["batch"]
    rows = zip(batch["ids"], batch["vectors"], batch["payloads"], strict=True)
    COLLECTIONS[name][0].update(edge.UpdateOperation.upsert_points([edge.Point(*row) for row in rows]))
    return {"operation_id": 0, "status": "completed"}


def delete_points(name, body):
    """Delete points."""
    COLLECTIONS[name][0].update(edge.UpdateOperation.delete_points(body["points"]))
    return {"operation_id": 0, "status": "completed"}


def query(name, body):
    """Answer a batch of queries."""
    return [{"points": [found(point) for point in search(name, one)]} for one in body["searches"]]


def search(name, one):
    """Search for one query."""
    only = None
    if one.get("filter"):
        [condition] = one["filter"]["must"]
        below = edge.RangeFloat(lt=condition["range"]["lt"])
        only = edge.Filter(must=[edge.FieldCondition(condition["key"], range=below)])
    params = edge.SearchParams(hnsw_ef=(one.get("params") or {}).get("hnsw_ef"))
    nearest = edge.Query.Nearest(one["query"]["nearest"])
    return COLLECTIONS[name][0].search(edge.SearchRequest(nearest, one["limit"], filter=only, params=params))


def found(point):
    """Return a point as the API has it."""
    return {"id": point.id, "version": point.version, "score": point.score}


def delete(name, _):
    """Delete a collection."""
    COLLECTIONS.pop(name)[0].close()
    shutil.rmtree(FOLDER / name)
    return True


def names(_, __):
    """Return the names of all collections."""
    return {"collections": [{"name": name} for name in COLLECTIONS]}


ROUTES = {
    ("PUT", ""): create,
    ("GET", ""): describe,
    ("DELETE", ""): delete,
    ("PUT", "/points"): upsert,
    ("POST", "/points/delete"): delete_points,
    ("POST", "/points/query/batch"): query,
}


class Handler(BaseHTTPRequestHandler):
    """The API."""

    def handle_one(self):
        """Answer a request."""
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        path = self.path.partition("?")[0]
        if path == "/":
            return self.answer(200, {"title": "qdrant", "version": "1.20.0"})
        _, _, name, rest = f"{path}//".split("/", 3)
        route = ROUTES[self.command, f"/{rest}".rstrip("/")] if name else names
        with LOCK:
            if route not in {create, names} and name not in COLLECTIONS:
                return self.answer(404, {"status": {"error": f"Not found: Collection `{name}` doesn't exist!"}})
            try:
                return self.answer(200, {"result": route(name, body), "status": "ok", "time": 0.0})
            except Exception as error:  # noqa: BLE001  whatever the engine says
                return self.answer(400, {"status": {"error": str(error)}})

    def answer(self, status, said):
        """Send JSON."""
        text = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_PUT = do_POST = do_DELETE = handle_one  # noqa: N815  names of the base class

    def log_message(self, *_):
        """Say nothing."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()

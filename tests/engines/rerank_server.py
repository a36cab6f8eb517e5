"""A server of a rerank API in any of its shapes, which misbehaves as it is told.

A fault is shown once ``arm()`` was called; a habit from the first request on.
"""

from __future__ import annotations

import contextlib
import json
import math
import random
import threading
import time
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "fake"
MOST_DOCUMENTS = 4
LONGEST = 200
# The endpoints of each server, and whether its scores are probabilities.
PATHS = {
    "vllm": ("/score", "/rerank", "/v1/rerank", "/v2/rerank"),
    "cohere": ("/v2/rerank",),
    "jina": ("/v1/rerank",),
    "tei": ("/rerank",),
    "llamacpp": ("/rerank", "/v1/rerank"),
    "sglang": ("/v1/rerank",),
    "voyage": ("/v1/rerank",),
}
_SIGMOIDS = {"vllm", "cohere", "jina", "tei", "sglang", "voyage"}
STATUSES = {"400": 400, "401": 401, "403": 403, "413": 413, "422": 422, "429": 429, "500": 500, "503": 503}


def logit(query: str, document: str) -> float:
    """The right score of a pair before any sigmoid: the share of the query's letters that it has, and a little of its own."""
    letters = set(query.lower())
    shared = len(letters & set(document.lower())) / max(1, len(letters))
    return 6 * shared - 3 + zlib.crc32(f"{query}|{document}".encode()) / 2**34


def sigmoid(score: float) -> float:
    """A probability."""
    return 1 / (1 + math.exp(-score))


class RerankServer(ThreadingHTTPServer):
    """Answers rightly in the shape of a real server, unless it is told otherwise."""

    daemon_threads = True

    def __init__(self, shape: str, fault: str, times: int) -> None:
        """Listen on a free port."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.shape, self.fault, self.left = shape, fault, times
        self.requests: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()
        self.lock = threading.Lock()
        self.armed = False

    @property
    def url(self) -> str:
        """Its address, without a path."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def arm(self) -> None:
        """Begin to misbehave: loading an engine asks for a few scores, which come before."""
        self.armed = True


class _Handler(BaseHTTPRequestHandler):
    server: RerankServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        """What the server tells of itself."""
        if self.path == "/v1/models" and self.server.shape in {"vllm", "llamacpp"}:
            self._send(
                200, {"object": "list", "data": [{"id": MODEL, "owned_by": self.server.shape, "max_model_len": 64}]}
            )
        elif self.path == "/info" and self.server.shape == "tei":
            self._send(200, {"model_id": MODEL, "model_dtype": "float16", "max_input_length": 96, "version": "1.9.0"})
        else:
            self._send(404, {"detail": "Not Found"})

    def do_POST(self) -> None:
        """Scores, a refusal, or a fault."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        shape, path = self.server.shape, self.path.partition("?")[0]
        if path not in PATHS[shape] or (self.server.fault == "below v1 alone" and not path.startswith("/v")):
            self._send(404, {"detail": "Not Found"})
            return
        with self.server.lock:
            self.server.requests.append({"path": path, **body})
            self.server.keys.add(self.headers["Authorization"])
            faulty = self.server.armed and self.server.left > 0
            self.server.left -= faulty
        pairs = _pairs(shape, path, body)
        if pairs is None:
            self._send(
                422, {"error": "Failed to deserialize the JSON body into the target type", "error_type": "Validation"}
            )
        elif shape == "voyage" and "top_n" in body:
            self._send(400, {"detail": "Argument 'top_n' is not supported by our API"})
        elif refused := _refusal(self.server.fault, pairs):
            self._send(*refused)
        else:
            rows = self._rows(body, pairs)
            self._misbehave(rows, pairs) if faulty else self._answer(rows, pairs)

    def _rows(self, body: dict[str, Any], pairs: list[tuple[str, str]]) -> list[dict[str, Any]]:
        shape, habit = self.server.shape, self.server.fault
        raw = shape not in _SIGMOIDS or body.get("raw_scores") or body.get("use_activation") is False
        if habit == "ignores raw":
            raw = False
        scores = [logit(*pair) if raw else sigmoid(logit(*pair)) for pair in pairs]
        if habit == "constant":
            scores = [0.8] * len(scores)
        if habit == "sigmoid twice":
            scores = [sigmoid(sigmoid(logit(*pair))) for pair in pairs]
        if habit == "steep":  # as a sigmoid of a large model
            scores = [1.0 if logit(*pair) > 2 else sigmoid(logit(*pair)) for pair in pairs]
        name = "score" if shape in {"tei", "sglang"} or self.path.endswith("/score") else "relevance_score"
        rows = [{"index": place, name: score} for place, score in enumerate(scores)]
        if shape == "vllm" and name == "relevance_score":
            rows = [{**row, "document": {"text": pairs[row["index"]][1]}} for row in rows]
        if habit == "shuffled":
            random.shuffle(rows)
        elif not self.path.endswith("/score") and habit != "unsorted":
            rows.sort(key=lambda row: -row[name])
        top = body.get("top_n") or len(rows)
        if habit == "three by default":
            top = body.get("top_n") or 3
        return rows[: 3 if habit == "three at most" else top]

    def _answer(self, rows: list[dict[str, Any]], pairs: list[tuple[str, str]]) -> None:
        shape = self.server.shape
        count = sum(len(query.split()) + len(document.split()) for query, document in pairs)
        if self.server.fault == "cuts" and self.server.armed:
            count -= 5
        if shape in {"tei", "sglang"}:
            self._send(200, rows)
        elif self.path.endswith("/score") or shape == "voyage":
            self._send(200, {"object": "list", "data": rows, "usage": {"total_tokens": count}})
        elif shape == "cohere":
            self._send(
                200, {"id": "1", "message": "ok", "results": rows, "meta": {"billed_units": {"search_units": 1}}}
            )
        else:
            self._send(200, {"model": MODEL, "usage": {"prompt_tokens": count, "total_tokens": count}, "results": rows})

    def _misbehave(self, rows: list[dict[str, Any]], pairs: list[tuple[str, str]]) -> None:  # noqa: C901, PLR0912  a branch for each fault
        fault = self.server.fault
        name = "score" if "score" in rows[0] else "relevance_score"
        values = {
            "nan": float("nan"),
            "infinity": float("inf"),
            "string": "0.5",
            "null": None,
            "true": True,
            "beyond": 10**400,
        }
        if fault in STATUSES:
            self._send(
                STATUSES[fault],
                {"error": {"message": f"error {fault}"}},
                {"Retry-After": "1"} if fault == "429" else {},
            )
        elif fault in values:
            self._answer([{**rows[0], name: values[fault]}, *rows[1:]], pairs)
        elif fault == "no index":
            self._answer([{name: row[name]} for row in rows], pairs)
        elif fault == "one index missing":
            self._answer([{name: rows[0][name]}, *rows[1:]], pairs)
        elif fault == "index as text":
            self._answer([{**row, "index": str(row["index"])} for row in rows], pairs)
        elif fault == "twice":
            self._answer([{**rows[0], "index": rows[1]["index"]}, *rows[1:]], pairs)
        elif fault == "out of range":
            self._answer([{**row, "index": row["index"] + 1} for row in rows], pairs)
        elif fault == "one more":
            self._answer([*rows, {**rows[0], "index": len(rows)}], pairs)
        elif fault == "cut":
            self._answer(rows[:-1], pairs)
        elif fault == "empty":
            self._answer([], pairs)
        elif fault == "bare scores":
            self._answer([row[name] for row in rows], pairs)
        elif fault == "no score":
            self._answer([{"index": row["index"]} for row in rows], pairs)
        elif fault == "other keys":
            self._send(200, {"scores": [row[name] for row in rows]})
        elif fault == "html":
            self._raw(200, b"<html><title>Bad gateway</title></html>", "text/html")
        elif fault == "error in 200":
            self._send(200, {"error": {"message": "the provider said nothing"}})
        elif fault == "truncated json":
            self._raw(200, json.dumps({"results": rows}).encode()[:-20], "application/json")
        elif fault == "redirect":
            self._send(307, {}, {"Location": "http://elsewhere.test/rerank"})
        elif fault == "drop":
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(2)
        elif fault == "drip":
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            with contextlib.suppress(OSError):
                for _ in range(100):
                    self.wfile.write(b" ")
                    time.sleep(0.05)
        else:
            self._answer(rows, pairs)

    def _send(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        self._raw(status, json.dumps(body).encode(), "application/json", headers)

    def _raw(self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _pairs(shape: str, path: str, body: dict[str, Any]) -> list[tuple[str, str]] | None:
    """The pairs of a request, or none if it is not in the shape of this server."""
    if path.endswith("/score"):
        return list(zip(body["text_1"], body["text_2"], strict=True)) if "text_1" in body else None
    keys = {"tei": ["texts"], "llamacpp": ["documents", "texts"]}.get(shape, ["documents"])
    documents = next((body[key] for key in keys if key in body), None)
    return None if documents is None else [(body["query"], document) for document in documents]


def _refusal(habit: str, pairs: list[tuple[str, str]]) -> tuple[int, Any] | None:
    """What a server with this habit says to a request that it does not take."""
    documents = [document for _, document in pairs]
    refusals = {
        "few at a time": (len(pairs) > MOST_DOCUMENTS, 422, {"error": "batch size 8 > maximum allowed batch size 4"}),
        "payload": (len(pairs) > MOST_DOCUMENTS, 413, {"error": "payload"}),
        "too long, 400": (any(len(one) > LONGEST for one in documents), 400, {"error": {"message": "maximum context length is 64 tokens"}}),
        "too long, 413": (any(len(one) > LONGEST for one in documents), 413, {"error": "`inputs` must have less than 512 tokens"}),
        "too long, 422": (any(len(one) > LONGEST for one in documents), 422, {"detail": "document 3 is too long"}),
        "too long, 500": (any(len(one) > LONGEST for one in documents), 500, {"error": {"message": "input (107 tokens) is too large to process"}}),
        "no empty text": (not all(map(str.strip, documents)), 422, {"error": "`inputs` cannot be empty"}),
    }  # fmt: skip
    refused, *answer = refusals.get(habit, (False,))
    return (answer[0], answer[1]) if refused else None


@contextlib.contextmanager
def serving(shape: str = "jina", fault: str = "", times: int = 10**9) -> Iterator[RerankServer]:
    """A server that runs until the context ends.

    Args:
        shape: Whose shape it has, a key of ``PATHS``.
        fault: The fault, or the habit; none by default.
        times: Requests after ``arm()`` that show the fault.
    """
    server = RerankServer(shape, fault, times)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()

"""An OpenAI-compatible server that misbehaves as it is told: one fault, for the first requests or for all."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import random
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

DIM = 8
MODEL = "fake"


def vector(text: str) -> np.ndarray:
    """The right vector of a text."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).standard_normal(DIM).astype(np.float32)


class FaultServer(ThreadingHTTPServer):
    """Answers rightly, except for the first ``times`` requests."""

    daemon_threads = True

    def __init__(self, fault: str, times: int, owner: str) -> None:
        """Listen on a free port."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.fault, self.left, self.owner = fault, times, owner
        self.requests: list[dict[str, Any]] = []
        self.keys: set[str] = set()
        self.lock = threading.Lock()
        self.armed = False

    @property
    def url(self) -> str:
        """Base URL of the API."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def arm(self) -> None:
        """Begin to misbehave: loading an engine asks for one vector, which comes before."""
        self.armed = True


class _Handler(BaseHTTPRequestHandler):
    server: FaultServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        """The list of models."""
        self._send(200, {"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": self.server.owner}]})

    def do_POST(self) -> None:
        """Vectors, or a fault."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.requests.append(body)
            self.server.keys.add(self.headers["Authorization"])
            faulty = self.server.armed and self.server.left > 0
            self.server.left -= faulty
        texts = [str(one) for one in body["input"]]
        rows = [
            {"object": "embedding", "index": index, "embedding": base64.b64encode(vector(text).tobytes()).decode()}
            for index, text in enumerate(texts)
        ]
        if self.server.fault == "large" and len(texts) > 4:
            self._send(413, {"error": {"message": "payload"}})
        elif self.server.fault == "large batch" and len(texts) > 4:
            self._send(422, {"error": {"message": "batch size 16 > maximum allowed batch size 4"}})
        elif self.server.fault == "shuffled":
            time.sleep(random.random() / 50)  # so that requests end in another order
            self._answer(random.sample(rows, len(rows)))
        elif self.server.fault == "lists":
            self._answer([{**row, "embedding": vector(text).tolist()} for row, text in zip(rows, texts, strict=True)])
        elif faulty:
            self._misbehave(self.server.fault, rows)
        else:
            self._answer(rows)

    def _misbehave(self, fault: str, rows: list[dict[str, Any]]) -> None:  # noqa: C901, PLR0912  a branch for each fault
        errors = {"401": 401, "404": 404, "429": 429, "500": 500, "503": 503}
        wrong = np.full(DIM, np.nan, np.float32)
        if fault == "drop":
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(2)
        elif fault == "slow":
            time.sleep(3)
            with contextlib.suppress(OSError):
                self._answer(rows)
        elif fault in errors:
            headers = {"Retry-After": "1"} if fault == "429" else {}
            self._send(errors[fault], {"error": {"message": f"error {fault}"}}, headers)
        elif fault == "out of memory":
            self._send(400, {"error": {"message": "CUDA out of memory"}})
        elif fault == "too long":
            self._send(400, {"error": {"message": "maximum context length is 256 tokens"}})
        elif fault == "truncated json":
            self._raw(200, json.dumps({"data": rows}).encode()[:-20], "application/json")
        elif fault == "html":
            self._raw(200, b"<html>Bad gateway</html>", "text/html")
        elif fault == "count":
            self._answer(rows[:-1])
        elif fault == "empty":
            self._answer([])
        elif fault == "twice":
            self._answer([{**row, "index": 0} for row in rows])
        elif fault == "dimension":
            self._answer([{**row, "embedding": base64.b64encode(vector("x")[:-1].tobytes()).decode()} for row in rows])
        elif fault == "nan":
            self._answer([{**row, "embedding": base64.b64encode(wrong.tobytes()).decode()} for row in rows])
        elif fault == "null":
            self._answer([{**row, "embedding": [None] * DIM} for row in rows])
        else:
            raise AssertionError(fault)

    def _answer(self, rows: list[dict[str, Any]]) -> None:
        self._send(
            200, {"object": "list", "model": MODEL, "data": rows, "usage": {"prompt_tokens": 1, "total_tokens": 1}}
        )

    def _send(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        self._raw(status, json.dumps(body).encode(), "application/json", headers)

    def _raw(self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def serving(fault: str = "", times: int = 10**9, owner: str = "tests") -> Iterator[FaultServer]:
    """A server that runs until the context ends."""
    server = FaultServer(fault, times, owner)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()

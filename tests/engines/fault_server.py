"""An OpenAI-compatible server that misbehaves as it is told, or is as particular as real ones are.

A fault is shown for the first requests after ``arm()``, or for all; a habit from the first request on.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import random
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

DIM = 8
MODEL = "fake"
# How servers say that a request has too many texts: status and body.
TOO_MANY = {
    "at most": (400, {"error": {"message": "Invalid request: total number of texts must be at most 4"}}),
    "range": (422, {"detail": [{"loc": ["body", "input"], "msg": "input array length must be in range [1, 4]"}]}),
    "batch": (400, [{"error": {"code": 400, "message": "at most 4 requests can be in one batch"}}]),
    "larger": (400, {"code": "InvalidParameter", "message": "batch size is invalid, it should not be larger than 4."}),
    "payload": (413, {"error": {"message": "payload"}}),
    "server": (500, {"error": "Batch size of 8 exceeds the maximum of 4"}),
    "in a 200": (200, {"error": {"message": "too many inputs", "code": 400}}),
}
LONGEST = 100


def vector(text: str) -> np.ndarray:
    """The right vector of a text."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).standard_normal(DIM).astype(np.float32)


def _base64(numbers: np.ndarray) -> str:
    return base64.b64encode(numbers.tobytes()).decode()


def _half(numbers: np.ndarray) -> str:
    return _base64(numbers.astype(np.float16))


class FaultServer(ThreadingHTTPServer):
    """Answers rightly, except for the first ``times`` requests."""

    daemon_threads = True

    def __init__(self, fault: str, times: int, *, port: int = 0, **given: Any) -> None:
        """Listen on a port, by default a free one; the rest is as ``serving`` has it."""
        super().__init__(("127.0.0.1", port), _Handler)
        self.fault, self.left = fault, times
        self.owner, self.models, self.base, self.tokenizer = (
            given[name] for name in ("owner", "models", "base", "tokenizer")
        )
        self.paths: list[str] = []
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
        """Health, and the list of models."""
        if self.path == "/health":
            self._send(200, {})
            return
        listed = [
            {"id": name, "object": "model", "owned_by": self.server.owner} for name in self.server.models or [MODEL]
        ]
        if self._known(f"{self.server.base}/models"):
            self._send(200, {"object": "list", "data": listed})

    def do_POST(self) -> None:
        """Vectors, a refusal, or a fault."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self._known(f"{self.server.base}/embeddings"):
            return
        with self.server.lock:
            self.server.requests.append(body)
            self.server.keys.add(self.headers["Authorization"])
            faulty = self.server.armed and self.server.left > 0
            self.server.left -= faulty
        if self.server.models and body["model"] not in self.server.models:
            # LiteLLM says it with 400.
            status = 400 if self.server.fault == "unknown is 400" else 404
            self._send(status, {"error": {"message": f"model {body['model']!r} not found"}})
        elif refused := _refusal(self.server.fault, body):
            self._send(*refused)
        elif self.server.fault == "breaks for a while" and self._breaks(body["input"]):
            self._send(500, {"error": {"message": "slot unavailable"}})
        elif self.server.fault == "too long" and faulty and any(len(text) > LONGEST for text in body["input"]):
            self._send(400, {"error": {"message": "maximum context length is 256 tokens"}})
        elif self.server.fault == "shuffled":
            time.sleep(random.random() / 50)  # so that requests end in another order
            self._answer(random.sample(self._rows(body), len(body["input"])))
        elif faulty and self.server.fault != "too long":
            self._misbehave(self.server.fault, self._rows(body))
        else:
            self._answer(_indexed(self.server.fault, self._rows(body)))

    def _breaks(self, texts: list[str]) -> bool:
        """One text breaks every request that has others, and the first that has it alone."""
        alone = sum(request["input"] == ["poison"] for request in self.server.requests)
        return "poison" in texts and (len(texts) > 1 or alone == 1)

    def _known(self, path: str) -> bool:
        self.server.paths.append(self.path)
        asked = self.path.partition("?")[0]
        if asked != path and self.server.fault == "web page":
            self._raw(200, b"<!DOCTYPE html><html><head><title>My &amp; models</title></head></html>", "text/html")
        elif asked != path:
            self._send(404, {"detail": "Not Found"})
        return asked == path

    def _rows(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        """A row for each text; with a tokenizer, a text and its token ids are the same."""
        tokens = self.server.tokenizer
        texts = [str(tokens.encode(one).ids if tokens and isinstance(one, str) else one) for one in body["input"]]
        habit = self.server.fault
        exact = body.get("encoding_format") == "base64" and habit != "lists"
        written = _half if habit == "half base64" else _base64
        return [
            {
                "object": "embedding",
                "index": index,
                "embedding": (written if exact else np.ndarray.tolist)(vector(text)),
            }
            for index, text in enumerate(texts)
        ]

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
            self._send(
                errors[fault], {"error": {"message": f"error {fault} for {self.headers['Authorization']}"}}, headers
            )
        elif fault == "out of memory":
            self._send(400, {"error": {"message": "CUDA out of memory"}})
        elif fault == "refuses all":
            self._send(400, {"error": {"message": "your plan is used up"}})
        elif fault == "error in 200":
            self._send(200, {"error": {"message": "the provider said nothing", "code": None}})
        elif fault == "limit in 200":
            self._send(200, {"error": {"message": "rate limit of your plan", "code": 429}})
        elif fault == "truncated json":
            self._raw(200, json.dumps({"data": rows}).encode()[:-20], "application/json")
        elif fault == "html":
            self._raw(200, b"<html>Bad gateway</html>", "text/html")
        elif fault == "count":
            self._answer(rows[:-1])
        elif fault == "empty":
            self._answer([])
        elif fault == "nested":
            self._answer([{**row, "embedding": [[1.0] * DIM] * 3} for row in rows])
        elif fault == "top level":
            self._send(200, {"embeddings": [row["embedding"] for row in rows]})
        elif fault == "row without a vector":
            self._answer([{"index": 0, "error": "the provider gave none"}, *rows[1:]])
        elif fault == "bare vectors":
            self._answer([row["embedding"] for row in rows])
        elif fault == "index missing":
            self._answer([*rows[:1], {**rows[1], "index": None}, *rows[2:]])
        elif fault == "twice":
            self._answer([{**row, "index": 0} for row in rows])
        elif fault == "dimension":
            self._answer([{**row, "embedding": _base64(vector("x")[:-1])} for row in rows])
        elif fault == "nan":
            self._answer([{**row, "embedding": _base64(wrong)} for row in rows])
        elif fault == "null":
            self._answer([{**row, "embedding": [None] * DIM} for row in rows])
        else:
            raise AssertionError(fault)

    def _answer(self, rows: list[dict[str, Any]]) -> None:
        self._send(
            200, {"object": "list", "model": MODEL, "data": rows, "usage": {"prompt_tokens": 1, "total_tokens": 1}}
        )

    def _send(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        self._raw(status, json.dumps(body).encode(), "application/json", headers)

    def _raw(self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _refusal(habit: str, body: dict[str, Any]) -> tuple[int, Any] | None:
    """What a server with this habit says to a request that it does not take."""
    encoding, texts = body.get("encoding_format"), body["input"]
    refusals = {
        "float only": (encoding != "float", 400, {"error": {"message": "encoding_format has no valid value"}}),
        "float only, 422": (
            encoding != "float",
            422,
            {"detail": [{"loc": ["body", "encoding_format"], "msg": "Input should be 'float'"}]},
        ),
        "no encoding": (encoding is not None, 400, {"error": {"message": "encoding_format is not supported"}}),
        "text only": (not all(isinstance(text, str) for text in texts), 400, {"error": {"message": "invalid input"}}),
        "no empty text": (
            not all(str(text).strip() for text in texts),
            400,
            {"error": {"message": "'$.input' is invalid"}},
        ),
        "one text breaks it": ("poison" in texts, 500, {"error": {"message": "input is larger than the batch"}}),
        **{name: (len(texts) > 4, *answer) for name, answer in TOO_MANY.items()},
    }
    refused, *answer = refusals.get(habit, (False,))
    return (answer[0], answer[1]) if refused else None


def _indexed(habit: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with their indexes as a server with this habit writes them."""
    without = [{key: value for key, value in row.items() if key != "index"} for row in rows]
    if habit == "no index":
        return without
    if habit == "null index":
        return [{**row, "index": None} for row in rows]
    return [*without[:1], *rows[1:]] if habit == "no zero" else rows


@contextlib.contextmanager
def serving(  # noqa: PLR0913, PLR0917  all that servers differ in
    fault: str = "",
    times: int = 10**9,
    owner: str = "tests",
    models: tuple[str, ...] = (),
    base: str = "/v1",
    tokenizer: Any = None,
) -> Iterator[FaultServer]:
    """A server that runs until the context ends.

    Args:
        fault: The fault, or the habit; none by default.
        times: Requests after ``arm()`` that show the fault.
        owner: Who owns the models.
        models: Their names; by default it answers to any.
        base: Path of the API.
        tokenizer: By which token ids are understood.
    """
    server = FaultServer(fault, times, owner=owner, models=models, base=base, tokenizer=tokenizer)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":  # a server that a test starts: port, and path of the API
    FaultServer(
        "", 0, port=int(sys.argv[1]), owner="tests", models=(), base=sys.argv[2], tokenizer=None
    ).serve_forever()

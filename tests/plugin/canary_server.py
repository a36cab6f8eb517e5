"""A server that repeats what it was sent: keys in errors of its several kinds, and in its log what it was started with.

    python canary_server.py PORT [--api-key KEY] [--fail]

A program of its own, so that it runs as users' servers do. The path of a request decides what is answered; vectors are
given to whom sends a query with ``key=``, or started it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sys
from array import array
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from urllib.parse import parse_qs, urlsplit


class Handler(BaseHTTPRequestHandler):
    """Answers by path."""

    protocol_version = "HTTP/1.1"
    started = False

    def do_GET(self) -> None:
        """Health and models; whatever else is asked is refused."""
        path = urlsplit(self.path).path
        if path == "/health":
            self._answer(200, {})
        elif path.endswith("/models"):
            self._answer(200, {"data": [{"id": "m"}]})
        else:
            self._answer(500, {"detail": f"it failed for {self.headers['Authorization']}"})

    def do_POST(self) -> None:
        """What the path says."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        key = f"{self.headers['Authorization']} {self.headers['X-Login']}"
        if "/quoted/" in path:
            self._answer(401, {"error": {"message": f"Incorrect API key provided: {key} at {self.path}"}})
        elif "/within/" in path:
            self._answer(200, {"error": {"message": f"no quota for {key}", "code": 400}})
        elif "/moved" in path:
            self._answer(302, {}, location=f"/login?next=1&ticket={self.headers['X-Login']}")
        elif "/search" in path:
            self._answer(500, {"detail": f"no index for {self.path} and {key}"})
        elif "/signin" in path and "refused" in body:
            self._answer(400, {"detail": f"wrong: {body}"})
        elif "/signin" in path:
            self._answer(200, {"token": os.environ["TICKET"]})
        elif "key" in query or self.started:
            texts = json.loads(body)["input"]
            rows = [{"index": row, "embedding": vector(text)} for row, text in enumerate(texts)]
            self._answer(200, {"data": rows})
        else:
            self._answer(403, {"error": {"message": f"no key in {self.path}"}})

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def _answer(self, status: int, answer: object, **headers: str) -> None:
        sent = json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Type": "application/json", "Content-Length": str(len(sent))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(sent)


def vector(text: str) -> str:
    """A vector of four dimensions, as OpenAI writes it."""
    random = Random(hashlib.sha256(text.encode()).hexdigest())
    return base64.b64encode(array("f", [random.gauss(0, 1) for _ in range(4)])).decode()


if __name__ == "__main__":
    told = {name: os.environ.get(name) for name in ("WORKER_TOKEN", "OPENAI_API_KEY")}
    sys.stderr.write(f"started as {sys.argv} with {told}\n")
    if "--fail" in sys.argv:
        sys.exit(3)
    Handler.started = "--api-key" in sys.argv
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    server.daemon_threads = True
    server.serve_forever()

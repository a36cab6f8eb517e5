"""A server of embeddings that has a child of its own, and comes to a moment of which it tells: ``ending_server.py PORT MOMENT FILE``."""

import json
import signal
import subprocess
import sys
import time
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT, MOMENT, FILE = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])


def arrived(moment: str) -> None:
    """Tell that the moment has come, where it is the one that is waited for."""
    if moment == MOMENT:
        FILE.write_text(moment)


class Handler(BaseHTTPRequestHandler):
    """Answers with vectors of eight numbers."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_args: object) -> None:
        """Say nothing."""

    def answer(self, status: int, body: object = None) -> None:
        """Send JSON."""
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        """Health, and the list of models."""
        if self.path == "/health":
            arrived("starting")
            self.answer(503 if MOMENT == "starting" else 200)
        elif self.path.endswith("/models"):
            if MOMENT == "loading":
                arrived("loading")
                time.sleep(600)
            self.answer(200, {"data": [{"id": "m", "owned_by": "test"}]})
        else:
            self.answer(404)

    def do_POST(self) -> None:
        """Vectors."""
        texts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
        if MOMENT in {"encoding", "hanging"} and texts[0].startswith("big"):
            arrived(MOMENT)
            time.sleep(1 if MOMENT == "encoding" else 600)
        vectors = [[byte / 255 for byte in sha256(text.encode()).digest()[:8]] for text in texts]
        self.answer(200, {"data": [{"index": row, "embedding": one} for row, one in enumerate(vectors)]})


def linger(_signal: int, _frame: object) -> None:
    """Take more time to end than anyone gives."""
    arrived("teardown")


if __name__ == "__main__":
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    FILE.with_name("pids").open("a").write(f"{child.pid}\n")
    if MOMENT == "teardown":
        signal.signal(signal.SIGTERM, linger)
    server = ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
    server.daemon_threads = True
    server.serve_forever()

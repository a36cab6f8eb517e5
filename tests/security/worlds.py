"""A project that a stranger has changed, and who hears of it when something leaves it."""

from __future__ import annotations

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from fork_server import ForkServer

HOST = "search.example.org"
# The value of an environment variable, and a line of a file outside the project.
SECRET, VARIABLE = "canary-of-the-environment", "EMBEDQA_CANARY"
OUTSIDE = "canary-outside-of-the-project"
# Every run goes without files of its own, and without a plugin of LangChain that has nothing to do with it.
PLAIN = ("-p", "no:cacheprovider", "-p", "no:langsmith_plugin", "--embedqa-store=off")

# A vector of letters: enough for any test to run, and loaded in no time.
BAG = """
import numpy as np

def encode(texts):
    vectors = np.zeros((len(texts), 26), dtype=np.float32)
    for row, text in enumerate(texts):
        for letter in text.lower():
            vectors[row, ord(letter) % 26] += 1
        vectors[row, 0] += 0.1
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
"""


class Answering(ThreadingHTTPServer):
    """Gives each request the same answer, and keeps what it was asked.

    Attributes:
        heard: Each request: address, headers and body, as one text.
        url: Its address.
    """

    daemon_threads = True

    def __init__(self, status=404, headers=(), body=b""):
        """Listen on a free port."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.headers, self.body = status, dict(headers), body
        self.heard = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        """Keep quiet."""

    def do_POST(self):
        """Keep what came, and answer."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.heard.append(f"{self.path}\n{self.headers}\n{body!r}")
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def do_GET(self):
        """As any other."""
        self.do_POST()

    def do_HEAD(self):
        """As any other."""
        self.do_POST()

    def do_CONNECT(self):
        """As any other."""
        self.do_POST()


def without_proxy() -> dict[str, str]:
    """The environment, with no proxy, and as on no CI."""
    return {name: value for name, value in os.environ.items() if "proxy" not in name.lower() and name != "CI"}


class World:
    """A project in which pytest runs, a folder outside of it, and all that shows what a run did.

    Attributes:
        project: The rootdir.
        outside: A folder beside it, with files that nothing in the project has a right to.
        proxy: Who hears of it when another host is asked.
    """

    def __init__(self, folder: Path, fork_server: ForkServer) -> None:
        """Make both folders; the fork server starts the runs."""
        self._fork_server = fork_server
        self.project, self.outside = folder / "project", folder / "outside"
        # Stands for all hosts but this machine.
        self.proxy = Answering()
        self._servers = [self.proxy]
        self.project.mkdir()
        self.outside.mkdir()
        self.write("pytest.ini", "[pytest]\n")
        self.write("bag.py", BAG)
        self.write("side_effect.py", f"import pathlib\npathlib.Path({str(self._trace('ran'))!r}).touch()\n{BAG}")
        self.write("starter.py", f"import pathlib\npathlib.Path({str(self._trace('started'))!r}).touch()\n")
        self.write("test_it.py", "def test_it(encoder):\n    encoder.encode(['a'], kind='document')\n")
        (self.outside / "secret.md").write_text(f"{OUTSIDE} and 30 days\n", encoding="utf-8")

    def serve(self, *answer) -> str:
        """Start a server on this machine that gives this answer; its address."""
        self._servers.append(Answering(*answer))
        return self._servers[-1].url

    def close(self) -> None:
        """Stop the servers."""
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def _trace(self, name: str) -> Path:
        return self.outside / f"trace-of-{name}"

    def write(self, name: str, text: str | bytes) -> Path:
        """A file of the project."""
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    @property
    def start(self) -> str:
        """A spec that starts a command."""
        return f"openai:m?start={sys.executable}+{self.project / 'starter.py'}+{{port}}&start_timeout=5"

    def run(self, *words: str, environment=()) -> str:
        """Run pytest in a process of its own; all that it prints."""
        told = {"XDG_CACHE_HOME": str(self.outside / "cache"), VARIABLE: SECRET, **dict(environment)}
        told |= {"HTTP_PROXY": self.proxy.url, "HTTPS_PROXY": self.proxy.url}
        return self._fork_server.ended(
            "-m", "pytest", *PLAIN, *words, folder=self.project, environment={**without_proxy(), **told}
        )[1]

    def happened(self, power: str, printed: str) -> bool:
        """Whether a run made use of a power.

        Args:
            power: As the table names it.
            printed: What it printed.
        """
        heard = "".join(self.proxy.heard)
        return {
            "run code": self._trace("ran").exists(),
            "start a process": self._trace("started").exists(),
            "reach a host": HOST in heard,
            "read an environment variable": SECRET in heard,
            "read a file outside the project": OUTSIDE in printed,
        }[power]


def probe_file(retrieve="by: bm25", corpus="documents"):
    """A probe file; its probe misses, so that the run prints what came back."""
    place = f"corpus: {json.dumps(str(corpus))}\n" if corpus else ""
    return f"{place}retrieve: {{{retrieve}}}\nprobes:\n  - {{name: a, ask: 30 days, expect: {{contains: no such words}}}}\n"


def asks(url, *headers):
    """The retrieve of a probe file that asks a server."""
    sent = ", ".join(f"H{number}: '{value}'" for number, value in enumerate(headers))
    return f"http: {{url: '{url}', headers: {{{sent}}}, body: {{q: '{{query}}'}}, hits: hits, text: text, timeout: 20}}"

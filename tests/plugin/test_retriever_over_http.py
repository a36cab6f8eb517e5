"""A search service over HTTP is held to graded judgements: a real server process, asked as probe files ask it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time

import pytest
from word_search import SEARCH, TEST

# The search of these tests behind a server, which answers as many search services do: numbers as ids, best first.
SERVER = (
    SEARCH
    + """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with open("asked", "a") as file:
            print(json.dumps({**asked, "key": self.headers.get("X-Key")}), file=file)
        found = Words()(asked["q"], asked["size"])
        hits = [{"doc": {"key": name, "title": "a page"}, "s": score} for name, score in found]
        body = json.dumps({"results": hits}).encode()
        self.send_response(200 if "crust" not in asked["q"] or "fail" not in sys.argv else 500)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_): ...

HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
)
SETTINGS = {
    "url": "http://127.0.0.1:{port}/search?token=s3cret",
    "body": {"q": "{query}", "size": "{k}"},
    "hits": "results",
    "text": "doc.key",
    "source": "doc.key",
    "score": "s",
}


@pytest.fixture
def server(pytester, judged):
    """Start the server, and return the settings with its port."""
    running = []
    pytester.makepyfile(serving=SERVER)

    def started(*arguments):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        running.append(subprocess.Popen([sys.executable, "serving.py", str(port), *arguments], cwd=judged.parent))
        for _ in range(200):
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        return {**SETTINGS, "url": SETTINGS["url"].format(port=port)}

    yield started
    for process in running:
        process.terminate()
        process.wait()


def asking(settings, **more):
    """A test that asks the service."""
    return TEST.replace('retriever="retriever"', f"retriever={ {'http': {**settings, **more}}!r}")


def test_a_service_is_held_to_its_judgements(pytester, suite, server):
    """The settings stand in the marker or in a YAML file; reports name the address without its query, and every run asks anew."""
    settings = server()
    result = suite(asking(settings), "--embedqa-json=report.json")
    result.assert_outcomes(passed=1)
    port = settings["url"].split(":")[2].split("/")[0]
    result.stdout.fnmatch_lines([f"retriever:http://127.0.0.1:{port}/search*: * · retriever", "data * 1.0000 * pass"])
    assert "s3cret" not in result.stdout.str() + (pytester.path / "report.json").read_text()
    asked = (pytester.path / "asked").read_text().splitlines()
    assert json.loads(asked[-1])["size"] == 10
    (pytester.path / "search.yaml").write_text("http: " + json.dumps(settings))
    suite(TEST.replace('retriever="retriever"', 'retriever="search.yaml"')).assert_outcomes(passed=1)
    assert len((pytester.path / "asked").read_text().splitlines()) == 2 * len(asked)


def test_a_service_that_fails_fails_the_test(suite, server, pytester):
    """A status, or nobody there, is one clear error of the test that names the server; nothing is scored."""
    settings = server("fail")
    result = suite(asking(settings))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*data: The server at http://127.0.0.1:*/search* answered 500: *"])
    result = suite(asking(settings, url="http://127.0.0.1:1/search"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*data: The server at http://127.0.0.1:1/search can't be reached *"])


def test_a_path_that_finds_nothing_is_an_error(suite, server):
    """As in a probe: the path is named, with the keys that are there."""
    result = suite(asking(server(), text="doc.id"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*text: doc.id finds nothing where a text is expected, in an object with the keys doc, s.*"]
    )


def test_a_file_may_not_send_what_is_not_allowed(suite, server, pytester, monkeypatch):
    """Hosts and environment variables are allowed by the same options as for probe files."""
    monkeypatch.setenv("SEARCH_KEY", "k3y")
    settings = server()
    origin = settings["url"].partition("/search")[0]
    test = asking(settings, headers={"X-Key": "${SEARCH_KEY}"})
    result = suite(test)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*the environment variable SEARCH_KEY is not sent to {origin}, *"])
    result = suite(test, f"--embedqa-probe-env=SEARCH_KEY={origin}")
    result.assert_outcomes(passed=1)
    assert json.loads((pytester.path / "asked").read_text().splitlines()[-1])["key"] == "k3y"
    assert "k3y" not in result.stdout.str()

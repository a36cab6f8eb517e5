"""``--embedqa-retriever``: the same probe files, searched in another way."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class JsonHandler(BaseHTTPRequestHandler):
    """Answers in JSON, without a log."""

    def answer(self, facts):
        """Send an answer."""
        body = json.dumps(facts).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture
def faq(pytester):
    """A probe file that dense retrieval passes and BM25 can't: no word in common."""
    folder = pytester.path / "documents"
    folder.mkdir()
    (folder / "bread.md").write_text("Dough rises with yeast.", encoding="utf-8")
    (folder / "rain.md").write_text("Clouds bring heavy rain.", encoding="utf-8")
    (pytester.path / "faq.probe.yaml").write_text(
        "corpus: documents\nprobes:\n"
        "  - {name: words, ask: what makes dough rise, expect: {contains: yeast}}\n"
        "  - {name: no words, ask: zzz, expect: {contains: yeast}, expected_failures: {bm25: no word in common}}\n",
        encoding="utf-8",
    )


def test_another_way_to_search(faq, run):
    """All files are searched as the option says; what they expect of it is not strict."""
    run("faq.probe.yaml").assert_outcomes(passed=2)
    result = run("faq.probe.yaml", "--embedqa-retriever=bm25", "-rx")
    result.assert_outcomes(passed=1, xfailed=1)
    result.stdout.fnmatch_lines(["no words * nothing came back * xfail", "XFAIL*no word in common*"])


def test_a_pipeline_of_the_project_is_not_searched_so(faq, run, pytester):
    """A note says so, and what is expected to fail is strict as ever: the file is about that pipeline."""
    pytester.makeconftest("""
        import pytest

        @pytest.fixture
        def retriever():
            def bm25(query, k):
                return ["Dough rises with yeast."]
            return bm25
    """)
    result = run("faq.probe.yaml", "--embedqa-retriever=bm25", "-o", "xfail_strict=true")
    result.assert_outcomes(passed=1, failed=1)
    note = "note: passages come from the project's own fixture 'retriever': --embedqa-retriever changes the built-in one only."
    assert result.stdout.lines.count(note) == 1
    run("faq.probe.yaml", "-k", "not no").stdout.no_fnmatch_line("note: passages come*")


def test_a_file_that_says_how(faq, run, pytester):
    """A YAML file with what stands under retrieve serves all probe files."""
    (pytester.path / "how.yaml").write_text("by: rrf\nk: 1\ncandidates: 1\n", encoding="utf-8")
    run("faq.probe.yaml", "--embedqa-retriever=how.yaml", "-k", "not no").assert_outcomes(passed=1, deselected=1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            "bm52",
            "*'bm52' is not a retriever. Choose from: model, dense, bm25, rerank, rrf, openwebui:URL, or a YAML file*",
        ),
        ("missing.yaml", "*missing.yaml does not exist, or is not a file. Name a YAML file*"),
        ("bad.yaml", "*bad.yaml*unknown key 'kk' in retrieve.*"),
        ("openwebui:http://127.0.0.1:9?hybird=true", "*hybird*"),
    ],
)
def test_a_wrong_value_is_a_usage_error(faq, run, pytester, given, message):
    """Nothing is collected; the accepted forms are shown."""
    (pytester.path / "bad.yaml").write_text("kk: 3\n", encoding="utf-8")
    result = run("faq.probe.yaml", f"--embedqa-retriever={given}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


@pytest.fixture
def dying():
    """What answers like an OpenWebUI until the second search, and then is gone; its address."""
    searches = []

    class Handler(JsonHandler):
        def do_GET(self):
            self.answer({"status": "completed", "ENABLE_RAG_HYBRID_SEARCH": False})

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            if self.path.endswith("/query/collection"):
                searches.append(self.path)
                if len(searches) > 1:
                    threading.Thread(target=server.server_close).start()
                    self.connection.close()
                    return
            found = {"documents": [["Dough rises with yeast."]], "metadatas": [[{"file_id": "f", "name": "bread.md"}]]}
            self.answer({"id": "f", **found, "distances": [[0.9]]})

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_a_server_that_dies_in_the_middle(faq, run, dying, monkeypatch):
    """The probe that was asked fails with its address, the one before keeps its verdict, and what is left is named."""
    monkeypatch.setenv("OPENWEBUI_API_KEY", "sk-s3cret")
    result = run("faq.probe.yaml", f"--embedqa-retriever=openwebui:{dying}")
    result.assert_outcomes(passed=1, failed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of no words*",
            "Left on the OpenWebUI at http://127.0.0.1*Delete them there.*",
            "no words: The server at *query/collection *. Is it still running?*",
            "no words * no answer: an error * FAIL",
            "words * 1 * 0.9000 * pass",
        ]
    )
    printed = result.stdout.str()
    assert "Traceback" not in printed
    assert "INTERNALERROR" not in printed
    assert "s3cret" not in printed


def test_any_service_over_http(run, pytester):
    """A probe file names address, request and where hits are; no corpus, and the model is only under test."""

    class Handler(JsonHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            hits = [{"body": f"{asked['q']} {number}", "page": number} for number in range(asked["top"])]
            self.answer({"result": {"hits": hits}})

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (pytester.path / "live.probe.yaml").write_text(
            f"""
            retrieve:
              k: 3
              http:
                url: http://127.0.0.1:{server.server_port}/search
                body: {{q: "{{query}}", top: "{{k}}"}}
                hits: result.hits
                text: body
                page: page
                page_offset: 1
            probes:
              - {{name: echo, ask: hello, expect: {{contains: hello 2, page: 3, rank: 3}}}}
              - {{name: wrong page, ask: hello, expect: {{contains: hello 2, page: 2}}}}
            """,
            encoding="utf-8",
        )
        result = run("live.probe.yaml")
        server.shutdown()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["wrong page: the text of 'hello 2' on page 2 came back at rank 3, but from an unnamed document page 3."]
    )

"""What documents, servers, names and users' pipelines say is shown in the log of a job, and commands nobody."""

from __future__ import annotations

import json
import re
import threading
import xml.etree.ElementTree as ET
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

import pytest

from pytest_embedqa.commands import main

# What each program that runs a job, and a terminal, looks for in a line; written down apart from the product.
OBEYED = {
    "GitHub": re.compile(r"^\s*::"),
    "GitHub's old form, and Azure's page": re.compile(r"##\["),
    "Azure": re.compile(r"##vso\[", re.IGNORECASE),
    "TeamCity": re.compile(r"##teamcity\[", re.IGNORECASE),
    "GitLab": re.compile(r"section_(start|end):"),
    "Travis": re.compile(r"travis_(fold|time):"),
    "Buildkite": re.compile(r"^(\x1b\[[\d;]*m)*(---|\+\+\+|~~~|\^\^\^)(\s|$)"),
    "a terminal": re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]"),
}
IN_A_LINE = (
    "##[group]a ##vso[task.complete result=Failed]b ##TeamCity[message text='c'] section_start:1:d\r\x1b[0Ke travis_fold:start:f "
    "\x1b]8;;http://evil.example\x07g \x9b2J \u202eh"
)
LINES = f"::stop-commands::a\n \t::error file=a.py,line=1::b\n--- c\n+++ d\n~~~ e\n^^^ +++\n::add-mask::f\n{IN_A_LINE}"
OURS = re.compile(r"::(error|warning|notice) (file=[^:]*,)?title=embedding quality")


def obeyed(text):
    """Who would obey which line."""
    return [(who, line) for line in text.split("\n") for who, form in OBEYED.items() if form.search(line)]


def require_inert(text, *planted):
    """No line is a command, but all that was planted is there to be read.

    Colours are pytest's own here, and so are the annotations of ours, whose messages must command no other program.
    """
    own = [line for line in text.split("\n") if OURS.match(line)]
    lines = [line.removeprefix("::") if line in own else line for line in text.split("\n")]
    assert obeyed("\n".join(lines)) == []
    assert [one for one in planted if one not in text] == []


def said(name, text=LINES):
    """A text that says where it comes from, first in a line of no command, so that a cut can't hide it."""
    return f"from-{name} {text}"


class Server(BaseHTTPRequestHandler):
    """Answers with commands, whatever it is asked."""

    def log_message(self, *_):
        """Say nothing."""

    def do_GET(self):
        """The model, whose name is one."""
        self.answer(200, {"data": [{"id": said("model-of-a-server", IN_A_LINE)}]})

    def do_POST(self):
        """A passage, or an error where vectors are asked for."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if b"embed" in self.path.encode() or b"model" in body:
            self.answer(500, {"error": {"message": said("error-of-a-server")}})
        else:
            self.answer(200, {"hits": [{"text": said("passage-of-a-service"), "id": said("source-of-a-service")}]})

    def answer(self, status, body):
        """Send JSON."""
        written = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(written)))
        self.end_headers()
        self.wfile.write(written)


@pytest.fixture
def server():
    """Its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def probes(retrieve="", corpus="docs", **probe):
    """A probe file; JSON is YAML too."""
    given = {"name": "p", "ask": "how long may I bake", "expect": {"contains": "is not there"}, **probe}
    file = {"corpus": corpus, "probes": [given]} if corpus else {"probes": [given]}
    return json.dumps(file | (retrieve or {}))


@pytest.fixture
def log(pytester, run, monkeypatch):
    """Runs pytest as a job would, with all its texts; what stood in its log, and all lines of it."""
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE", "GITHUB_SHA"):
        monkeypatch.delenv(name, raising=False)

    def run_it(*arguments, actions=False, **given):
        monkeypatch.setenv("GITHUB_ACTIONS", str(actions).lower())
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
        monkeypatch.setenv("BUILD_NUMBER", "1")  # in a job pytest cuts no line of its short summary
        result = run(
            "-rA",
            "--junitxml=junit.xml",
            "--continue-on-collection-errors",
            "--embedqa-json=run.json",
            "--embedqa-html=run.html",
            *arguments,
            **given,
        )
        return "\n".join(result.outlines + result.errlines)

    return run_it


def corpus(pytester):
    """Folders, files, a heading and a text, each of which is a command."""
    folder = pytester.path / "docs" / said("folder", "##[group]a section_end:1:b")
    folder.mkdir(parents=True)
    name = said("file", "##[group]a section_start:1:b ##vso[c]")
    (folder / f"{name}.md").write_text(f"# {said('heading', IN_A_LINE)}\n\nbake it\n", encoding="utf-8")
    (folder / f"{name}.txt").write_text(f"{said('document')}\n", encoding="utf-8")


OWN = f"""
import pytest
from pytest_embedqa import Passage, rag_probe, retrieval_task, mteb_task

@pytest.fixture
def retriever(request):
    def pipeline(query, k):
        if "raise" in request.node.name:
            raise ValueError({said("exception")!r})
        return [Passage({said("passage")!r}, source={said("source")!r})]
    return pipeline

@rag_probe(ask={said("question-in-python")!r}, expect={{"contains": {said("expectation-in-python")!r}}})
def test_pipeline(): ...

@rag_probe(ask="a", expect={{"contains": "b"}})
def test_raise(): ...

@rag_probe(ask="a", expect={{"contains": "from-passage"}})
def test_comparison(probe_result):
    assert probe_result.passages[0].text == {said("assertion")!r}

@rag_probe(ask="a", expect={{"contains": "b"}})
@pytest.mark.xfail(reason={said("reason")!r})
def test_expected(): ...

@rag_probe(ask="a", expect={{"contains": "from-passage"}})
def test_skipped(probe_result):
    pytest.skip({said("skip")!r})

@mteb_task("ArguAna", min_ndcg_at_10=0.1)
def test_task(): ...
"""


@pytest.mark.parametrize("actions", [False, True], ids=["elsewhere", "on GitHub"])
@pytest.mark.parametrize("how", [(), ("--tb=native",), ("-l", "--showlocals", "-vv")], ids=["plain", "native", "long"])
def test_what_is_tested_does_not_speak(pytester, log, server, actions, how):
    """Documents and their names, questions, expectations, pipelines and their exceptions, services, reasons, a model's spec."""
    corpus(pytester)
    pytester.makefile(
        ".probe.yaml",
        documents=probes(
            name=said("probe"), ask=said("question"), expect={"contains": said("expected", "::error::x ##[a]")}
        ),
        service=probes(
            {
                "retrieve": {
                    "http": {
                        "url": f"{server}/search",
                        "body": {"query": "{query}"},
                        "hits": "hits",
                        "text": "text",
                        "source": "id",
                    }
                }
            },
            corpus=None,
        ),
        unreadable='corpus: docs\nprobes:\n  - {name: a, ask: b, "' + "from-key ##[group]a ::error::b" + '": 1}\n',
        short=probes(name="##vso[short]"),
        missing=probes(corpus=said("missing-folder", "##[group]a")),
    )
    pytester.makepyfile(test_own=OWN)
    model = f"python:bag:encode?version={quote(said('spec', '##[group]a ::error::b'))}"
    text = log(*how, actions=actions, model=model)
    planted = ("folder", "file", "heading", "document", "probe", "question", "expected", "passage-of-a-service", "source-of-a-service",
        "key", "missing-folder", "question-in-python", "expectation-in-python", "passage", "source", "exception", "assertion", "reason", "skip", "spec")  # fmt: skip
    require_inert(text, *(f"from-{name}" for name in planted), "##vso\\[short]   ")
    written = (pytester.path / "run.json").read_text(encoding="utf-8")
    require_inert(written, "from-document")
    properties = ET.parse(pytester.path / "junit.xml").iterfind(".//testcase/properties/property")
    require_inert("\n".join(one.get("value") for one in properties), "from-document")
    asked = {one["ask"] for test in json.loads(written)["tests"] for one in test["facts"].get("probe", ())}
    assert {said("question"), said("question-in-python")} <= asked
    assert not OBEYED["a terminal"].search(
        (pytester.path / "run.html").read_text(encoding="utf-8").replace("\r\n", "\n")
    )
    assert not OBEYED["a terminal"].search((pytester.path / "summary.md").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_errors_of_servers_do_not_speak(pytester, log, server):
    """The name that a server gives its model, and what it answers instead of vectors."""
    pytester.makepyfile("def test_it(encoder): encoder.encode(['a'])")
    require_inert(log(model=f"openai:auto?url={server}/v1", actions=True), "from-error-of-a-server")
    require_inert(log(model=f"openai:other?url={server}/v1"), "from-model-of-a-server")


def test_data_and_names_of_tasks_do_not_speak(pytester, log):
    """Ids and texts of own data, in what the gate says got worse, and the name of a task."""
    folder = pytester.mkdir("data")
    rows = {
        "corpus": [{"_id": f"d{one}", "text": f"{said('text-of-data')} {'a' * one} tail{one}"} for one in range(4)],
        "queries": [
            {
                "_id": said(f"id-of-data-{one}", "##[group]a section_start:1:a"),
                "text": f"tail{one} {said('query-of-data')}",
            }
            for one in range(4)
        ],
    }
    for name, lines in rows.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    (folder / "qrels").mkdir()
    qrels = [
        f"{query['_id']}\t{document['_id']}\t1" for query, document in zip(rows["queries"], rows["corpus"], strict=True)
    ]
    (folder / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *qrels, ""]), encoding="utf-8")
    pytester.makepyfile(
        f"""
        from pytest_embedqa import mteb_task, retrieval_task

        @mteb_task(retrieval_task("data", name={said("task", "##[group]a section_start:1:a")!r}), min_ndcg_at_10=0.1)
        def test_it(): ...
        """
    )
    log("--embedqa-save-baseline=old.json")
    require_inert((pytester.path / "old.json").read_text(encoding="utf-8"))
    text = log("--embedqa-baseline=old.json", model="python:bag:coarse", actions=True)
    require_inert(text, "from-task")
    assert "from-query-of-data" in (pytester.path / "run.json").read_text(encoding="utf-8")
    assert not OBEYED["a terminal"].search((pytester.path / "summary.md").read_text(encoding="utf-8"))


def test_errors_of_usage_do_not_speak(pytester, log):
    """Of an ini file, and of markers."""
    pytester.makepyfile("def test_it(encoder): ...")
    require_inert(log("--embedqa-datasets", said("folder")), "from-folder")
    (pytester.path / "pytest.toml").write_text(
        f"[pytest]\nembedqa_store = {{a = {json.dumps(said('ini'))}}}\n", encoding="utf-8"
    )
    if int(pytest.__version__.split(".")[0]) >= 9:  # before, pytest reads no such file
        require_inert(log(), "from-ini")
    (pytester.path / "pytest.toml").unlink()
    pytester.makepyfile(
        f"from pytest_embedqa import mteb_task\n@mteb_task({said('task')!r}, min_ndcg_at_10=0.1)\ndef test_it(): ..."
    )
    require_inert(log(), "from-task")


def test_warnings_do_not_speak(pytester, log):
    """Of a file whose name is a command, and of an encoder that has one vector for texts that are."""
    (pytester.path / f"{said('misnamed', '##[group]')}.probes.yaml").write_text("probes:\n  - {ask: a}\n")
    pytester.makepyfile(
        deaf="""
        import numpy as np

        def encode(texts):
            return np.array([[len(text), 1.0] if text.isascii() and text.isalpha() else [1.0, 1.0] for text in texts], np.float32)
        """,
        test_it=f"def test_it(encoder): encoder.encode([{said('same', '##[group]')!r} + str(one) for one in range(40)])",
    )
    require_inert(log(model="python:deaf:encode"), "from-misnamed", "from-same")


@pytest.mark.slow
def test_progress_does_not_speak(pytester, hub, server):
    """The name of a test, in a line about how far it is."""
    pytester.makeconftest(
        "from pytest_embedqa.plugin import progress\nprogress._WORTH_A_BAR, progress._SECONDS_BETWEEN_LINES = 1, 0.0\n"
    )
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("a", [1], ids=["##vso[a"])
        def test_it(encoder, a): encoder.encode([str(one) for one in range(300)])
        """
    )
    result = pytester.runpytest_subprocess(
        "-p", "no:cacheprovider", "--embedqa-model=python:bag:encode", "--embedqa-store=off"
    )
    lines = [line for line in result.errlines if " texts (" in line]
    assert lines
    require_inert("\n".join(lines), "test_it[##vso\\[a]")


@pytest.mark.parametrize("options", [(), ("-v", "-rA", "--durations=0")])
def test_names_of_probe_files_do_not_speak(pytester, log, options):
    """pytest prints ids as they are: a file whose path is a command is refused, with what to do, and others are not."""
    corpus(pytester)
    for name in ("##[a.probe.yaml", "\x1b]0;a\x07.probe.yaml", "b\n::error::c.probe.yaml", "d\n::d/a.probe.yaml"):
        path = pytester.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(probes(), encoding="utf-8")
    (pytester.path / "sound.probe.yaml").write_text(probes(), encoding="utf-8")
    text = log(*options, "--continue-on-collection-errors")
    require_inert(text, "would obey this name. Rename the file or its folder.")
    assert text.count("would obey this name") >= 4
    assert "sound.probe.yaml" in text


@pytest.mark.slow
def test_workers_do_not_speak(pytester, log):
    """Under pytest-xdist the controller prints what workers report, and the header names the models."""
    corpus(pytester)
    pytester.makefile(".probe.yaml", documents=probes(ask=said("question")))
    pytester.makepyfile(test_own=OWN)
    model = "python:bag:encode?version=##[group]a"
    text = log("-n1", model=model)
    require_inert(text, "from-question", "from-document", "from-exception", "version=")


def test_commands_of_the_shell_do_not_speak(pytester, capsys, monkeypatch, log):
    """``embedqa compare``, ``doctor`` and ``init``, and why one could not be done."""
    monkeypatch.chdir(pytester.path)
    pytester.makepyfile(
        "from pytest_embedqa import mteb_task\n@mteb_task('ArguAna', min_ndcg_at_10=0.1)\ndef test_it(): ..."
    )
    log("--embedqa-save-baseline=old.json")
    text = (pytester.path / "old.json").read_text(encoding="utf-8")
    capsys.readouterr()
    for arguments in (
        ["compare", said("baseline", "##[a ::b"), "old.json"],
        ["init", said("folder", "##[a"), "--model", "::x"],
        ["doctor", said("suite", "##[a")],
    ):
        main(arguments)
        told = capsys.readouterr()
        require_inert(told.out + told.err)
        assert told.out + told.err
    assert "ArguAna" in text

"""Secrets stand nowhere: a canary in each place that can hold one, real servers that repeat them, and all that a run leaves."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import pytest

from pytest_embedqa.core.errors import SpecError
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.servers import Server
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.upgrade.baseline import read_baseline

SERVER = Path(__file__).with_name("canary_server.py")
PROGRAM = f"{sys.executable} {SERVER}"
PLACES = (
    "userinfo of url=",
    "key in the query of url=",
    "other value in the query of url=",
    "--api-key of start=",
    "variable in start=",
    "argument of a start= that fails",
    "OPENAI_API_KEY",
    "key_env=",
    "header of a search",
    "query of a search",
    "key of OpenWebUI",
    "password of OpenWebUI",
    "token that OpenWebUI gave",
    "HF_TOKEN",
    "password of a proxy",
    "option of an engine",
)
# What a project has; the canaries come by the command line and by the environment.
TESTS = """
import json, os
import pytest
from pytest_embedqa import mteb_task, sts_task
from pytest_embedqa.rag.choices import HttpRetrieval
from pytest_embedqa.rag.http import HttpRetriever
from pytest_embedqa.rag.openwebui import OpenWebUIRetriever, parse_openwebui

SERVER = os.environ["SERVER"]

@mteb_task(sts_task("pairs.jsonl"), min_cosine_spearman=-0.99)
def test_of_the_command_line(): ...

@pytest.mark.parametrize("encoder", json.loads(os.environ["SPECS"]), indirect=True)
@mteb_task(sts_task("pairs.jsonl"), min_cosine_spearman=-0.99)
def test_of_the_suite(): ...

@pytest.mark.parametrize("path", ["search", "moved"])
def test_search(encoder, path):
    url = f"{SERVER}/{path}?api_key=" + os.environ["SEARCH_QUERY"]
    HttpRetriever(HttpRetrieval(url, {"q": "{query}"}, "@", "t", headers={"X-Login": "${SEARCH_LOGIN}"}))("x", 1)

@pytest.mark.parametrize("name", ["OPENWEBUI_API_KEY", "OPENWEBUI_PASSWORD", "TICKET"])
def test_openwebui(encoder, name, monkeypatch):
    for other in {"OPENWEBUI_API_KEY", "OPENWEBUI_PASSWORD"} - {name}:
        monkeypatch.delenv(other)
    if name == "TICKET":
        monkeypatch.setenv("OPENWEBUI_PASSWORD", "right")
    OpenWebUIRetriever(parse_openwebui(f"openwebui:{SERVER}?knowledge=k"))

def test_of_a_library(encoder):
    headers = {"Authorization": "Bearer " + os.environ["HF_TOKEN"]}
    cut = "-" * 110 + os.environ["HF_TOKEN"] + "-" * 200  # which pytest shows as 'beginning...end'
    print(headers)
    raise RuntimeError(f"refused: {headers}")
"""
LEAKY = """
import os
def encode(texts):
    raise RuntimeError("401 for " + os.environ["HF_TOKEN"])
"""
ON_RAY = """
import json, pathlib, sys
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.spec import parse_spec
for spec in json.loads(sys.argv[1]):
    try:
        encoder = load_encoder(parse_spec(spec), None)
    except Exception as error:
        print("no vectors:", error)
        continue
    print("loaded", encoder.encode(["x"]).shape, encoder.spec)
    for process in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            title = process.read_text().replace("\\0", " ")
        except OSError:
            continue
        if "ray" in title and "on_ray.py" not in title:
            print(title)
    encoder.close()
"""
# Loaded before the plugin: whatever is told to people and files is told as it is.
LET_THROUGH = """
from pytest_embedqa.core import secrets
secrets.redacted = secrets.public_url = secrets.public_command = lambda text: text
secrets.is_secret_name = lambda name: False
"""


def canary(place):
    """A secret of one place."""
    return f"sk-{sha256(place.encode()).hexdigest()[:20]}"


def found_in(text):
    """Places whose canaries stand in a text, whole or with one half."""
    halves = {place: (canary(place)[3:13], canary(place)[13:]) for place in PLACES}
    return {place for place, parts in halves.items() if any(part in text for part in parts)}


@pytest.fixture(scope="module")
def server():
    """A running server, on an address of its own."""
    os.environ["TICKET"] = canary("token that OpenWebUI gave")
    with Server([sys.executable, str(SERVER), "{port}"], timeout=60) as started:
        yield started
    del os.environ["TICKET"]


@pytest.fixture
def project(server, tmp_path, monkeypatch):
    """A project, and an environment full of secrets."""
    (tmp_path / "test_suite.py").write_text(TESTS)
    (tmp_path / "leaky.py").write_text(LEAKY)
    (tmp_path / "let_through.py").write_text(LET_THROUGH)
    pairs = [{"sentence1": f"text {row}", "sentence2": f"other {row * row}", "score": row % 6} for row in range(30)]
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, pairs)))
    started = f"{PROGRAM} {{port}} --api-key {canary('--api-key of start=')}"
    in_variable = f"env WORKER_TOKEN={canary('variable in start=')} {started}"
    specs = [
        f"openai:m?url=http://me:{canary('userinfo of url=')}@{server.root.removeprefix('http://')}/v1",
        f"openai:m?version=1&start={quote(in_variable)}",
        f"openai:m?start={quote(PROGRAM)} {{port}} --fail --password={canary('argument of a start= that fails')}",
        f"openai:m?url={server.root}/quoted/v1",
        f"openai:m?url={server.root}/within/v1&key_env=EMBEDDINGS_LOGIN&retries=1",
        "openai:m?url=http://models.test/v1&retries=1",
        "python:leaky:encode",
    ]
    for name, value in {
        "SPECS": json.dumps(specs),
        "SERVER": server.root,
        "OPENAI_API_KEY": canary("OPENAI_API_KEY"),
        "EMBEDDINGS_LOGIN": canary("key_env="),
        "SEARCH_LOGIN": canary("header of a search"),
        "SEARCH_QUERY": canary("query of a search"),
        "OPENWEBUI_API_KEY": canary("key of OpenWebUI"),
        "OPENWEBUI_EMAIL": "me@example.org",
        "OPENWEBUI_PASSWORD": "refused-" + canary("password of OpenWebUI"),
        "HF_TOKEN": canary("HF_TOKEN"),
        "HTTP_PROXY": f"http://me:{canary('password of a proxy')}@127.0.0.1:9",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "GITHUB_ACTIONS": "true",
        "PYTHONPATH": str(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    return tmp_path


def keyed(server, key=None, tenant=None, more=""):
    """A spec of the server that wants a key in its address."""
    key, tenant = key or canary("key in the query of url="), tenant or canary("other value in the query of url=")
    return f"openai:m?url={server.root}/v1?key={key}%26tenant={tenant}&version=1{more}"


@pytest.fixture
def run_suite(fork_server, server):
    """Runs the suite; gives what that printed."""

    def run(*options, spec=None):
        files = ("--embedqa-json=run.json", "--embedqa-html=run.html", "--junitxml=run.xml", "-ojunit_logging=all")
        where = ("--embedqa-store=store/v.sqlite", "--log-file=run.log", "--log-file-level=INFO")
        model = f"--embedqa-model={spec or keyed(server)}"
        return fork_server.ended("-m", "pytest", "-p", "no:langsmith_plugin", model, *files, *where, *options)[1]

    return run


def left(folder):
    """All that a run has left, as text, by file: packed files are unpacked."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    contents = {
        path: gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes() for path in files
    }
    return {str(path.relative_to(folder)): content.decode(errors="replace") for path, content in contents.items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [("-vv", "-l", "-rA", "--tb=long"), ("-l", "--tb=native"), ("-n2", "-l")], ids=" ".join
)
def test_no_secret_is_left(project, run_suite, monkeypatch, options):
    """Neither printed nor in any file, though each was where it could be: without the redaction each of them is found."""
    monkeypatch.chdir(project)
    printed = run_suite(*options, "--embedqa-save-baseline=b/base.json")
    assert "6 failed, 2 passed, 6 errors" in printed
    files = left(project)
    assert {"run.json", "run.html", "run.xml", "run.log", "summary.md", "b/base.json", "store/v.sqlite"} <= files.keys()
    assert {"b/base.evidence.json.gz", ".pytest_cache/v/cache/lastfailed"} <= files.keys()
    assert {name: found_in(text) for name, text in {**files, "terminal": printed}.items() if found_in(text)} == {}
    assert "?key=***%26tenant=~" in printed
    assert re.search(r"start=env~[0-9a-f]{8}", files["run.json"])


@pytest.mark.slow
def test_each_place_leaks_without_the_redaction(project, run_suite, fork_server, monkeypatch):
    """The other half of the promise above: were they let through, the same run would show them all."""
    monkeypatch.chdir(project)
    printed = run_suite("-p", "let_through", "-l", "-rA", "--embedqa-save-baseline=b/base.json")
    by_file = {name: found_in(text) for name, text in {**left(project), "terminal": printed}.items()}
    everywhere = set().union(*by_file.values())
    files = {"terminal", "run.json", "run.html", "run.xml", "run.log", "summary.md", "b/base.json", "store/v.sqlite"}
    assert {name for name, places in by_file.items() if places} >= {*files, ".pytest_cache/v/cache/lastfailed"}
    assert set(PLACES) - everywhere == {"option of an engine"}  # with which nothing runs
    assert "option of an engine" in found_in(
        fork_server.ended("-m", "pytest", "-p", "let_through", *option_of_an_engine())[1]
    )


@pytest.mark.slow
def test_no_secret_is_left_by_an_encoder_on_ray(project, server, monkeypatch):
    """A key reaches the replicas; it is in no log of Ray's, no title of its processes, and no error that a replica sends."""
    pytest.importorskip("ray", reason="needs the extra ray")
    key = canary("key in the query of url=")
    started = f"{PROGRAM} {{port}} --api-key {canary('--api-key of start=')}"
    specs = {
        "right": f"ray+openai:m?url={server.root}/v1?key={key}",
        "started": f"ray+openai:m?start={quote(started)}",
        "wrong": f"ray+openai:m?url={server.root}/quoted/v1?key={key}",
        "failed": f"ray+openai:m?start={quote(started)} --fail",
    }
    (project / "on_ray.py").write_text(ON_RAY)
    with tempfile.TemporaryDirectory(dir="/tmp") as ours:  # a short path: Ray puts sockets there
        monkeypatch.setenv("RAY_TMPDIR", ours)
        told = [f"{one}&replicas=1&cpus=1" for one in specs.values()]
        command = [sys.executable, str(project / "on_ray.py"), json.dumps(told)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=150)
        printed = done.stdout + done.stderr
        logs = left(Path(ours))
    assert printed.count("loaded (1, 4)") == 2
    assert printed.count("no vectors: ") == 2
    assert "Incorrect API key provided: Bearer *** None at /quoted/v1/embeddings?key=***" in printed
    assert any("worker-" in name for name in logs)
    assert {name: found_in(text) for name, text in {**logs, "terminal": printed}.items() if found_in(text)} == {}


def option_of_an_engine():
    """A spec with a key that its engine does not know."""
    return [f"--embedqa-model=openai:m?url=http://h&api_key={canary('option of an engine')}"]


@pytest.mark.slow
def test_commands_and_wrong_options_show_none(project, server, fork_server, monkeypatch):
    """An option that is refused, ``embedqa doctor`` and ``embedqa init``: what they say, and what they write."""
    monkeypatch.chdir(project)
    specs = [keyed(server), *json.loads(os.environ["SPECS"])]
    program = ("-c", "import sys; from pytest_embedqa.commands import main; sys.exit(main(sys.argv[1:]))")
    code, printed = fork_server.ended(*program, "doctor", *(f"--model={spec}" for spec in specs))
    assert code == 1
    assert printed.count("does not work") == 6
    assert printed.count("2 texts encoded") == 2
    code, refused = fork_server.ended(*program, "init", "suites", f"--model={keyed(server)}")
    assert code == 2
    assert "would be written to pytest.ini. Take the key from the environment: key_env=NAME" in " ".join(
        refused.split()
    )
    code, unknown = fork_server.ended("-m", "pytest", *option_of_an_engine())
    assert code == 4
    assert "Unknown key 'api_key' in the spec 'openai:m?url=http://h&api_key=***'" in unknown
    everything = {**left(project), "terminal": printed + refused + unknown}
    assert {name: found_in(text) for name, text in everything.items() if found_in(text)} == {}


@pytest.mark.slow
def test_baseline_with_a_secret_stays_of_use(project, server, run_suite, monkeypatch):
    """The encoder is the same when its key is renewed, and another one when what it asks for is; what can't be loaded is said."""
    monkeypatch.chdir(project)
    only = ("-k", "command_line")
    run_suite(*only, "--embedqa-save-baseline=base.json")
    printed = run_suite(*only, "--embedqa-baseline=base.json", spec=keyed(server, key="sk-another-key-of-1234"))
    assert "candidate and baseline are the same encoder" in printed
    printed = run_suite(*only, "--embedqa-baseline=base.json", spec=keyed(server, tenant="another"))
    assert "1 passed" in printed
    assert "are the same encoder" not in printed
    baseline = read_baseline(project / "base.json")
    assert f"url={server.root}/v1?key=***%26tenant=~" in baseline.encoder["spec"]
    assert "--embedqa-model=WHOLE_SPEC --embedqa-save-baseline=" in baseline.how_to_add()
    with pytest.raises(
        SpecError,
        match=r"comes from a report or a baseline, which leave out secrets and commands\. Give the whole spec on the command",
    ):
        load_encoder(parse_spec(baseline.encoder["spec"]), None)

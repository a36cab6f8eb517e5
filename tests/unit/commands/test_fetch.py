"""``embedqa fetch``, from a server on this machine that speaks what of the Hub's protocol a download needs."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from huggingface_hub import constants

from pytest_embedqa.commands import main
from pytest_embedqa.core.errors import DataError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.engines.python_callable import PythonEngine
from pytest_embedqa.encoders.hub import hub_is_reachable
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.quality.mteb import listing
from pytest_embedqa.quality.mteb.evaluation import evaluate
from pytest_embedqa.quality.task import TaskQuery

STS = "mteb/stsbenchmark-sts"
PAIRS = [
    {
        "sentence1": f"a man {verb} {thing}",
        "sentence2": f"someone {verb} {thing} {thing * score}",
        "score": float(score),
    }
    for score, (verb, thing) in enumerate(
        [("eats", "rice"), ("plays", "a flute"), ("cuts", "paper"), ("rides", "home")]
    )
]


class Handler(BaseHTTPRequestHandler):
    """Serves dataset folders, whatever revision is asked for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """Trees, files, and whether anyone is there."""
        path = self.path.partition("?")[0]
        self.server.asked.append(f"{self.command} {path}")
        if self.server.gone:
            self.close_connection = True
            return
        listing_of = re.fullmatch(r"/api/datasets/([^/]+/[^/]+)/(?:tree|revision)/[^/]+", path)
        file_of = re.fullmatch(r"/datasets/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        if listing_of:
            self._list(listing_of[1])
        elif file_of:
            self._send(file_of[1], file_of[2], file_of[3])
        else:
            self._answer(200)

    do_HEAD = do_GET  # noqa: N815  as the base class calls it

    def _list(self, name):
        folder = self.server.root / name
        if name in self.server.refused:
            status, code = self.server.refused[name]
            self._answer(status, X_Error_Code=code)
        elif not folder.is_dir():
            self._answer(404, X_Error_Code="RepoNotFound")
        else:
            files = [path for path in folder.rglob("*") if path.is_file()]
            tree = [
                {
                    "type": "file",
                    "path": path.relative_to(folder).as_posix(),
                    "size": path.stat().st_size,
                    "oid": "0" * 40,
                }
                for path in files
            ]
            self._answer(200, json.dumps(tree).encode(), Content_Type="application/json")

    def _send(self, name, revision, file):
        content = (self.server.root / name / file).read_bytes()
        self._answer(200, content, ETag=f'"{hashlib.md5(content).hexdigest()}"', X_Repo_Commit=revision)  # noqa: S324  a name

    def _answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_):
        """Quiet."""


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A Hub with one small dataset; ``root`` holds its folders, ``asked`` what was asked, ``refused`` errors by name."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.root, server.asked, server.refused, server.gone = tmp_path / "served", [], {}, False
    write_pairs(server.root / STS)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # As HF_ENDPOINT=URL would in a process that has not loaded the library yet.
    url = f"http://127.0.0.1:{server.server_port}"
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    hub_is_reachable.cache_clear()
    yield server
    server.shutdown()
    server.server_close()
    hub_is_reachable.cache_clear()


def write_pairs(folder):
    """A dataset without a README: its split is told by the name of its file."""
    folder.mkdir(parents=True)
    (folder / "test.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in PAIRS), encoding="utf-8")


@pytest.fixture
def fetch(tmp_path, capsys):
    """Fetches into ``data``; returns the exit code and what was said, in one line."""

    def run(*names):
        code = main(["fetch", *names, "--to", str(tmp_path / "data")])
        return code, " ".join(capsys.readouterr().out.split())

    return run


def gone(hub):
    """From now on nothing answers."""
    hub.gone = True
    hub.asked.clear()
    hub_is_reachable.cache_clear()


def letters(texts):
    """Vectors that count letters, shape (n, 20)."""
    return np.array([[text.count(letter) + 0.1 for letter in "abcdefghijklmnoprstu"] for text in texts], np.float32)


def score(datasets):
    """Main score of the letters on STSBenchmark, and the revision of its data."""
    engine = PythonEngine(letters, Identity(model="letters", engine="python", full_dim=20))
    encoder = Encoder(engine, None, spec=parse_spec("python:letters:encode"))
    result = evaluate(TaskQuery("STSBenchmark"), encoder, datasets=datasets)
    return result.score(), result.data_revision


def test_fetched_task_can_be_evaluated_without_the_hub(hub, fetch, tmp_path):
    """The score and the content are those of the Hub's data, and what follows is told."""
    code, out = fetch("STSBenchmark")
    assert code == 0
    assert f"STSBenchmark {STS}: 1 file, 0.0 MB loads 1 of 1 tasks can be used offline." in out
    assert f"pytest --embedqa-datasets={tmp_path / 'data'}" in out
    gone(hub)
    assert score(tmp_path / "data") == score(hub.root)


def test_real_task_can_be_evaluated_from_what_was_fetched(hub, fetch, tmp_path, datasets_folder):
    """As the first, with the data of STSBenchmark as it is on the Hub."""
    hub.root = datasets_folder
    assert fetch("STSBenchmark")[0] == 0
    assert score(tmp_path / "data") == score(datasets_folder)


def test_revision_of_the_task_is_asked_for(hub, fetch):
    """Not the newest: mteb's scores are of this one."""
    fetch("STSBenchmark")
    ((source,),) = [task.sources for task in listing.chosen(["STSBenchmark"])]
    assert f"GET /datasets/{STS}/resolve/{source.revision}/test.jsonl" in hub.asked


def test_what_is_there_is_not_fetched_again(hub, fetch):
    """Neither with the Hub nor without it."""
    fetch("STSBenchmark")
    hub.asked.clear()
    code, out = fetch("STSBenchmark")
    assert code == 0
    assert f"STSBenchmark {STS}: there already loads" in out
    assert not [line for line in hub.asked if "/datasets/" in line]
    gone(hub)
    code, out = fetch("STSBenchmark")
    assert code == 0
    assert f"{STS}: there already loads" in out


def test_cut_off_download_is_completed(hub, fetch, tmp_path):
    """What is missing of a dataset is fetched, and nothing else; without the Hub it is no success."""
    (hub.root / STS / "notes.md").write_text("notes", encoding="utf-8")
    fetch("STSBenchmark")
    (tmp_path / "data" / STS / "test.jsonl").unlink()
    hub.asked.clear()
    code, out = fetch("STSBenchmark")
    assert code == 0
    assert f"{STS}: 1 file, 0.0 MB loads" in out
    assert not [line for line in hub.asked if "notes.md" in line]
    (tmp_path / "data" / STS / "test.jsonl").unlink()
    gone(hub)
    code, out = fetch("STSBenchmark")
    assert code == 2
    assert "it does not answer. Run the command again" in out


def test_folder_of_another_revision_is_no_data_of_the_task(hub, fetch, tmp_path):
    """Neither mixed with the right one nor taken for it."""
    fetch("STSBenchmark")
    for record in (tmp_path / "data" / STS).rglob("*.metadata"):
        record.write_text("f" * 40 + record.read_text(encoding="utf-8")[40:], encoding="utf-8")
    code, out = fetch("STSBenchmark")
    assert code == 2
    assert f"{STS} holds revision ffffffff, but the task needs b0fddb56. Fetch it into another folder" in out


def test_folder_that_someone_made_is_left_as_it_is(hub, fetch, tmp_path):
    """Its revision is not known, which is said; whether it loads is looked at."""
    write_pairs(tmp_path / "data" / STS)
    code, out = fetch("STSBenchmark")
    assert code == 0
    assert "there already; which revision it is, nobody wrote down" in out
    assert not [line for line in hub.asked if "/datasets/" in line]
    (tmp_path / "data" / STS / "test.jsonl").write_text("{broken\n", encoding="utf-8")
    code, out = fetch("STSBenchmark")
    assert code == 2
    assert "does not load: " in out
    assert "test.jsonl" in out


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (
            (404, "RepoNotFound"),
            "/datasets/mteb/scifact does not exist, or is not open to you. If it is private, set HF_TOKEN.",
        ),
        ((403, "GatedRepo"), "it is gated. Accept its terms at http://127.0.0.1:"),
        ((404, "RevisionNotFound"), "has no revision d56462d0e63a25450459c4f213e49ffdb866f7f9. A newer mteb"),
    ],
)
def test_one_that_fails_keeps_none_back(hub, fetch, tmp_path, refusal, said):
    """The others are fetched and stay; the exit code is 2, with the reason and the command for the rest."""
    hub.refused["mteb/scifact"] = refusal
    exit_code, out = fetch("SciFact", "STSBenchmark")
    assert exit_code == 2
    assert said in out
    assert f"1 of 2 tasks can be used offline. pytest --embedqa-datasets={tmp_path / 'data'}" in out
    assert f"For the rest: embedqa fetch SciFact --to {tmp_path / 'data'}" in out
    assert score(tmp_path / "data") == score(hub.root)


def test_task_made_of_others_fetches_them_all(hub, fetch):
    """Each of the twelve is asked for, also after one that failed."""
    code, out = fetch("CQADupstackRetrieval")
    (task,) = listing.chosen(["CQADupstackRetrieval"])
    assert code == 2
    assert len(task.sources) == 12
    for source in task.sources:
        assert f"GET /api/datasets/{source.path}/tree/{source.revision}" in hub.asked
        assert f"{source.path}: not fetched" in out


def test_name_of_a_benchmark_fetches_its_tasks(hub, fetch):
    """Each by its name; one that is named twice is fetched once."""
    code, out = fetch("MTEB(Law, v1)", "AILACasedocs")
    assert code == 2
    assert "0 of 8 tasks can be used offline." in out
    assert out.count("mteb/AILA_casedocs: not fetched") == 1


def test_unknown_name_fetches_nothing(hub, tmp_path, capsys):
    """A slip is told before anything is downloaded, with the nearest names."""
    assert main(["fetch", "STSBenchmark", "STSBenchmrk", "--to", str(tmp_path / "data")]) == 2
    assert "no task or benchmark 'STSBenchmrk'. The nearest: STSBenchmark" in capsys.readouterr().err
    assert not hub.asked
    assert not (tmp_path / "data").exists()


def test_file_is_no_folder(tmp_path, capsys):
    """``--to`` must be a folder, or free."""
    (tmp_path / "data").write_text("", encoding="utf-8")
    assert main(["fetch", "STSBenchmark", "--to", str(tmp_path / "data")]) == 2
    assert "data is a file. Name a folder." in capsys.readouterr().err


def test_no_network_is_told_at_once(hub, fetch, monkeypatch):
    """After one question and no retries, and with the reason where it is a setting."""
    gone(hub)
    code, out = fetch("STSBenchmark")
    assert code == 2
    assert f"not fetched from {constants.ENDPOINT}: it does not answer." in out
    assert [line for line in hub.asked if line != "GET /api/agent-harnesses"] == ["HEAD /"]
    hub_is_reachable.cache_clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    code, out = fetch("STSBenchmark")
    assert code == 2
    assert "HF_HUB_OFFLINE is set." in out


def test_check_asks_the_hub_for_nothing(hub, monkeypatch, tmp_path):
    """A task that reads more than its own dataset does not pass because the Hub has the rest."""

    def reads_elsewhere(task, folder):
        assert constants.HF_HUB_OFFLINE
        raise DataError(f"{task.metadata.name} reads more than {folder}")

    monkeypatch.setattr(listing, "load_data", reads_elsewhere)
    with pytest.raises(DataError, match="STSBenchmark reads more"):
        listing.load("STSBenchmark", tmp_path)
    assert not constants.HF_HUB_OFFLINE

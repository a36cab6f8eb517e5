"""A run that is told to end: by SIGTERM or Ctrl-C it ends in order, and when it is killed, no process stays behind."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from urllib.parse import quote

import pytest
from fork_server import ForkServer

SERVER = Path(__file__).with_name("ending_server.py")
SUITE = """
from pytest_embedqa import mteb_task, sts_task

@mteb_task(sts_task("small.jsonl"), min_cosine_spearman=-0.99)
def test_small(): ...

@mteb_task(sts_task("big.jsonl"), min_cosine_spearman=-0.99)
def test_big(): ...
"""
# What can be held from here alone: the scoring of the second task, and the end of the session.
HELD = """
import atexit, gc, os, pathlib, signal, time
import mteb
import pytest

# Last of all that happens before Python tidies up: what is registered later runs earlier.
before = gc.get_freeze_count()
atexit.register(lambda: pathlib.Path("frozen").write_text(str(gc.get_freeze_count() - before)))

# A process that a shell started in the background has Ctrl-C switched off.
signal.signal(signal.SIGINT, signal.default_int_handler)

def hold(moment, seconds):
    if pathlib.Path("moment").read_text() == moment:
        pathlib.Path("at").write_text(moment)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.1)

evaluate = mteb.evaluate
def held(model, task, **options):
    result = evaluate(model, task, **options)
    if "big" in str(task):
        hold("scoring", 600)
    return result
mteb.evaluate = held

@pytest.fixture(scope="session", autouse=True)
def late():
    yield
    time.sleep(float(os.environ.get("LATE", "0")))

@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish():
    hold("reports", float(os.environ.get("HOLD", "3")))
"""
REPORTS = {"r.json", "r.html", "j.xml"}
MOMENTS = ("loading", "starting", "encoding", "scoring", "hanging", "teardown", "reports")


def alive(number: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def parents_of_all() -> dict[int, int]:
    """The parent of each process."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, facts = stat.read_text().rpartition(")")
        except OSError:
            continue
        parents[int(name.split()[0])] = int(facts.split()[1])
    return parents


def descendants(number: int) -> set[int]:
    """Processes that a process has started, and those that they have."""
    parents, found = parents_of_all(), {number}
    while more := {one for one, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {number}


class Run:
    """A run of two tasks on a server, that has come to a moment."""

    def __init__(
        self, server: ForkServer, folder: Path, moment: str, *options: str, environment: dict[str, str] | None = None
    ) -> None:
        """Start it, and wait for the moment."""
        self.folder, self.moment = folder, moment
        self.temporary = folder / "tmp"
        self.temporary.mkdir(exist_ok=True)
        (folder / "moment").write_text(moment)
        (folder / "at").unlink(missing_ok=True)
        (folder / "test_suite.py").write_text(SUITE)
        (folder / "conftest.py").write_text(HELD)
        for name, count in (("small", 8), ("big", 400)):
            rows = [
                {"sentence1": f"{name} {row}", "sentence2": f"{name} {'x' * row}", "score": row % 5}
                for row in range(count)
            ]
            (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        start = f"{sys.executable} {SERVER} {{port}} {moment} {folder / 'at'}"
        words = ["-p", "no:langsmith_plugin", "-p", "no:cacheprovider", "--embedqa-store=off"]
        words += [f"--embedqa-model=openai:m?version=1&request_texts=8&start={quote(start)}", "--junitxml=j.xml"]
        words += ["--embedqa-json=r.json", "--embedqa-html=r.html", "--embedqa-save-baseline=b.json", *options]
        self.out = folder / "out.txt"
        told = {**os.environ, "TMPDIR": str(self.temporary), **(environment or {})}
        with Path(os.devnull).open() as nothing, self.out.open("w") as out:
            streams = (nothing.fileno(), out.fileno(), out.fileno())
            self.process = server.python("-m", "pytest", *words, streams=streams, folder=folder, environment=told)
        end = time.monotonic() + 120
        while not (folder / "at").exists():
            assert self.process.poll() is None, self.out.read_text()
            assert time.monotonic() < end, self.out.read_text()
            time.sleep(0.05)
        time.sleep(0.3)
        self.processes = descendants(self.process.pid)
        # From the signal to the end of the run, and to that of the last process that it had started.
        self.seconds = self.seconds_of_others = 0.0

    def tell(self, number: int, whom: int | None = None) -> int:
        """Send a signal; the exit code, when all processes are gone or time is up."""
        began = time.monotonic()
        os.kill(whom or self.process.pid, number)
        while self.left and time.monotonic() < began + 60:
            time.sleep(0.05)
        self.seconds_of_others = time.monotonic() - began
        code = self.process.wait(60)
        self.seconds = time.monotonic() - began
        while self.folders and time.monotonic() < began + 10:  # the watchdog may still be at it
            time.sleep(0.05)
        return code

    @property
    def row(self) -> str:
        """What came of it, as a row of a table."""
        gone = f"{len(self.processes)} processes, gone after {self.seconds_of_others:.1f} s, {len(self.left)} left"
        files = f"folders {self.folders}, files {sorted(self.files)}"
        return f"{self.moment} | exit {self.process.returncode} after {self.seconds:.1f} s | {gone} | {files}"

    @property
    def left(self) -> set[int]:
        """Processes of the run that are still there."""
        return set(filter(alive, self.processes))

    @property
    def folders(self) -> list[str]:
        """What is left in the folder for temporary files."""
        return sorted(one.name for one in self.temporary.glob("embedqa*"))

    @property
    def files(self) -> set[str]:
        """What the run was told to write and wrote."""
        return {name for name in (*REPORTS, "b.json") if (self.folder / name).exists()}

    @property
    def json(self) -> dict:
        """The report."""
        return json.loads((self.folder / "r.json").read_text())


@pytest.fixture
def start(fork_server, tmp_path):
    """Starts a run in the folder of the test."""
    return lambda *words, **options: Run(fork_server, tmp_path, *words, **options)


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda one: one.name)
def test_told_to_end(start, tmp_path, number, moment, record_property):
    """Within ten seconds all is written, no process and no folder is left, and the exit code is pytest's for an interrupt."""
    run = start(moment)
    assert run.processes or moment == "reports"  # by then the server has been stopped
    code = run.tell(number)
    record_property("row", run.row)
    text = run.out.read_text()
    assert code == (0 if moment == "reports" else 2), text
    assert run.seconds_of_others < 10
    assert run.seconds < 30  # most of it draws the page; a machine may be busy
    assert run.left == set()
    assert run.folders == []
    finished = {"loading": 0, "starting": 0, "teardown": 2, "reports": 2}.get(moment, 1)
    assert run.files == (REPORTS | {"b.json"} if finished else REPORTS), text
    ET.parse(tmp_path / "j.xml")
    # A search for garbage among all objects of torch, vLLM or mteb takes seconds on a busy machine.
    assert (int((tmp_path / "frozen").read_text()) > 0) == (moment != "reports")
    if moment == "reports":
        assert run.json["interrupted"] is None
        return
    assert "the run was interrupted" in text
    interrupted = run.json["interrupted"]
    running = [] if moment in {"loading", "starting"} else ["test_suite.py::test_big"]
    assert interrupted == {"reason": number.name, "ran": finished, "selected": 2, "running": running}
    assert len(run.json["tests"]) == finished
    assert "INTERRUPTED" in (tmp_path / "r.html").read_text()
    if finished:
        assert len(json.loads((tmp_path / "b.json").read_text())["tasks"]) == finished


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed(start, tmp_path, moment, record_property):
    """Nobody can tidy up, and yet no process of the server lives for ten seconds, nor does its folder."""
    run = start(moment)
    assert run.processes or moment == "reports"  # by then the server has been stopped
    assert run.tell(signal.SIGKILL) == -signal.SIGKILL
    record_property("row", run.row)
    assert run.seconds_of_others < 10
    assert run.left == set()
    assert run.folders == []


XDIST = ("-n2", "-p", "xdist")


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["encoding", "hanging"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda one: one.name)
def test_told_to_end_with_workers(start, tmp_path, number, moment):
    """What the workers have measured is in the reports and in the baseline, and they end with their servers."""
    run = start(moment, *XDIST)
    code = run.tell(number)
    text = run.out.read_text()
    assert code == 2, text
    assert run.seconds_of_others < 15, text
    assert run.left == set()
    assert run.folders == []
    assert run.files == REPORTS | {"b.json"}, text
    running = ["test_suite.py::test_big"]
    assert run.json["interrupted"] == {"reason": number.name, "ran": 1, "selected": 2, "running": running}, text
    assert [one["outcome"] for one in run.json["tests"]] == ["passed"]
    # pytest itself writes a case without a name for the test that was running.
    assert next(ET.parse(tmp_path / "j.xml").iter("testcase")).get("name") == "test_small"


@pytest.mark.slow
def test_a_late_worker_is_not_waited_for(start, tmp_path):
    """A worker whose fixtures take a minute to end is killed after nine seconds, and the reports are written without it."""
    run = start("encoding", *XDIST, environment={"LATE": "60"})
    code = run.tell(signal.SIGTERM)
    text = run.out.read_text()
    assert code == 2, text
    assert run.seconds_of_others < 16, text  # xdist alone gives ten seconds more
    assert run.left == set()
    assert run.folders == []
    assert run.files >= REPORTS, text
    assert run.json["interrupted"]["reason"] == "SIGTERM"


@pytest.mark.slow
def test_a_worker_alone_is_told_to_end(start, tmp_path):
    """xdist takes it for the end of the run: that is interrupted, with the reports of what was finished."""
    run = start("encoding", *XDIST)
    parents, server = parents_of_all(), int((tmp_path / "pids").read_text())
    worker = parents[parents[server]]
    assert worker in run.processes
    code = run.tell(signal.SIGTERM, worker)
    text = run.out.read_text()
    assert code == 2, text
    assert run.left == set()
    assert run.folders == []
    assert run.files == REPORTS | {"b.json"}, text
    assert run.json["interrupted"]["ran"], text


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), XDIST], ids=["alone", "xdist"])
def test_a_second_ctrl_c_ends_at_once(start, tmp_path, options):
    """Whoever presses again does not wait, neither for reports nor for a server that does not end; nothing stays behind."""
    run = start("reports", *options, environment={"HOLD": "60"})
    began = time.monotonic()
    for _ in range(2):
        os.kill(run.process.pid, signal.SIGINT)
        time.sleep(0.8)
    assert run.process.wait(5) == -signal.SIGINT
    assert time.monotonic() - began < 5
    while run.left and time.monotonic() < began + 10:
        time.sleep(0.1)
    assert run.left == set()

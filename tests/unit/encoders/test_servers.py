"""Servers that are started for a run end with it, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders import servers
from pytest_embedqa.encoders.servers import Server, stop_all_soon

# A server with a child, which ends at SIGTERM or does not, and says by whom it is to be found.
SOURCE = """
import http.server, os, signal, subprocess, sys
if sys.argv[2] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(sys.argv[3], "w").write(f"{os.getpid()} {child.pid}")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self): self.send_response(200); self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def is_alive(number):
    """Whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def are_gone(processes):
    """Whether none is left; a process that is killed is seen for a moment longer."""
    end = time.monotonic() + 2
    while processes() and time.monotonic() < end:
        time.sleep(0.02)
    return processes() == []


@pytest.fixture
def command(tmp_path):
    """The command of a server: ``command("ends")`` or ``command("deaf")``."""
    source = tmp_path / "server.py"
    source.write_text(SOURCE)
    return lambda kind: [sys.executable, str(source), "{port}", kind, str(tmp_path / "pids")]


@pytest.fixture
def processes(tmp_path):
    """The processes of the server that are still alive."""
    return lambda: [one for one in (tmp_path / "pids").read_text().split() if is_alive(int(one))]


def test_stops_with_its_children_and_folder(command, processes):
    """Once is enough, and twice does no harm; the watchdog is gone too."""
    server = Server(command("ends"))
    (watchdog,) = [one for one in children() if "watchdog.py" in one[1]]
    assert len(processes()) == 2
    server.stop()
    server.stop()
    assert are_gone(processes)
    assert not server.log.parent.exists()
    assert not is_alive(watchdog[0])


def children():
    """Processes that this one has started: number and command."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, facts = stat.read_text().rpartition(")")
            command = stat.with_name("cmdline").read_text()
        except OSError:
            continue
        if int(facts.split()[1]) == os.getpid():
            found.append((int(name.split()[0]), command))
    return found


@pytest.mark.parametrize(("kind", "seconds"), [("ends", 6), pytest.param("deaf", 12, marks=pytest.mark.slow)])
def test_ends_when_its_run_is_killed(tmp_path, command, processes, kind, seconds):
    """By the watchdog: the server, its child, and its folder, also where it pays no heed to SIGTERM."""
    code = f"import time; from pytest_embedqa.encoders.servers import Server\nprint(Server({command(kind)}).log, flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as run:
        folder = Path(run.stdout.readline().strip()).parent
        assert len(processes()) == 2
        run.send_signal(signal.SIGKILL)
    end = time.monotonic() + seconds
    while (processes() or folder.exists()) and time.monotonic() < end:
        time.sleep(0.05)
    assert are_gone(processes)
    assert not folder.exists()


def test_all_end_soon(command, processes, monkeypatch):
    """Servers that a run is interrupted with are told at once, and are waited for no longer than that takes."""
    monkeypatch.setattr(servers, "_SECONDS_TO_STOP_SOON", 0.5)
    with Server(command("deaf")):
        stop_all_soon()
        began = time.monotonic()
    assert time.monotonic() - began < 3
    assert are_gone(processes)


def test_an_interrupt_while_it_stops(command, processes):
    """Its processes end at once, and the interrupt goes on."""
    server = Server(command("deaf"))
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    before, began = signal.signal(signal.SIGINT, signal.default_int_handler), time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            server.stop()
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - began < 5
    assert are_gone(processes)
    assert not server.log.parent.exists()


def test_a_server_that_never_answers_is_ended(command, processes):
    """It is given up with what is known of it, and leaves no process."""
    silent = command("ends")
    silent[1] = str(Path(silent[1]).with_name("silent.py"))
    Path(silent[1]).write_text("import os, sys, time; open(sys.argv[3], 'w').write(str(os.getpid())); time.sleep(600)")
    with pytest.raises(EngineError, match="did not answer at http"):
        Server(silent, timeout=1)
    assert are_gone(processes)

"""Servers that tests of indexes start."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time


@contextlib.contextmanager
def running(command, folder):
    """Start a server, with ``{port}`` replaced by a free port, and yield its address once it listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    parts = [part.replace("{port}", str(port)) for part in command]
    with (folder / "log").open("wb") as log, subprocess.Popen(parts, stdout=log, stderr=log) as process:
        try:
            wait_for(process, port, folder / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def wait_for(process, port, log, seconds=60):
    """Wait until a server listens."""
    end = time.monotonic() + seconds
    while not listens(port):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.1)


def listens(port):
    """Whether somebody listens at a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

"""Processes of Python that wait for no import: forked from one that has loaded what takes seconds.

Such a process has words, a folder, an environment, output, a session and an end of its own, as any other of ``python -m pytest``.
What a package reads from the environment as it is imported is that of the server.
"""

from __future__ import annotations

import gc
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock

# Nothing that starts threads, which no fork has, and no plugin of pytest, which pytest itself loads.
LOADED = ("bm25s", "httpx", "mteb", "numpy", "openai", "sentence_transformers", "transformers.dynamic_module_utils")


class ForkServer:
    """A process that has loaded packages, and forks."""

    def __init__(self, *, environment: Mapping[str, str]) -> None:
        """Start it."""
        self._lock = Lock()  # xdist asks from several threads
        self._connection, theirs = Pipe()
        command = [sys.executable, __file__, str(theirs.fileno())]
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=environment)
        theirs.close()

    def python(
        self,
        *words: str,
        streams: Sequence[int],
        folder: Path | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> ForkedProcess:
        """Start ``python`` with words: ``-m MODULE`` and what it gets, or ``-c CODE``.

        Args:
            words: The words.
            streams: The numbers of its standard input, output and error.
            folder: Its current folder, if it is another.
            environment: Its environment, if it is another.
        """
        with self._lock:
            self._connection.send((words, str(folder or Path.cwd()), dict(environment)))
            for stream in streams:
                send_handle(self._connection, stream, self._process.pid)
            return ForkedProcess(self, self._connection.recv())

    def ended(
        self, *words: str, folder: Path | None = None, environment: Mapping[str, str] = os.environ
    ) -> tuple[int, str]:
        """Start the same; its exit code and all that it printed."""
        with Path(os.devnull).open() as nothing, TemporaryFile("w+", encoding="utf-8", errors="replace") as out:
            streams = (nothing.fileno(), out.fileno(), out.fileno())
            code = self.python(*words, streams=streams, folder=folder, environment=environment).wait()
            out.seek(0)
            return code, out.read()

    def code_of(self, pid: int) -> int | None:
        """The exit code of a process; ``None`` while it runs."""
        with self._lock:
            self._connection.send(pid)
            return self._connection.recv()

    def close(self) -> None:
        """End it."""
        self._connection.close()
        self._process.wait(20)


class ForkedProcess:
    """What ``subprocess.Popen`` has of a process."""

    def __init__(self, server: ForkServer, pid: int) -> None:
        """Keep its number."""
        self._server = server
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, or the signal that ended it below zero; ``None`` while it runs."""
        if self.returncode is None:
            self.returncode = self._server.code_of(self.pid)
        return self.returncode

    def kill(self) -> None:
        """End it at once."""
        os.kill(self.pid, signal.SIGKILL)

    def wait(self, seconds: float = 300) -> int:
        """The same, when it has ended; a process that takes longer is killed."""
        end = time.monotonic() + seconds
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                self.kill()
                raise subprocess.TimeoutExpired("python", seconds)
            time.sleep(0.02)
        return code


def serve(connection: Connection) -> tuple[Sequence[str], str, Mapping[str, str]] | None:
    """Fork for each process that is asked for.

    Returns:
        In the new process what it is to be; ``None`` in the server when nobody asks any more.
    """
    while True:
        try:
            asked = connection.recv()
        except EOFError:
            return None
        if isinstance(asked, int):
            pid, status = os.waitpid(asked, os.WNOHANG)
            connection.send(os.waitstatus_to_exitcode(status) if pid else None)
            continue
        streams = [recv_handle(connection) for _ in range(3)]
        if not (pid := os.fork()):
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
        for stream in streams:
            os.close(stream)
        if not pid:
            connection.close()
            return asked
        connection.send(pid)


def become(words: Sequence[str], folder: str, environment: Mapping[str, str]) -> None:
    """Make of this process what ``python`` with these words would be."""
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    how, what, *sys.argv[1:] = words
    sys.path[:1] = [folder if how == "-m" else "", *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    if how == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        sys.argv[0] = how
        exec(what, {"__name__": "__main__"})  # noqa: S102  as Python does


if __name__ == "__main__":
    for module in LOADED:
        import_module(module)
    # It brings a plugin, so that pytest would warn that it can't be rewritten any more.
    sys.modules["anyio"].__doc__ = "PYTEST_DONT_REWRITE"
    # What is loaded is no garbage, in none of the processes.
    gc.freeze()
    if described := serve(Connection(int(sys.argv[1]))):
        become(*described)

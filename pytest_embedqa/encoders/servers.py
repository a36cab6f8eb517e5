"""Servers that a test starts: a subprocess on a free port of this machine, waited for, and stopped for certain."""

from __future__ import annotations

import atexit
import contextlib
import http.client
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from functools import partial
from http import HTTPStatus
from pathlib import Path
from types import TracebackType

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.core.secrets import hide_given, public_command
from pytest_embedqa.core.waiting import waiting
from pytest_embedqa.encoders.bounds import within
from pytest_embedqa.encoders.scratch import scratch_folder

_LOG_LINES = 15
# Statuses of a server that is up. Without the key it refuses, which is reported when it is asked for vectors.
_UP = {HTTPStatus.OK, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
_SECONDS_TO_STOP = 20
_SECONDS_FOR_A_PAGE = 5
# Shorter time to stop, for a run that was told to end: whoever told it does not wait for long.
_SECONDS_TO_STOP_SOON = 5
_WATCHDOG = str(Path(__file__).with_name("watchdog.py"))
_RUNNING: set[Server] = set()


def stop_all_soon() -> None:
    """Tell all servers of this process to end, without waiting; stopping them takes little time from then on."""
    for server in list(_RUNNING):
        server.stop_soon()


class Server:
    """A running server.

    Attributes:
        root: Address of the server, ``http://127.0.0.1:PORT``.
        url: Base URL of its OpenAI-compatible API, ``http://127.0.0.1:PORT/v1``.
        log: File with the output of the server.
        process: The process; the first of its own process group.
    """

    def __init__(self, command: Sequence[str], *, timeout: float = 600) -> None:
        """Start a command, with ``{port}`` replaced by a free port, and wait until it answers.

        Args:
            command: The command and its arguments; no shell is involved.
            timeout: Seconds to wait.

        Raises:
            EngineError: If the server can't be started, ends, or does not answer in time; with the end of its log.
        """
        written = shlex.join(command)
        hide_given(written)  # the log may quote its secrets
        self._shown = public_command(written)
        if not any("{port}" in part for part in command):
            raise EngineError(
                f"The command of a server needs {{port}} where its port belongs, e.g. --port {{port}}: {self._shown}"
            )
        port = _free_port()
        parts = [part.replace("{port}", str(port)) for part in command]
        self.root = f"http://127.0.0.1:{port}"
        self.url = f"{self.root}/v1"
        # Deadline for ending by itself, on the monotonic clock; ``None`` if it was not told to end.
        self._end: float | None = None
        with contextlib.ExitStack() as started:
            folder = started.enter_context(scratch_folder("server"))
            self.log = folder / "log"
            try:
                with self.log.open("wb") as log:
                    # A process group of its own: a server has children, and Ctrl-C in the terminal is for the tests.
                    self.process = subprocess.Popen(  # noqa: S603  the user's own command
                        parts,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
            except OSError as error:
                raise EngineError(
                    f"The server can't be started: {error.strerror}. The command was: {self._shown}"
                ) from None  # Python's own error names the first word, which may be API_KEY=...
            try:
                started.enter_context(watchdog(self.process.pid, folder))
            finally:  # the watchdog watches until the group has ended
                started.callback(self._end_group)
            _RUNNING.add(self)
            started.callback(_RUNNING.discard, self)
            with waiting(f"the start of {self._shown}"):
                self._wait(timeout)
            self._started = started.pop_all()
        atexit.register(self.stop)

    def stop(self) -> None:
        """Stop the server and its children: politely first."""
        atexit.unregister(self.stop)
        self._started.close()

    def stop_soon(self) -> None:
        """Tell the server to end, and don't wait for it."""
        self._tell_to_end(_SECONDS_TO_STOP_SOON)

    def _tell_to_end(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGTERM)

    def _end_group(self) -> None:
        if self._end is None:
            self._tell_to_end(_SECONDS_TO_STOP)
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(max(0, (self._end or 0) - time.monotonic()))
        finally:  # also where the wait is interrupted
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)

    def __enter__(self) -> Server:  # noqa: PYI034  Self is not in the oldest Python supported
        """Return the server, which is running already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    def _wait(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not self._answers():
            if self.process.poll() is not None:
                raise EngineError(
                    f"The server ended with exit code {self.process.returncode} before it answered.{self._end_of_log()}"
                )
            if time.monotonic() > deadline:
                status = _status_in_time(self.root + "/health")
                said = f"answered {status} to {self.root}/health" if status else f"did not answer at {self.root}"
                raise EngineError(
                    f"The server {said} within {timeout:g} seconds; start_timeout= in the spec sets another limit.{self._end_of_log()}"
                )
            time.sleep(0.2)

    def _answers(self) -> bool:
        health = _status_in_time(self.root + "/health")
        # llama.cpp answers 503 while it loads; a server without a health page is up when it lists its models.
        return health in _UP or (health == HTTPStatus.NOT_FOUND and _status_in_time(self.root + "/v1/models") in _UP)

    def _end_of_log(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]
        return "\n".join([f" The command was: {self._shown}", "Its last words:", *(f"  {line}" for line in lines)])


def _status_in_time(url: str) -> int:
    """Return the HTTP status of a page; 0 without an answer within some seconds."""
    return within(_SECONDS_FOR_A_PAGE, partial(_status, url)) or 0


@contextlib.contextmanager
def watchdog(group: int, folder: Path) -> Iterator[None]:
    """Start a process that ends a process group and removes a folder if this process dies first."""
    command = [sys.executable, "-I", "-S", _WATCHDOG, str(os.getpid()), str(group), str(folder)]
    # In a session of its own, the watchdog gets no signal that is sent to all processes of a run.
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, cwd="/") as process:  # noqa: S603  our own script
        try:
            yield
        finally:
            process.kill()


def _status(url: str) -> int:
    """Return the HTTP status of a page; 0 if nobody answers."""
    # A proxy would look for this loopback address on its own machine.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=_SECONDS_FOR_A_PAGE) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, ValueError, http.client.HTTPException):
        return 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

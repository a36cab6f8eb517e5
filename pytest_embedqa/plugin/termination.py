"""The orderly end of a run: SIGTERM interrupts pytest as Ctrl-C does, and a second signal ends it at once."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from queue import Empty
from types import FrameType
from typing import Any

import pytest

_NAME = "embedqa-ending"
# Signals closer together count as one: shells, make and tox pass on a Ctrl-C that the terminal has sent to all of them.
_SECONDS_OF_ONE = 0.5
# Seconds that workers may take to stop their servers, to hand over their results and to exit.
_SECONDS_OF_WORKERS = 9
# Seconds that workers which are late have to exit.
_SECONDS_AT_LEAST = 0.5


def prepare(session: pytest.Session) -> None:
    """Register the handler of signals, once a run."""
    plugins = session.config.pluginmanager
    if not plugins.hasplugin(_NAME):
        plugins.register(Ending(session), _NAME)


class Ending:
    """A plugin that ends a run in an orderly way when a signal tells it to.

    It takes over only signals that nobody else handles, in the main thread alone, and gives them back at the end.
    """

    def __init__(self, session: pytest.Session) -> None:
        """Listen to SIGTERM. Ctrl-C needs nothing yet: Python turns it into the exception that pytest waits for."""
        self._session = session
        self._is_worker = hasattr(session.config, "workerinput")
        self._before: dict[signal.Signals, Any] = {}
        # The time on the monotonic clock at which each signal that ends the run came.
        self._told: dict[int, float] = {}
        # Under a debugger Ctrl-C opens its prompt; SIGTERM does not ask for one.
        if not session.config.getoption("usepdb", default=False):
            self._handle(signal.SIGTERM, signal.SIG_DFL, self._interrupt)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Tell servers and workers to end, so that nothing waits for them; further signals must not cut the rest short."""
        # As Python exits, it would look for garbage among the million objects of torch and its kin.
        atexit.register(gc.freeze)
        told = signal.SIGTERM if str(excinfo.value) == signal.SIGTERM.name else signal.SIGINT
        self._told[told] = time.monotonic()
        self._finish()
        if servers := sys.modules.get("pytest_embedqa.encoders.servers"):
            servers.stop_all_soon()
        if running := self._session.config.pluginmanager.getplugin("dsession"):
            _signal_workers(running, signal.SIGTERM)  # now: formatting a traceback takes pytest a second

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Generator[None, object, object]:
        """Write all reports before anything else, ours and those of other plugins, whatever signal comes."""
        if self._told and (running := self._session.config.pluginmanager.getplugin("dsession")):
            _collect_workers(running, self._session.config)
        self._finish()
        return (yield)

    def pytest_unconfigure(self) -> None:
        """Restore the signal handlers, unless someone else has replaced them meanwhile."""
        for number, handler in self._before.items():
            if signal.getsignal(number) in {self._interrupt, self._count}:
                signal.signal(number, handler)

    def _finish(self) -> None:
        self._handle(signal.SIGTERM, self._interrupt, self._count)
        self._handle(signal.SIGINT, signal.default_int_handler, self._count)

    def _handle(self, number: signal.Signals, theirs: object, ours: Callable[[int, FrameType | None], None]) -> None:
        """Handle a signal, unless someone else handles it."""
        if threading.current_thread() is threading.main_thread() and signal.getsignal(number) == theirs:
            self._before.setdefault(number, theirs)
            signal.signal(number, ours)

    def _interrupt(self, number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        self._session.shouldstop = name  # if someone catches the exception, pytest stops after this test
        raise KeyboardInterrupt(name)

    def _count(self, number: int, _frame: FrameType | None) -> None:
        """Count a signal while the run ends: the second of its kind ends the run now."""
        first = self._told.setdefault(number, time.monotonic())
        if time.monotonic() - first < _SECONDS_OF_ONE or self._is_worker:  # for a worker, the controller decides
            return
        if running := self._session.config.pluginmanager.getplugin("dsession"):
            _signal_workers(running, signal.SIGKILL)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _signal_workers(running: Any, number: signal.Signals) -> None:  # xdist's own type
    """Send a signal to the workers that this process has started."""
    for node in running._active_nodes:  # noqa: SLF001  xdist has no other list
        if node.gateway.spec.popen and not node.gateway.spec.via:
            with suppress(ProcessLookupError):
                os.kill(node.gateway._rinfo().pid, number)  # noqa: SLF001  asked for by xdist when it started the worker


def _collect_workers(running: Any, config: pytest.Config) -> None:  # xdist's own type
    """Take the remaining reports of xdist's interrupted workers, which xdist itself would end silently."""
    left, end = set(running._active_nodes), time.monotonic() + _SECONDS_OF_WORKERS  # noqa: SLF001
    with suppress(Empty):
        while left:
            event, told = running.queue.get(timeout=max(0, end - time.monotonic()))
            if event in {"logstart", "testreport", "logfinish"}:
                getattr(running, f"worker_{event}")(**told)
            elif event in {"workerfinished", "errordown"}:
                config.hook.pytest_testnodedown(node=told["node"], error=told.get("error"))
                left.discard(told["node"])
    # xdist gives them ten seconds more to exit, and then kills them.
    running.nodemanager.EXIT_TIMEOUT = max(_SECONDS_AT_LEAST, end - time.monotonic())

"""The recorder of test reports, kept until this plugin writes its own; under pytest-xdist in the controller."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest

from pytest_embedqa.markers import CAPABILITY
from pytest_embedqa.plugin.faults import contained
from pytest_embedqa.plugin.state import settings_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from pytest_embedqa.reports.run import Run

_SELECTED = "embedqa_selected"

# Lines at the end of the summary that list the written files.
WRITTEN: pytest.StashKey[list[str]] = pytest.StashKey()
# Whether this run runs tests; unset where pytest only lists something.
RUNS: pytest.StashKey[bool] = pytest.StashKey()
RECORDER: pytest.StashKey[Recorder] = pytest.StashKey()


@contained
class Recorder:
    """A plugin that keeps the reports of all tests."""

    def __init__(self, config: pytest.Config) -> None:
        """Note the start of the run."""
        self._config = config
        self.reports: list[pytest.TestReport | pytest.CollectReport] = []
        self._started = datetime.now(timezone.utc).astimezone()
        self._began = time.monotonic()
        self._run: Run | None = None
        # Whether the run has had any embedding test.
        self.seen = False
        # The number of selected embedding tests, and the reason why the run ended before all of them.
        self._selected = 0
        self._interrupted: str | None = None
        self._running: dict[str, None] = {}

    def select(self, tests: int) -> None:
        """Keep the number of selected embedding tests."""
        self._selected = max(self._selected, tests)  # each xdist worker reports the same number

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note that a test has started."""
        self._running[nodeid] = None

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Note that a test has finished."""
        self._running.pop(nodeid, None)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Keep the reason why the run was interrupted."""
        self._interrupted = str(excinfo.value) or "SIGINT"
        # pytest itself stops where a file can't be collected: no embedding test has begun.
        self.seen = self.seen or (self._selected > 0 and not isinstance(excinfo.value, pytest.Session.Interrupted))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the report of a test."""
        self.reports.append(report)
        self.seen = self.seen or any(name == CAPABILITY for name, _ in report.user_properties)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep the reason why a file could not be collected."""
        if report.failed:
            self.reports.append(report)

    def run(self) -> Run:
        """Return all that was reported; called when the tests are over.

        This is not a property: before 8.1, pytest reads each attribute of a plugin when it is registered.
        """
        if self._run is None:
            from pytest_embedqa.reports.environment import environment  # at the end of a run only
            from pytest_embedqa.reports.interruption import Interruption
            from pytest_embedqa.reports.run import run_of

            interruption = None
            if self._interrupted is not None:
                interruption = Interruption(self._interrupted, 0, self._selected, tuple(self._running))
            self._run = run_of(
                self.reports,
                settings=settings_of(self._config).as_dict(),
                environment=environment(),
                started=self._started.isoformat(timespec="seconds"),
                seconds=time.monotonic() - self._began,
                interrupted=interruption,
            )
        return self._run


def tell_selected(config: pytest.Config, tests: int) -> None:
    """Keep the number of selected embedding tests, and pass it on to the controller if this is a worker."""
    if RECORDER in config.stash:
        config.stash[RECORDER].select(tests)
    else:
        config.workeroutput[_SELECTED] = tests  # type: ignore[attr-defined]


def take_selected(config: pytest.Config, output: Mapping[str, Any]) -> None:
    """Take the number of selected embedding tests from a worker."""
    config.stash[RECORDER].select(output.get(_SELECTED, 0))

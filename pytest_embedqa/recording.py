"""Test reports of a run, kept until its own reports are written; under pytest-xdist in the controller."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest

from pytest_embedqa.faults import contained
from pytest_embedqa.markers import CAPABILITY
from pytest_embedqa.options import settings_of

if TYPE_CHECKING:
    from pytest_embedqa.reports.run import Run

# Lines at the end of the summary: what was written where.
WRITTEN: pytest.StashKey[list[str]] = pytest.StashKey()
# Whether this run runs tests; it has none of it where pytest only lists something.
RUNS: pytest.StashKey[bool] = pytest.StashKey()
RECORDER: pytest.StashKey[Recorder] = pytest.StashKey()


@contained
class Recorder:
    """A plugin that keeps what every test reported."""

    def __init__(self, config: pytest.Config) -> None:
        """The run begins now."""
        self._config = config
        self.reports: list[pytest.TestReport | pytest.CollectReport] = []
        self._started = datetime.now(timezone.utc).astimezone()
        self._began = time.monotonic()
        self._run: Run | None = None
        # Whether there was any test of embedding quality.
        self.seen = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the report of a test."""
        self.reports.append(report)
        self.seen = self.seen or any(name == CAPABILITY for name, _ in report.user_properties)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep why a file could not be collected."""
        if report.failed:
            self.reports.append(report)

    def run(self) -> Run:
        """All that was reported; asked for when the tests are over.

        No property: before 8.1, pytest reads each attribute of a plugin when it is registered.
        """
        if self._run is None:
            from pytest_embedqa.reports.environment import environment  # noqa: PLC0415  at the end of a run only
            from pytest_embedqa.reports.run import run_of  # noqa: PLC0415

            self._run = run_of(
                self.reports,
                settings=settings_of(self._config).as_dict(),
                environment=environment(),
                started=self._started.isoformat(timespec="seconds"),
                seconds=time.monotonic() - self._began,
            )
        return self._run

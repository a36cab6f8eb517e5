"""Test reports of a run, kept until its reports are written; under pytest-xdist in the controller."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_embedqa.markers import CAPABILITY
from pytest_embedqa.options import settings_of

if TYPE_CHECKING:
    from pytest_embedqa.reports.run import Run

# Lines at the end of the summary: what was written where.
WRITTEN: pytest.StashKey[list[str]] = pytest.StashKey()
RECORDER: pytest.StashKey[Recorder] = pytest.StashKey()


class Recorder:
    """A plugin that keeps what every test reported."""

    def __init__(self, config: pytest.Config) -> None:
        """The run begins now."""
        self._config = config
        self._reports: list[pytest.TestReport | pytest.CollectReport] = []
        self._started = datetime.now(timezone.utc).astimezone()
        self._began = time.monotonic()
        # Whether there was any test of embedding quality.
        self.seen = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the report of a test."""
        self._reports.append(report)
        self.seen = self.seen or any(name == CAPABILITY for name, _ in report.user_properties)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep why a file could not be collected."""
        if report.failed:
            self._reports.append(report)

    @cached_property
    def run(self) -> Run:
        """All that was reported; asked for when the tests are over."""
        from pytest_embedqa.reports.environment import environment  # noqa: PLC0415  at the end of a run only
        from pytest_embedqa.reports.run import run_of  # noqa: PLC0415

        return run_of(
            self._reports,
            settings=settings_of(self._config).as_dict(),
            environment=environment(),
            started=self._started.isoformat(timespec="seconds"),
            seconds=time.monotonic() - self._began,
        )

    def write_reports(self) -> bool:
        """Write the reports that were asked for; what was written, and what could not be, stands in the summary.

        Returns:
            Whether all could be written.
        """
        option, summary = self._config.option, os.environ.get("GITHUB_STEP_SUMMARY")
        if not (option.embedqa_html or option.embedqa_json or (summary and self.seen)):
            return True
        settings, run, done = settings_of(self._config), self.run, True
        lines = self._config.stash.setdefault(WRITTEN, [])
        for path, kind in ((settings.html, "html"), (settings.json, "json")):
            if path is None:
                continue
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(_rendered(run, kind), encoding="utf-8", errors="backslashreplace")
                lines.append(f"wrote {path}")
            except OSError as error:
                lines.append(
                    f"{path} could not be written: {error.strerror}. --embedqa-{kind}=PATH names another place."
                )
                done = False
        if summary and self.seen:
            lines += _added_to(Path(summary), run)
        return done

    def annotations(self) -> Iterator[str]:
        """Lines by which GitHub marks the tests that failed, under its actions and nowhere else."""
        theirs = self._config.pluginmanager.hasplugin("pytest_github_actions_annotate_failures")
        if os.environ.get("GITHUB_ACTIONS") == "true" and not theirs:
            from pytest_embedqa.reports.github import annotations  # noqa: PLC0415  in GitHub's actions only

            yield from annotations.lines(self.run, self._config.rootpath)


def _added_to(path: Path, run: Run) -> list[str]:
    """Add to the summary of a CI job; that it can't be written is no reason for a run to fail."""
    from pytest_embedqa.reports.github.summary import summary  # noqa: PLC0415  in CI only

    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(summary(run))
    except OSError as error:
        return [f"the summary of this job could not be written: {path}: {error.strerror} (GITHUB_STEP_SUMMARY)"]
    return []


def _rendered(run: Run, kind: str) -> str:
    if kind == "json":
        return json.dumps(run.as_dict(), ensure_ascii=False, indent=1, allow_nan=False)
    from pytest_embedqa.reports.html import render  # noqa: PLC0415  loads the plots' library

    return render(run)

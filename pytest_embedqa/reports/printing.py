"""Safe printing to the terminal: no text of a run can steer the terminal, or the log of a job."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from pytest_embedqa.core.showing import shown, shown_in_colours

if TYPE_CHECKING:
    import pytest


class Printer:
    """A printer through pytest's reporter that makes control sequences in foreign text visible and harmless."""

    def __init__(self, reporter: pytest.TerminalReporter) -> None:
        """Print through a reporter."""
        self._reporter = reporter
        self.verbosity = reporter.verbosity

    def write(self, text: str) -> None:
        """Start a line."""
        self._reporter.write(shown(text))

    def write_line(self, line: str, **markup: bool) -> None:
        """Print a line, or complete a started line."""
        self._reporter.write_line(shown(line), **markup)


def show(report: pytest.TestReport, *, coloured: bool = False) -> None:
    """Make a report's texts harmless wherever they are printed: failures, and reasons of skips and expected failures.

    Output of the test itself stays as pytest captured it.

    Args:
        report: The report of a test.
        coloured: Whether pytest has coloured some of its lines, as it does where an ``assert`` compares.
    """
    report.longrepr = _shown(report.longrepr, coloured=coloured)
    if hasattr(report, "wasxfail"):
        report.wasxfail = shown(str(report.wasxfail))


def _shown(part: Any, *, coloured: bool) -> Any:  # texts, tuples of them, or pytest's own tree of them
    if isinstance(part, str):
        return shown_in_colours(part) if coloured else shown(part)
    if isinstance(part, list | tuple):
        return type(part)(_shown(one, coloured=coloured) for one in part)
    if is_dataclass(part):
        for field in fields(part):
            setattr(part, field.name, _shown(getattr(part, field.name), coloured=coloured))
    return part

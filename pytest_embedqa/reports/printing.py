"""Safe printing to the terminal: no text of a run can steer the terminal, or the log of a job."""

from __future__ import annotations

from collections.abc import Callable
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
    report.longrepr = rewritten(report.longrepr, shown_in_colours if coloured else shown)
    if hasattr(report, "wasxfail"):
        report.wasxfail = shown(str(report.wasxfail))


def rewritten(part: Any, change: Callable[[str], str]) -> Any:
    """Change all texts of a part of a report: of lists and tuples, and of pytest's own objects, which stay the same."""
    if isinstance(part, str):
        return change(part)
    if type(part) in {list, tuple}:
        return type(part)(rewritten(one, change) for one in part)
    if type(part).__module__.startswith("_pytest."):
        for name, value in vars(part).items():
            setattr(part, name, rewritten(value, change))
    return part

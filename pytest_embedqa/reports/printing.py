"""The terminal, as our texts reach it: no text of a run can speak to it, or to the log of a job."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from pytest_embedqa.core.showing import shown, shown_in_colours

if TYPE_CHECKING:
    import pytest


class Printer:
    """pytest's reporter, through which foreign text is shown and does nothing."""

    def __init__(self, reporter: pytest.TerminalReporter) -> None:
        """Print with a reporter."""
        self._reporter = reporter
        self.verbosity = reporter.verbosity

    def write(self, text: str) -> None:
        """Begin a line."""
        self._reporter.write(shown(text))

    def write_line(self, line: str, **markup: bool) -> None:
        """Print a line, or end one that was begun."""
        self._reporter.write_line(shown(line), **markup)


def show(report: pytest.TestReport, *, coloured: bool = False) -> None:
    """Let what a report of ours says be shown, wherever it is printed: its failure, and why it was skipped or expected.

    What the test itself printed stays as pytest captured it.

    Args:
        report: The report of a test.
        coloured: Whether pytest has coloured lines of it, as it does where an ``assert`` compares.
    """
    report.longrepr = _shown(report.longrepr, coloured=coloured)
    if hasattr(report, "wasxfail"):
        report.wasxfail = shown(str(report.wasxfail))


def _shown(part: Any, *, coloured: bool) -> Any:  # noqa: ANN401  texts, tuples of them, or pytest's own tree of them
    if isinstance(part, str):
        return shown_in_colours(part) if coloured else shown(part)
    if isinstance(part, list | tuple):
        return type(part)(_shown(one, coloured=coloured) for one in part)
    if is_dataclass(part):
        for field in fields(part):
            setattr(part, field.name, _shown(getattr(part, field.name), coloured=coloured))
    return part

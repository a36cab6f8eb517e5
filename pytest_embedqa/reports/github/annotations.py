"""Workflow commands of GitHub: a failure stands at the line of its test, in the changes of a pull request."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pytest_embedqa.core.showing import shown
from pytest_embedqa.core.verdict import Outcome
from pytest_embedqa.reports.github.markup import count
from pytest_embedqa.reports.run import BAD, ERROR, SKIPPED, Run, Test

# GitHub shows the first ten annotations of each kind in a step.
MOST = 10
_MOST_SIGNS = 2_000
_TITLE = "embedding quality"


class _Annotation(NamedTuple):
    """A message about a test."""

    test: Test
    message: str


def lines(run: Run, root: Path | None = None) -> Iterator[str]:
    """Yield a workflow command a line: errors for failures, warnings for unsure verdicts, notices for reasons of skips.

    Args:
        run: The run to report.
        root: Folder to which the paths of test files are relative (pytest's rootdir); by default the current folder.
    """
    here = root or Path.cwd()
    place = Path(os.path.relpath(here, os.environ.get("GITHUB_WORKSPACE") or here))
    failed = [_Annotation(test, _told(test)) for test in sorted(run.bad, key=_off, reverse=True)]
    yield from _commands("error", failed, place)
    unsure = [
        _Annotation(test, f"{verdict.task}: {verdict.reason}")
        for test in run.tests
        if test.outcome not in BAD
        for verdict in test.verdicts
        if verdict.outcome is Outcome.INCONCLUSIVE
    ]
    yield from _commands("warning", unsure, place)
    yield from _commands("notice", list(_skips(run)), place)


def _off(test: Test) -> float:
    """Return how far a test is off, relative to its bound. A test without a verdict is worst, a single probe least."""
    failed = [one for one in test.verdicts if one.outcome is Outcome.FAIL]
    if test.outcome == ERROR or not (test.verdicts or test.facts.get("probe")):
        return math.inf
    misses = [abs(one.value - one.bound) / (abs(one.bound) or 1.0) for one in failed]
    return max((math.inf if math.isnan(miss) else miss for miss in misses), default=0.0)


def _told(test: Test) -> str:
    """Return the reason of a failure; of a traceback, only the lines with the error."""
    errors = [line.removeprefix("E").strip() for line in test.text.splitlines() if line.startswith("E  ")]
    text = "\n".join(errors) or test.text
    return text if len(text) <= _MOST_SIGNS else f"{text[:_MOST_SIGNS]}…"


def _skips(run: Run) -> Iterator[_Annotation]:
    """Yield an annotation for each reason of a skip, at the first test that was skipped for it."""
    reasons: dict[str, list[Test]] = {}
    for test in run.tests:
        if test.outcome == SKIPPED:
            reasons.setdefault(test.text, []).append(test)
    for reason, tests in reasons.items():
        more = f" (and {count(len(tests) - 1, 'test')} more)" if len(tests) > 1 else ""
        yield _Annotation(tests[0], f"skipped: {reason}{more}")


def _commands(kind: str, annotations: Sequence[_Annotation], place: Path) -> Iterator[str]:
    """Yield a line for each annotation; beyond GitHub's limit, the last line stands for the rest."""
    shown = annotations if len(annotations) <= MOST else annotations[: MOST - 1]
    for test, message in shown:
        file = os.path.normpath(place / test.file)
        where = "" if file.startswith("..") else f"file={_property(file)},line={test.line},"
        yield f"::{kind} {where}title={_property(f'{_TITLE}: {_name(test)}')}::{_data(message)}"
    if rest := annotations[len(shown) :]:
        names = ", ".join(dict.fromkeys(_name(test) for test, _ in rest))
        yield f"::{kind} title={_TITLE}::{_data(f'and {len(rest)} more: {names:.{_MOST_SIGNS}}')}"


def _name(test: Test) -> str:
    return test.id.rpartition("::")[2]


def _data(text: str) -> str:
    """Escape a text as a command's message, so that line breaks do not end it."""
    return shown("\n".join(text.splitlines())).replace("%", "%25").replace("\n", "%0A")


def _property(text: str) -> str:
    """Escape a text as a property's value, which a comma or colon would end, too."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")

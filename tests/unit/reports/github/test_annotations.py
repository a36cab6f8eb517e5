"""Workflow commands: what GitHub reads from a line of the log."""

from __future__ import annotations

import re

import pytest

from pytest_embedqa.core.verdict import Outcome, Verdict
from pytest_embedqa.reports.github.annotations import lines
from pytest_embedqa.reports.run import Run
from pytest_embedqa.reports.run import Test as Result

COMMAND = re.compile(r"::(?P<kind>\w+) (?P<properties>[^:]*)::(?P<message>.*)")


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch):
    """Whether or not these tests run in GitHub's actions."""
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)


def result(outcome, *verdicts, name="test_a", text="", file="tests/t.py", **facts):
    """A test with what it told."""
    facts["verdict"] = [
        Verdict("mini", "faq", "min_x=0.9", "x", value, 0.9, state, f"x is {value}.").as_dict()
        for state, value in verdicts
    ]
    return Result(f"{file}::{name}", file, 7, outcome, 1.0, "quality", text, facts)


def unescaped(text):
    """What GitHub's runner makes of a value."""
    for code, sign in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        text = text.replace(code, sign)
    return text


def read(line):
    """Kind, properties and message of a command."""
    found = COMMAND.fullmatch(line)
    properties = dict(pair.split("=", 1) for pair in found["properties"].split(","))
    return found["kind"], {name: unescaped(value) for name, value in properties.items()}, unescaped(found["message"])


def commands(*tests, root=None):
    """All of a run."""
    return [read(line) for line in lines(Run(tests), root)]


def test_a_failure_stands_at_the_line_of_its_test():
    """File, line, a title with its name, and the text of the failure in one command."""
    assert commands(result("failed", (Outcome.FAIL, 0.5), text="faq: x is 0.5.\n  try  y: 95 %, z")) == [
        (
            "error",
            {"file": "tests/t.py", "line": "7", "title": "embedding quality: test_a"},
            "faq: x is 0.5.\n  try  y: 95 %, z",
        )
    ]


def test_what_is_unsure_is_a_warning_and_what_is_skipped_a_notice():
    """One notice for each reason; a test that failed says so once, and one that passed says nothing."""
    unsure = (Outcome.INCONCLUSIVE, 0.8)
    found = commands(
        result("passed", (Outcome.PASS, 1.0)),
        result("passed", unsure, name="test_b"),
        result("failed", unsure, name="test_c", text="strict"),
        *(result("skipped", name=f"test_{number}", text="no data") for number in range(3)),
    )
    assert [(kind, told["title"].partition(": ")[2], message) for kind, told, message in found] == [
        ("error", "test_c", "strict"),
        ("warning", "test_b", "faq: x is 0.8."),
        ("notice", "test_0", "skipped: no data (and 2 tests more)"),
    ]


def test_of_a_traceback_the_error_alone_is_shown():
    """A line of a pull request has no room for sources."""
    text = "def test_a():\n>   assert 1 == 2\nE   assert 1 == 2\n\nt.py:3: AssertionError"
    ((_, _, message),) = commands(result("failed", text=text))
    assert message == "assert 1 == 2"


def test_the_worst_come_first_and_the_rest_in_one_line():
    """GitHub shows ten: what could not be judged, then what is furthest off, a single probe last; the tenth names the others."""
    off = [result("failed", (Outcome.FAIL, number / 20), name=f"test_{number}") for number in range(10, 0, -1)]
    found = commands(
        result("failed", name="probe", probe=[{}]),
        *off,
        result("failed", (Outcome.FAIL, float("nan")), name="nan"),
        result("error", name="broken"),
        result("failed", name="no_baseline"),
    )
    titles = [told["title"].partition(": ")[2] for _, told, _ in found]
    assert titles == ["nan", "broken", "no_baseline", *(f"test_{number}" for number in range(1, 7)), ""]
    assert found[-1] == (
        "error",
        {"title": "embedding quality"},
        "and 5 more: test_7, test_8, test_9, test_10, probe",
    )
    assert len(commands(*off)) == 10


@pytest.mark.parametrize(
    "text",
    ["a\n::stop-commands::x\n::error::y", "a\r\n::add-mask::b", "100%0A::x", "a\x85::b", "a\u2028::b", "\x1b[2J::c"],
)
def test_no_text_ends_its_command_or_begins_another(text):
    """Line breaks of any sort and percent signs of foreign text are escaped, in messages and in titles."""
    name = f"test_a[{text}, x: y]"
    test = result("failed", text=text, name=name)
    (line,) = lines(Run((test,)))
    assert len(line.splitlines()) == 1
    assert "\r" not in line
    _, properties, message = read(line)
    assert set(properties) == {"file", "line", "title"}
    assert message.split("\n")[0] == text.splitlines()[0].replace("\x1b", r"\x1b")


def test_files_are_counted_from_the_root_of_the_repository(tmp_path, monkeypatch):
    """pytest's rootdir may be a folder of the checkout; a file outside of it has no line that could be marked."""
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "search"
    ((_, inside, _),) = commands(result("failed"), root=root)
    assert inside["file"] == "search/tests/t.py"
    ((_, beside, _),) = commands(result("failed", file="../other/t.py"), root=root)
    assert beside["file"] == "other/t.py"
    ((_, outside, _),) = commands(result("failed", file="../../elsewhere/t.py"), root=root)
    assert set(outside) == {"title"}


def test_a_long_text_is_cut():
    """A failure of any length leaves a line that GitHub takes."""
    ((_, _, message),) = commands(result("failed", text="x" * 100_000))
    assert len(message) == 2_001

"""Foreign text in texts for people."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_embedqa.core import showing
from pytest_embedqa.core.secrets import hide
from pytest_embedqa.core.showing import inert, one_line, shown, shown_in_colours

# What each program that runs a job looks for in a line of its log, written down apart from the product.
COMMANDS = {
    "github": re.compile(r"^\s*::"),
    "github, old, and azure's page": re.compile(r"##\["),
    "azure": re.compile(r"##vso\[", re.IGNORECASE),
    "teamcity": re.compile(r"##teamcity\[", re.IGNORECASE),
    "gitlab": re.compile(r"section_(start|end):"),
    "travis": re.compile(r"travis_(fold|time):"),
    "buildkite": re.compile(r"^(---|\+\+\+|~~~|\^\^\^)(\s|$)"),
    "terminal": re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]"),
}
PIECES = [
    "::error::x", "##[group]x", "##vso[task.complete]x", "##teamcity[x]", "section_start:1:a\r\x1b[0Kx", "section_end:1:a",
    "travis_fold:start:x", "--- x", "+++", "~~~ x", "^^^ +++", "\x1b]8;;http://a\x07", "\x9b2J", "\u202e", "\u2028",
]  # fmt: skip
anything = st.lists(
    st.sampled_from([*PIECES, "\n", " ", "\t", "\u3000", "\r", "\\", '"', "#", "s", "t", "[", ":", "问"])
).map("".join)


def commands_in(text):
    """The lines that some program would obey, with who would."""
    return [(who, line) for line in text.split("\n") for who, form in COMMANDS.items() if form.search(line)]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("::error::x", "\\::error::x"),
        ("a\n  \t\u3000::stop-commands::t\nb", "a\n  \t\u3000\\::stop-commands::t\nb"),
        ("a\r::error::x", r"a\r::error::x"),
        ("a ##[group]b", "a ##\\[group]b"),
        ("a ##vso[task.setvariable variable=x]b ##VSO[c", "a ##vso\\[task.setvariable variable=x]b ##VSO\\[c"),
        ("a ##teamcity[testFailed name='x']", "a ##teamcity\\[testFailed name='x']"),
        ("a section_start:1:b\r\x1b[0Kc", r"a section_start\:1:b\r\x1b[0Kc"),
        ("section_end:1:b\ntravis_fold:end:a travis_time:", "section_end\\:1:b\ntravis_fold\\:end:a travis_time\\:"),
        ("--- a\n+++\n~~~\tb\n^^^ +++", "\\--- a\n\\+++\n\\~~~\tb\n\\^^^ +++"),
        ("std::vector, a::b, ## [x], # [y], a --- b, ----, a section_start", None),
        ("", None),
    ],
)
def test_no_line_is_a_command(text, seen):
    """A backslash stands in each command; other text is as it was."""
    assert shown(text) == (text if seen is None else seen)


@given(anything)
@example("".join(PIECES))
def test_no_text_commands_anybody(text):
    """However commands are put together, none is left; and what is shown once is not changed again."""
    assert commands_in(shown(text)) == []
    assert shown(shown(text)) == shown(text)


@given(anything)
@example("\travis_fold:start:x \\##[a] \\\\section_start:1:a")
def test_json_says_the_same_and_commands_nobody(text):
    """A job may print a report: its strings are read as they were, and no line of it is a command."""
    written = inert(json.dumps({"text": text, text: [text]}, indent=1, ensure_ascii=False))
    assert json.loads(written) == {"text": text, text: [text]}
    assert commands_in(written) == []


def test_signs_that_a_terminal_obeys_are_shown():
    """Ends of lines, controls and turns of direction are escaped; writing of any language and emoji are as they were."""
    assert one_line("a\nb\r\x1b[31m\u2028\u202e\x9b\x7f\ud800") == r"a\nb\r\x1b[31m\u2028\u202e\x9b\x7f\ud800"
    for text in ("退货 期限", "می\u200cخواهم", "👩\u200d🔬", "naïve “a” – b", "C:\\n"):
        assert one_line(text) == text


def test_colours_of_pytest_stay():
    """Nothing but colours does: neither other sequences, nor a command that begins behind one."""
    assert shown_in_colours("\x1b[1;31ma\x1b[0m\x1b[2J") == "\x1b[1;31ma\x1b[0m\\x1b[2J"
    assert shown_in_colours("\x1b[31m--- a\x1b[0m") == "\x1b[31m\\--- a\x1b[0m"


def test_known_secrets_are_taken_out():
    """Also one that is the beginning of another."""
    hide("canary-of-this-test")
    hide("canary-of-this-test-and-more")
    hide("")
    assert shown("a canary-of-this-test-and-more b canary-of-this-test") == "a *** b ***"


# What prints, and so must show what it prints.
PRINTS = {"print", "sys.stderr.write", "sys.stdout.write", "warnings.warn", "write_line"}
# The schema is our own file; annotations are commands that we mean, in which all else is escaped; a process that searches
# answers the one that started it.
MEANT = {
    ("commands/schema.py", "SCHEMA.read_text(encoding='utf-8')"),
    ("reports/terminal.py", "line"),
    ("rag/regex_process.py", "f'{json.dumps(_answer(*json.loads(line)))}\\n'"),
}


def test_whatever_prints_shows():
    """No text reaches a terminal but through ``shown``, or through the printer or ``say``, which call it."""
    package = Path(showing.__file__).parents[1]
    found = set()
    for path in package.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "tqdm":
                found |= {(path.name, one.arg) for one in call.keywords if ast.unparse(one)[:10] == "desc=label"}
            if not isinstance(call, ast.Call) or not call.args:
                continue
            called, told = ast.unparse(call.func), ast.unparse(call.args[0])
            by_printer = called == "printer.write_line" or called.startswith("Printer(")
            if {called, called.rpartition(".")[2]} & PRINTS and not by_printer and not told.startswith("shown("):
                found.add((path.relative_to(package).as_posix(), told))
    assert found == MEANT

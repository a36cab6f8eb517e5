"""Regular expressions within a bound of time: the same results as Python's ``re``, or an error."""

from __future__ import annotations

import os
import re
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_embedqa.rag import regexes
from pytest_embedqa.rag.regexes import SlowPatternError, search

TEXTS = (
    "the parcel, sent back within 30 days",
    "क्षि त्रिया",
    "a\x1cb",
    "foo{e}",
    "[[:alpha:]]",
    "STRASSE straße",
    "10² ½ ٣",
    "",
)
# What the package ``regex`` reads otherwise: marks are letters to its \\w, and it has words of its own.
PATTERNS = (
    *(
        r"\w+",
        r"^\w+$",
        r"\bत",
        r"\s",
        r"[[:alpha:]]",
        r"(?:foo){e}",
        r"(?i)STRASSE",
        r"\d+",
        r"(?<=sent )back",
        r"(?!x)b",
    ),
    *(r"(?P<a>b).*(?P=a)", r"30 days$", r"[^\W\d_]+", r"\u0915", r"(?s)a.b", r"(?x) a \x1c b", r"\Astr", r"a?"),
)


def by_re(pattern, text, start, end):
    """What ``re`` finds in this process."""
    return any(found.start() < end and found.end() > start for found in re.finditer(pattern, text))


@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")
@pytest.mark.parametrize("pattern", PATTERNS)
def test_results_are_those_of_re(pattern):
    """Patterns keep their meaning, in all texts and parts of them."""
    cases = [(pattern, None, text, start, len(text)) for text in TEXTS for start in (0, len(text) // 2)]
    assert search(cases) == [by_re(pattern, text, start, end) for _, _, text, start, end in cases]


@settings(max_examples=100, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text("ab(|)*+?[]^$.\\w{1,}अक् ", max_size=8), st.text("abक्षअ 1\n\ud800", max_size=12))
def test_results_of_any_pattern_are_those_of_re(pattern, text):
    """Found where ``re`` finds it, and no pattern where it is none."""
    try:
        right = by_re(pattern, text, 0, len(text))
    except (re.error, OverflowError) as error:
        with pytest.raises(ValueError, match=re.escape(str(error))):
            search([(pattern, None, text, 0, len(text))])
    else:
        assert search([(pattern, None, text, 0, len(text))]) == [right]


def test_pattern_in_place_of_one_that_is_none():
    """It is searched in its place."""
    assert search([("[b-a]", "b", "abc", 0, 3), ("a", "(", "abc", 0, 3)]) == [True, True]


# About a second of work for re, which then ends by itself.
@pytest.mark.parametrize("pattern", ["a.*a.*a.*b", "a[^b]*a[^b]*a[^b]*b"])
def test_bound_ends_a_search(monkeypatch, pattern):
    """After its time, give or take a start of a process; and the next search is answered."""
    monkeypatch.setattr(regexes, "SECONDS", 0.1)
    began = time.monotonic()
    with pytest.raises(
        SlowPatternError, match=r"took more than 0\.1 seconds, or all memory, for a text of 400"
    ) as error:
        search([(pattern, None, "a" * 400, 0, 400)])
    assert time.monotonic() - began < 5
    assert error.value.pattern == pattern
    assert search([("b", None, "abc", 0, 3)]) == [True]


def test_process_that_was_ended_is_started_again():
    """By whomever: a search is then an error at most once."""
    assert search([("a", None, "a", 0, 1)]) == [True]
    process = regexes._searcher()._process
    process.kill()
    process.wait()
    with pytest.raises(SlowPatternError):
        search([("a", None, "a", 0, 1)])
    assert search([("a", None, "a", 0, 1)]) == [True]


def test_forked_process_has_a_search_of_its_own():
    """It reads no answer of its parent's."""
    assert search([("a", None, "a", 0, 1)]) == [True]
    mine = regexes._searcher()._process.pid
    child = os.fork()
    if not child:
        good = search([("b", None, "a", 0, 1)]) == [False] and regexes._searcher()._process.pid != mine
        regexes._searcher().close()
        os._exit(0 if good else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert regexes._searcher()._process.pid == mine
    assert search([("a", None, "a", 0, 1)]) == [True]

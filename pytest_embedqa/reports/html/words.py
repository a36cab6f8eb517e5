"""Outcomes, numbers and texts as the page shows them."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from pytest_embedqa.core.verdict import Outcome, Verdict
from pytest_embedqa.reports.run import ERROR, FAILED, PASSED, SKIPPED, XFAILED, XPASSED, Test

# Characters that a page can't hold (controls, halves of surrogate pairs), or that turn the order of what follows.
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]")
# A failure may bring a long traceback; 500 of them must not make the page slow. Passages are there to be recognised.
MOST_TEXT, MOST_PASSAGE = 4_000, 500
_MINUTE = 60


class Word(NamedTuple):
    """An outcome: told by a sign and a word, coloured by ``tone``, sorted by ``rank`` with the worst first."""

    text: str
    sign: str
    tone: str
    rank: int


JUDGED = {
    Outcome.FAIL: Word("FAIL", "✗", "bad", 0),
    Outcome.INCONCLUSIVE: Word("unsure", "?", "unsure", 1),
    Outcome.PASS: Word("pass", "✓", "good", 3),
}
EXPECTED = Word("xfail", "~", "unsure", 2)
INTERRUPTED = Word("interrupted", "!", "unsure", 1)
ENDED = {
    FAILED: Word("FAILED", "✗", "bad", 0),
    ERROR: Word("ERROR", "✗", "bad", 0),
    XPASSED: Word("passed unexpectedly", "!", "unsure", 1),
    XFAILED: Word("expected failure", "~", "unsure", 2),
    SKIPPED: Word("skipped", "–", "muted", 2),
    PASSED: Word("passed", "✓", "good", 3),
}


def word_of(verdict: Verdict, test: Test) -> Word:
    """How a verdict is called: one that a test expects to fail is no failure."""
    return EXPECTED if test.expects(verdict) else JUDGED[verdict.outcome]


def visible(page: str) -> str:
    """A page in which what can't be seen is written out: a text must not turn the order of what follows it."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", page)


def number(value: float | None, digits: int = 4, sign: str = "") -> str:
    """A number with so many decimals; ``sign`` is ``+`` for a difference. One that is missing is a dash."""
    if value is None:
        return "–"
    return f"{value:{sign},.{digits}f}" if math.isfinite(value) else "NaN" if math.isnan(value) else f"{value}"


def cut(text: str, most: int = MOST_TEXT) -> str:
    """The beginning of a text, and a mark where something is missing."""
    return text if len(text) <= most else f"{text[:most]}…"


def share(part: float | None, whole: float | None) -> str:
    """A part as a percentage of the whole."""
    return f"{part / whole:.1%}" if part is not None and whole else "–"


def duration(seconds: float) -> str:
    """Wall time as a reader says it."""
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), _MINUTE)
    hours, minutes = divmod(minutes, _MINUTE)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def first_line(text: str) -> str:
    """What a failure says first; of a traceback the error, which pytest marks with ``E``."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = next((line.removeprefix("E").strip() for line in lines if line.startswith("E  ")), "")
    return cut(said or next(iter(lines), ""), MOST_PASSAGE)

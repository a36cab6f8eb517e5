"""Outcomes, numbers and texts as the page shows them."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from pytest_embedqa.core.verdict import Outcome, Verdict
from pytest_embedqa.reports.run import ERROR, FAILED, PASSED, SKIPPED, XFAILED, XPASSED, Test

# Characters that a page can't hold (controls, halves of surrogate pairs), or that reverse the order of what follows.
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]")
# A failure may bring a long traceback; 500 of them must not make the page slow. Passages need only be recognised.
MOST_TEXT, MOST_PASSAGE = 4_000, 500
_MINUTE = 60


class Word(NamedTuple):
    """An outcome, shown as a sign and a word, coloured by ``tone``, and sorted by ``rank`` with the worst first."""

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
    """Return the word for a verdict; an expected failure is not called a failure."""
    return EXPECTED if test.expects(verdict) else JUDGED[verdict.outcome]


def visible(page: str) -> str:
    """Return a page in which invisible characters are written out: no text may reverse the order of what follows."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", page)


def number(value: float | None, digits: int = 4, sign: str = "") -> str:
    """Format a number to some decimals; ``sign`` is ``+`` for a difference. A missing number is a dash."""
    if value is None:
        return "–"
    return f"{value:{sign},.{digits}f}" if math.isfinite(value) else "NaN" if math.isnan(value) else f"{value}"


def cut(text: str, most: int = MOST_TEXT) -> str:
    """Return the beginning of a text, with a mark if it was cut."""
    return text if len(text) <= most else f"{text[:most]}…"


def share(part: float | None, whole: float | None) -> str:
    """Format a part as a percentage of the whole."""
    return f"{part / whole:.1%}" if part is not None and whole else "–"


def duration(seconds: float) -> str:
    """Format a wall time as a reader would say it."""
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), _MINUTE)
    hours, minutes = divmod(minutes, _MINUTE)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def first_line(text: str) -> str:
    """Return the first line of a failure; of a traceback the error, which pytest marks with ``E``."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = next((line.removeprefix("E").strip() for line in lines if line.startswith("E  ")), "")
    return cut(said or next(iter(lines), ""), MOST_PASSAGE)

"""Elements of GitHub's Markdown. Foreign text goes into code only: no markup, link or mention in it has an effect."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape

from pytest_embedqa.core.showing import shown

# Limits: rows of a table or list, characters of a line and of a block of foreign text, names in a list.
MOST_ROWS, MOST_SIGNS, MOST_OF_BLOCK, MOST_NAMES = 200, 300, 8_000, 10


def clean(text: object) -> str:
    """Return a text on one line, cut; characters that steer a display (escapes, bidi overrides) are made visible."""
    line = shown(" ".join(str(text).split()))
    return line if len(line) <= MOST_SIGNS else f"{line[: MOST_SIGNS - 1]}…"


def code(text: object) -> str:
    """Return a text as a code span; empty for an empty text."""
    line = clean(text)
    fence = _fence(line, 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}" if line else ""


def html_code(text: object) -> str:
    """Return a text as a code span in HTML, for the title of a folded part."""
    return f"<code>{escape(clean(text))}</code>"


def fenced(text: str) -> str:
    """Return a text of several lines as a block of code, cut."""
    lines = [line.expandtabs() for line in text[:MOST_OF_BLOCK].splitlines()]
    block = shown("\n".join(lines + ["…"] * (len(text) > MOST_OF_BLOCK)))
    return f"{_fence(block, 3)}text\n{block}\n{_fence(block, 3)}"


def _fence(text: str, least: int) -> str:
    """Return a fence with more backticks in a row than the text has."""
    return "`" * max(least, 1 + max(map(len, re.findall("`+", text)), default=0))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, without the columns that are empty in every row."""
    filled = [column for column in range(len(head)) if any(row[column] for row in rows)]
    lines = [[row[column] for column in filled] for row in [head, ["---"] * len(head), *rows[:MOST_ROWS]]]
    # A bar ends a cell even within code, unless it is escaped by a backslash.
    text = "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)
    return text + (f"\n\n… and {count(len(rows) - MOST_ROWS, 'row')} more" if len(rows) > MOST_ROWS else "")


def listed(lines: Sequence[str]) -> Iterator[str]:
    """Yield foreign lines as a list, if there are any."""
    if lines:
        more = [f"- … and {len(lines) - MOST_ROWS:,} more"] if len(lines) > MOST_ROWS else []
        yield "\n".join([f"- {code(line)}" for line in lines[:MOST_ROWS]] + more)


def named(names: Sequence[str]) -> str:
    """Name the first few of some names."""
    more = f" and {len(names) - MOST_NAMES:,} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def count(number: int, what: str) -> str:
    """Return a number with its noun in the right form."""
    return f"{number:,} {what}" + "s" * (number != 1)


def details(title: str, text: str) -> str:
    """Return a text folded under a title. Between the blank lines Markdown applies again; the title is HTML."""
    return f"<details><summary>{title}</summary>\n\n{text}\n\n</details>"

"""Printed lines that fit the terminal, and in which no text can act as a control sequence."""

from __future__ import annotations

import textwrap

from pytest_embedqa.core.showing import shown

WIDTH = 80


def say(text: str = "") -> None:
    """Print a text at once."""
    print(shown(text), flush=True)  # noqa: T201  what commands are for


def wrapped(text: str, first: str = "  ") -> str:
    """Wrap a line to the terminal's width; longer paths and names stay whole.

    Args:
        text: The text to wrap.
        first: Text before the first line; following lines are indented further.
    """
    return textwrap.fill(
        text, WIDTH, initial_indent=first, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )

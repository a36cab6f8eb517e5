"""Lines that fit the terminal, and that no text can make a command of."""

from __future__ import annotations

import textwrap

from pytest_embedqa.core.showing import shown

WIDTH = 80


def say(text: str = "") -> None:
    """Print a text, at once."""
    print(shown(text), flush=True)  # noqa: T201  what commands are for


def wrapped(text: str, first: str = "  ") -> str:
    """A line as lines of the terminal's width, but for paths and names that are longer.

    Args:
        text: What to say.
        first: What stands before it; what follows is indented further.
    """
    return textwrap.fill(
        text, WIDTH, initial_indent=first, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )

"""Checks that all markers make of their arguments."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from difflib import get_close_matches

from pytest_embedqa.core.errors import SpecError


def require_known(marker: str, given: Iterable[str], known: Sequence[str], by_place: Sequence[object] = ()) -> None:
    """Reject arguments that a marker does not take.

    Args:
        marker: Name of the marker.
        given: Names of the arguments.
        known: Names that the marker takes.
        by_place: Arguments without a name; the marker takes none.

    Raises:
        SpecError: If there is such an argument; the text names it, the nearest known name, and all known names.
    """
    if by_place:
        raise SpecError(
            f"@{marker} takes keyword arguments only, but got {by_place[0]!r}. It takes: {', '.join(known)}."
        )
    for name in given:
        if name not in known:
            guess = get_close_matches(name, known, n=1)
            raise SpecError(
                f"@{marker} has no argument {name}.{f' Did you mean {guess[0]}?' if guess else ''} It takes: {', '.join(known)}."
            )


def is_number(value: object) -> bool:
    """Return whether a value is a number to compare with: finite, and no integer beyond the range of float."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def share(text: str) -> float:
    """Parse a number from 0 up to 1.

    Raises:
        ValueError: If the text is anything else.
    """
    with suppress(ValueError):
        if 0 <= (number := float(text)) < 1:
            return number
    raise ValueError("a number from 0 up to 1 is expected, e.g. 0.01")


def is_count(value: object) -> bool:
    """Return whether a value is a whole number of at least 1."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0

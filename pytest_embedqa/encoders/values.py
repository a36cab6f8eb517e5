"""Values of the options of a spec, out of their text; each parser raises ValueError with what is expected."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, nan
from typing import Any

Parser = Callable[[str], Any]

_DIGITS = 9


def positive(raw: str) -> int:
    """A whole number from 1 up."""
    return _whole(raw, 1)


def natural(raw: str) -> int:
    """A whole number from 0 up."""
    return _whole(raw, 0)


def _whole(raw: str, least: int) -> int:
    if len(raw) > _DIGITS:
        raise ValueError(f"a whole number of at most {_DIGITS} digits is expected")
    if not (raw.isascii() and raw.isdecimal()) or int(raw) < least:
        raise ValueError(f"a whole number from {least} up is expected")
    return int(raw)


def amount(raw: str) -> float:
    """A number from 0 up."""
    number = _number(raw)
    if not 0 <= number < inf:
        raise ValueError("a number from 0 up is expected")
    return number


def fraction(raw: str) -> float:
    """A number above 0, up to 1."""
    number = _number(raw)
    if not 0 < number <= 1:
        raise ValueError("a number above 0, up to 1, is expected")
    return number


def _number(raw: str) -> float:
    try:
        return float(raw)
    except ValueError:
        return nan


def boolean(raw: str) -> bool:
    """``true``/``false``, ``1``/``0``, ``yes``/``no``."""
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if raw.lower() not in words:
        raise ValueError("true or false is expected")
    return words[raw.lower()]


def choice(*allowed: str) -> Parser:
    """One of a few words."""

    def parse(raw: str) -> str:
        if raw not in allowed:
            raise ValueError(f"one of {', '.join(allowed)} is expected")
        return raw

    return parse

"""Parsers of option values in a spec; each raises ValueError with the expected form."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, nan
from typing import Any

Parser = Callable[[str], Any]

_DIGITS = 9


def positive(raw: str) -> int:
    """Parse a whole number of at least 1."""
    return _whole(raw, 1)


def natural(raw: str) -> int:
    """Parse a whole number of at least 0."""
    return _whole(raw, 0)


def _whole(raw: str, least: int) -> int:
    if len(raw) > _DIGITS:
        raise ValueError(f"a whole number of at most {_DIGITS} digits is expected")
    if not (raw.isascii() and raw.isdecimal()) or int(raw) < least:
        raise ValueError(f"a whole number from {least} up is expected")
    return int(raw)


def amount(raw: str) -> float:
    """Parse a number of at least 0."""
    number = _number(raw)
    if not 0 <= number < inf:
        raise ValueError("a number from 0 up is expected")
    return number


def fraction(raw: str) -> float:
    """Parse a number above 0 and at most 1."""
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
    """Parse ``true``/``false``, ``1``/``0`` or ``yes``/``no``."""
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if raw.lower() not in words:
        raise ValueError("true or false is expected")
    return words[raw.lower()]


def choice(*allowed: str) -> Parser:
    """Return a parser that accepts only these words."""

    def parse(raw: str) -> str:
        if raw not in allowed:
            raise ValueError(f"one of {', '.join(allowed)} is expected")
        return raw

    return parse


def numbers(raw: str) -> tuple[float, ...]:
    """Parse numbers above 0 with commas between them."""
    found = tuple(map(_number, raw.split(",")))
    if not all(0 < number < inf for number in found):
        raise ValueError("numbers above 0, with commas between them, are expected")
    return found

"""Raised and lowered text as plain text: 10² is not 102."""

from __future__ import annotations

import re
from collections.abc import Mapping

_PLAIN = "0123456789+-−()ni"
_RAISED = str.maketrans(_PLAIN, "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁽⁾ⁿⁱ")
_LOWERED = str.maketrans(_PLAIN, "₀₁₂₃₄₅₆₇₈₉₊₋₋₍₎ₙᵢ")
_ONE = re.compile(r"\w*(?:[.,]\d+)?|\W?|\([^()]*\)")
_AS_IT_IS = re.compile(r"\[.*\]|[^\w+−-]*")  # [1], *, ®
_ORDINAL = re.compile("(?i:st|nd|rd|th|tm|sm)")  # 1st means the same when st is not raised, and so does TM


def raised(text: str) -> str:
    """Return text that is raised behind other text in Unicode signs or after ``^``: ``²``, ``^(a+b)``.

    Ordinals, footnotes in brackets and signs without letters or digits stay as they are.
    """
    return text if _ORDINAL.fullmatch(text) else _moved(text, _RAISED, "^")


def lowered(text: str) -> str:
    """Return text that is lowered, in the same way: ``₂``, ``_max``."""
    return _moved(text, _LOWERED, "_")


def grouped(text: str) -> str:
    """Put a text in brackets, unless it is a single number, name or sign, or is in brackets already."""
    return text if _ONE.fullmatch(text) else f"({text})"


def _moved(text: str, signs: Mapping[int, str | int], mark: str) -> str:
    if _AS_IT_IS.fullmatch(text):
        return text
    return text.translate(signs) if all(ord(sign) in signs for sign in text) else mark + grouped(text)

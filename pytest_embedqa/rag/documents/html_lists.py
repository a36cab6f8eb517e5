"""The markers that a browser draws in front of list items, and the indentation of their content."""

from __future__ import annotations

import re
from typing import Any

_ROMAN = {1000: "m", 900: "cm", 500: "d", 400: "cd", 100: "c", 90: "xc", 50: "l", 40: "xl", 10: "x", 9: "ix"}
_ROMAN |= {5: "v", 4: "iv", 1: "i"}
_LAST_ROMAN = 3999


class Markers:
    """The lists around the current place of a page."""

    def __init__(self) -> None:
        """Start outside of all lists."""
        self._lists: list[tuple[Any, int, int]] = []  # element, next number, step
        self._open: list[tuple[str, bool]] = []  # marker, whether it has been written

    @property
    def depth(self) -> int:
        """The number of lists around."""
        return len(self._lists)

    def begin(self, node: Any) -> None:  # justhtml's Element, as below
        """Begin a list."""
        step = -1 if "reversed" in node.attrs else 1
        first = sum(child.name == "li" for child in node.children) if step < 0 else 1
        self._lists.append((node, _number(node.attrs.get("start"), first), step))

    def end(self) -> None:
        """End a list."""
        self._lists.pop()

    def item(self, node: Any) -> None:
        """Begin an item."""
        marker = "- "
        if self._lists and self._lists[-1][0].name == "ol":
            owner, number, step = self._lists[-1]
            number = _number(node.attrs.get("value"), number)
            self._lists[-1] = (owner, number + step, step)
            marker = f"{_written(number, node.attrs.get('type') or owner.attrs.get('type') or '1')}. "
        self._open.append((marker, False))

    def end_item(self) -> None:
        """End an item."""
        self._open.pop()

    def line_start(self, *, flat: bool = False) -> str:
        """Return the start of a line: markers that are not written yet, and blanks under the others."""
        start = "".join(" " * len(marker) if written else marker for marker, written in self._open)
        if flat:
            start = "".join(marker for marker, written in self._open if not written and marker[0].isalnum())
        self._open = [(marker, True) for marker, _ in self._open]
        return start


def _number(value: str | None, otherwise: int) -> int:
    found = re.match(r"\s*([+-]?\d{1,9})", value or "", re.ASCII)
    return int(found[1]) if found else otherwise


def _written(number: int, kind: str) -> str:
    """Format a number as the type of a list asks."""
    text = str(number)
    if kind in "aA" and number > 0:
        text = ""
        while number:
            number, letter = divmod(number - 1, 26)
            text = chr(ord("a") + letter) + text
    elif kind in "iI" and 0 < number <= _LAST_ROMAN:
        text = ""
        for value, letters in _ROMAN.items():
            text += letters * (number // value)
            number %= value
    return text.upper() if kind in "AI" else text

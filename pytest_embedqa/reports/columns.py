"""Names in the columns of tables: in one line, and no two of them alike."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

# Signs that a terminal does not show, but obeys: controls, other ends of lines, and those that turn the direction of a line.
_OBEYED = {"Cc", "Cs", "Zl", "Zp"}
_TURNS = {"RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI", "FSI", "PDI"}


def one_line(text: str) -> str:
    """Text in which the signs that a terminal would obey are escaped, as in a string of Python."""
    return "".join(map(_seen, text))


def _seen(sign: str) -> str:
    obeyed = unicodedata.category(sign) in _OBEYED or unicodedata.bidirectional(sign) in _TURNS
    return sign.encode("unicode_escape").decode() if obeyed and sign != "\t" else sign


def cell(name: str, width: int) -> str:
    """A name in a column of that width: of a path that is too long the end, which tells it from others."""
    name = one_line(name)
    return f"…{name[1 - width :]}" if "/" in name and len(name) > width else f"{name:<{width}.{width}}"


def column(names: Sequence[str], width: int) -> list[str]:
    """Cells of names: where two would look alike, cut in their middle; where they still do, in a wider column."""
    for cut in (cell, _cut_inside):
        cells = {name: cut(name, width) for name in names}
        if len(set(cells.values())) == len(cells):
            return [cells[name] for name in names]
    shown = [one_line(name) for name in names]
    return [f"{name:<{max(map(len, shown))}}" for name in shown]


def _cut_inside(name: str, width: int) -> str:
    name, half = one_line(name), width // 2
    return f"{name[: half - 1]}…{name[half - width :]}" if len(name) > width else f"{name:<{width}}"

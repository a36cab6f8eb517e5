"""The cells of a table of HTML, and whether it is one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from pytest_embedqa.rag.documents.tables import Cell

_GROUPS = {"thead": 0, "tbody": 1, "tfoot": 2}  # as browsers show them, whatever their order is
_BLOCKS = frozenset(["table", "h1", "h2", "h3", "h4", "h5", "h6", "pre"])
_MOST_COLUMNS = 1000  # as in browsers
_MOST_ROWS = 65534


def captions(table: Any, displayed: Callable[[Any], bool]) -> list[Any]:  # noqa: ANN401  justhtml's Element, as below
    """The captions of a table."""
    return [child for child in table.children if child.name == "caption" and displayed(child)]


def _groups(table: Any, displayed: Callable[[Any], bool]) -> Iterator[list[list[Any]]]:  # noqa: ANN401
    """The cells of each row of each group of rows; what is only invisible keeps its place, as in browsers."""
    for group in sorted(
        (child for child in table.children if child.name in _GROUPS and displayed(child)),
        key=lambda one: _GROUPS[one.name],
    ):
        yield [
            [cell for cell in row.children if cell.name in {"td", "th"} and displayed(cell)]
            for row in group.children
            if row.name == "tr" and displayed(row)
        ]


def rows_of(
    table: Any,  # noqa: ANN401
    displayed: Callable[[Any], bool],
    text: Callable[[Any], str],
) -> list[list[list[Cell]]]:
    """The groups of rows of a table, each a list of rows of cells."""
    return [
        [
            [
                Cell(
                    text(cell),
                    min(_span(cell.attrs.get("colspan")) or 1, _MOST_COLUMNS),
                    min(_span(cell.attrs.get("rowspan")), _MOST_ROWS),
                )
                for cell in row
            ]
            for row in group
        ]
        for group in _groups(table, displayed)
    ]


def is_layout(table: Any, displayed: Callable[[Any], bool]) -> bool:  # noqa: ANN401
    """Whether a table only places on a page what is no table: without heads, with blocks in it or a single column."""
    rows = [row for group in _groups(table, displayed) for row in group]
    if (table.attrs.get("role") or "").lower() in {"presentation", "none"}:
        return True
    if captions(table, displayed) or any(cell.name == "th" for row in rows for cell in row):
        return False
    if all(len(row) <= 1 for row in rows):
        return True
    stack = [cell for row in rows for cell in row]
    while stack:
        for child in stack.pop().children:
            if child.children and displayed(child):
                if child.name in _BLOCKS:
                    return True
                stack.append(child)
    return False


def _span(value: str | None) -> int:
    """A span as browsers read it; 0 goes to the end of a group of rows."""
    found = re.match(r"\s*\+?(\d{1,9})", value or "", re.ASCII)
    return int(found[1]) if found else 1

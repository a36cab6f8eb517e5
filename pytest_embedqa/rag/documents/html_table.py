"""The cells of HTML tables, and the distinction of tables from layout."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from pytest_embedqa.rag.documents.tables import Cell

_GROUPS = {"thead": 0, "tbody": 1, "tfoot": 2}  # the order in which browsers show them, whatever the source order
_BLOCKS = frozenset(["table", "h1", "h2", "h3", "h4", "h5", "h6", "pre"])
_MOST_COLUMNS = 1000  # the limit of browsers
_MOST_ROWS = 65534


def captions(table: Any, displayed: Callable[[Any], bool]) -> list[Any]:  # justhtml's Element, as below
    """Return the captions of a table."""
    return [child for child in table.children if child.name == "caption" and displayed(child)]


def _groups(table: Any, displayed: Callable[[Any], bool]) -> Iterator[list[list[Any]]]:
    """Yield the cells of each row of each row group; invisible cells keep their place, as in browsers."""
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
    table: Any,
    displayed: Callable[[Any], bool],
    text: Callable[[Any], str],
) -> list[list[list[Cell]]]:
    """Return the row groups of a table, each a list of rows of cells."""
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


def is_layout(table: Any, displayed: Callable[[Any], bool]) -> bool:
    """Return whether a table only serves layout: it has no header cells, and has blocks in it or a single column."""
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
    """Return a span as browsers read it; 0 extends to the end of a row group."""
    found = re.match(r"\s*\+?(\d{1,9})", value or "", re.ASCII)
    return int(found[1]) if found else 1

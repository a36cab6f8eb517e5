"""The writing of tables as Markdown."""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple


class Cell(NamedTuple):
    """A cell, and the number of columns and rows that it spans; 0 rows are all that follow in its group."""

    text: str
    columns: int = 1
    rows: int = 1


def spread(groups: list[list[list[Cell]]]) -> list[list[str]]:
    """Return rows without spans: a spanning cell is repeated, so that no value slides under another heading.

    A cell as wide as the table is written only once.
    """
    texts: dict[tuple[int, int], str] = {}
    placed: list[tuple[int, int, int, Cell]] = []  # row, its end, column
    first = 0
    for group in groups:
        end = first + len(group)
        below: dict[int, int] = {}  # column: first row that is free again
        for row, cells in enumerate(group, first):
            column = 0
            for cell in cells:
                while below.get(column, 0) > row:
                    column += 1
                until = min(row + cell.rows, end) if cell.rows else end
                below |= dict.fromkeys(range(column, column + cell.columns), until)
                placed.append((row, until, column, cell))
                column += cell.columns
        first = end
    starts = sorted({column for _, _, column, _ in placed})  # columns in which no cell begins have no width
    for row, until, column, cell in placed:
        columns = starts[bisect_left(starts, column) : bisect_left(starts, column + cell.columns)]
        if columns == starts:
            columns = columns[:1]
        for below_it in range(row, until):
            texts |= {(below_it, beside): cell.text for beside in columns}
    return [[texts.get((row, column), "") for column in starts] for row in range(first)]


def markdown_table(rows: list[list[str]]) -> str:
    """Return a Markdown table with the first row as its head. Short rows are filled up, other empty rows left out."""
    texts = [row for row in rows[1:] if any(map(str.strip, row))]
    rows = [*rows[:1], *texts] if texts or any(map(str.strip, rows[0] if rows else [])) else []
    width = max(map(len, rows), default=0)
    lines = [
        f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in row + [''] * (width - len(row)))} |"
        for row in rows
    ]
    return "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]]) if rows else ""

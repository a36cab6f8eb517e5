"""The cells of Word tables, and the distinction of tables from layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_embedqa.rag.documents.docx_package import attribute, number
from pytest_embedqa.rag.documents.tables import Cell, spread

if TYPE_CHECKING:
    from lxml.etree import _Element

# In a table of values, less than this share of the cells contain tables.
_PLACING_SHARE = 0.5


def only_places(cells: Sequence[Sequence[_Element]]) -> bool:
    """Return whether a table only frames a text or places tables: one row or column of them, or mostly such cells."""
    nested = [[cell.find(".//{*}tbl") is not None for cell in row] for row in cells]
    count, whole = sum(map(sum, nested)), sum(map(len, nested))
    one_line = len(cells) == 1 or all(len(row) <= 1 for row in cells)
    return whole == 1 or (count > 0 and (one_line or count >= _PLACING_SHARE * whole))


def rows_of(rows: list[_Element], cells: list[list[_Element]], texts: list[list[str]]) -> list[list[str]]:
    """Return the rows of a table, with merged cells repeated in each of their columns and rows."""
    placed: list[list[Cell]] = []
    above: dict[int, tuple[list[Cell], int]] = {}  # by column: the cell that is merged downwards, in its row
    befores = [number(row.find("{*}trPr/{*}gridBefore")) for row in rows]
    for before, its_cells, its_texts in zip(befores, cells, texts, strict=True):
        column = before - min(befores)
        places = [Cell("", column)] if column else []
        open_cells: dict[int, tuple[list[Cell], int]] = {}
        for cell, text in zip(its_cells, its_texts, strict=True):
            width = number(cell.find("{*}tcPr/{*}gridSpan"), 1)
            goes_on = [
                merged is not None and attribute(merged) != "restart"
                for merged in (cell.find("{*}tcPr/{*}vMerge"), cell.find("{*}tcPr/{*}hMerge"))
            ]
            if goes_on[0] and column in above:
                in_row, at = open_cells[column] = above[column]
                in_row[at] = Cell(_both(in_row[at].text, text), in_row[at].columns, in_row[at].rows + 1)
            elif goes_on[1] and places:
                places[-1] = Cell(_both(places[-1].text, text), places[-1].columns + width)
            else:
                open_cells[column] = places, len(places)
                places.append(Cell(text, width))
            column += width
        above = open_cells
        placed.append(places)
    return spread([placed])


def _both(one: str, other: str) -> str:
    return " ".join(filter(None, [one, other]))

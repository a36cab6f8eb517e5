"""Names in the columns of tables: no two of them alike."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_embedqa.core.showing import one_line


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

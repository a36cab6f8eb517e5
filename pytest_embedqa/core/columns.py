"""Names in the columns of tables, cut so that no two of them look alike."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_embedqa.core.showing import one_line


def cell(name: str, width: int) -> str:
    """Return a name as a cell of this width; a path that is too long keeps its end, which tells it from others."""
    name = one_line(name)
    return f"…{name[1 - width :]}" if "/" in name and len(name) > width else f"{name:<{width}.{width}}"


def column(names: Sequence[str], width: int) -> list[str]:
    """Return names as cells: names that would look alike are cut in their middle or, failing that, widen the column."""
    for cut in (cell, _cut_inside):
        cells = {name: cut(name, width) for name in names}
        if len(set(cells.values())) == len(cells):
            return [cells[name] for name in names]
    shown = [one_line(name) for name in names]
    return [f"{name:<{max(map(len, shown))}}" for name in shown]


def _cut_inside(name: str, width: int) -> str:
    name, half = one_line(name), width // 2
    return f"{name[: half - 1]}…{name[half - width :]}" if len(name) > width else f"{name:<{width}}"

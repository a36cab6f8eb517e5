"""``docs/security.md`` cell by cell: each source tries each power, and the table must say what came of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from attempts import ATTEMPTS, POWERS

PAGE = Path(__file__).parents[2] / "docs" / "security.md"


def read_table():
    """The cells of the page by source and power."""
    text = PAGE.read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    begin = next(number for number, row in enumerate(rows) if row[0] == "source")
    powers, cells = rows[begin][1:], {}
    for row in rows[begin + 2 :]:
        if len(row) != len(powers) + 1:
            break
        cells |= {(row[0], power): cell for power, cell in zip(powers, row[1:], strict=True)}
    return cells


TABLE = read_table()


def test_every_cell_is_tried():
    """The table has nine sources and five powers, and of each cell at least one attempt."""
    assert TABLE.keys() == ATTEMPTS.keys()
    assert len(TABLE) == 9 * len(POWERS)
    for cell, several in ATTEMPTS.items():
        assert any(attempt.allowed for attempt in several) is TABLE[cell].startswith("`")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "power", "attempt"),
    [
        pytest.param(*cell, attempt, id=f"{cell[0]}-{cell[1]}-{number}".replace(" ", "_"))
        for cell, several in ATTEMPTS.items()
        for number, attempt in enumerate(several)
    ],
)
def test_cell(new_world, source, power, attempt):
    """What a source does by itself, and with the option that its cell names, is what the cell says."""
    cell = TABLE[source, power]
    world = new_world()
    words = attempt.prepare(world)
    printed = world.run(*words, environment=attempt.environment(world))
    assert world.happened(power, printed) is (cell == "yes"), printed
    if cell == "yes":
        return
    assert attempt.says in printed
    option = re.fullmatch("no|`(.+)`", cell)[1]
    if attempt.allowed:
        name = option.partition("=")[0]
        assert name in printed
        world = new_world()
        words = attempt.allowed(world, attempt.prepare(world))
        assert name in " ".join(words)
        printed = world.run(*words, environment=attempt.environment(world))
        assert world.happened(power, printed), printed

"""What the tests of the boundary share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from worlds import World


@pytest.fixture
def new_world(tmp_path_factory):
    """Makes worlds, and stops their servers."""
    worlds = []

    def make():
        worlds.append(World(tmp_path_factory.mktemp("world")))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()

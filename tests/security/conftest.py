"""What the tests of the boundary share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fork_server import ForkServer
from worlds import World, without_proxy


@pytest.fixture(scope="session")
def fork_server(tmp_path_factory):
    """As of all tests, but nothing keeps its processes from asking the Hub for code or data: that is for the plugin to do."""
    caches = {name: str(tmp_path_factory.mktemp("cache")) for name in ("XDG_CACHE_HOME", "HF_MODULES_CACHE")}
    server = ForkServer(environment={**without_proxy(), **caches})
    yield server
    server.close()


@pytest.fixture
def new_world(tmp_path_factory, fork_server):
    """Makes worlds, and stops their servers."""
    worlds = []

    def make():
        worlds.append(World(tmp_path_factory.mktemp("world"), fork_server))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()

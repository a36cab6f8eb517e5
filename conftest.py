"""Fixtures shared by all tests of this repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]


@pytest.fixture(scope="session")
def datasets_folder() -> Path:
    """Return the folder of real benchmark data in the Hub's layout; it is not part of this repository."""
    folder = os.environ.get("EMBEDQA_DATASETS")
    if not folder:
        pytest.skip("needs real benchmark data: set EMBEDQA_DATASETS to a folder in the Hub's layout")
    return Path(folder)

"""The reference is complete: it has every marker and every fixture."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from pages import ROOT

from pytest_embedqa.markers import EXAMPLES, INVARIANTS
from pytest_embedqa.plugin import fixtures

TEXT = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")


def names_of_fixtures():
    """The fixtures that tests ask for; what begins with our name is for the plugin itself."""
    source = Path(fixtures.__file__).read_text(encoding="utf-8")
    functions = [one for one in ast.parse(source).body if isinstance(one, ast.FunctionDef)]
    ours = [one.name for one in functions if any("pytest.fixture" in ast.unparse(by) for by in one.decorator_list)]
    return [name for name in ours if not name.startswith("embedqa_")]


@pytest.mark.parametrize("name", names_of_fixtures())
def test_fixture(name):
    """A fixture has its place in the table."""
    (table,) = [part for part in TEXT.split("\n## ") if part.startswith("Fixtures")]
    assert f"`{name}`" in table


@pytest.mark.parametrize("name", [*EXAMPLES, INVARIANTS])
def test_marker(name):
    """A marker is described."""
    assert f"`@{name}" in TEXT

"""The page on the architecture is true: the files that it names are there, and it names every room."""

from __future__ import annotations

import re

from pages import ROOT, code_spans

PAGE, PACKAGE = ROOT / "docs" / "ARCHITECTURE.md", ROOT / "pytest_embedqa"
# A folder, or a file with an ending; no call, no option and no pattern.
PATH = re.compile(r"[\w./-]+/|[\w./-]+\.(py|md|toml|json)")


def paths():
    """Paths in the page's code spans."""
    return {span for span in code_spans(PAGE) if PATH.fullmatch(span)}


def test_every_file_named_exists():
    """A reader finds each file and folder in the package, or in the repository."""
    assert len(paths()) > 50
    assert sorted(one for one in paths() if not ((PACKAGE / one).exists() or (ROOT / one).exists())) == []


def test_every_room_is_named():
    """No folder or module at the top of the package is left out."""
    rooms = {f"{file.parent.name}/" for file in PACKAGE.glob("*/__init__.py")}
    assert rooms | {file.name for file in PACKAGE.glob("*.py")} <= paths()

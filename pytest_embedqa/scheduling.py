"""Under pytest-xdist: tests that need the encoder share one worker, the rest runs in parallel."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    import pytest


class EncoderScheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
    """As xdist's "load", except that all tests that need the encoder are one group.

    The controller does not collect, and its workers tell it no more than the ids of their tests. So every worker
    writes down which of them need the encoder (all collect the same), before it reports its collection.
    """

    def __init__(self, config: pytest.Config, log: Any, file: Path) -> None:  # noqa: ANN401  xdist's own type
        """Read from ``file`` what the workers wrote."""
        super().__init__(config, log)
        self._file = file
        self._encoder_tests: frozenset[str] | None = None

    def _split_scope(self, nodeid: str) -> str:
        if self._encoder_tests is None:
            self._encoder_tests = frozenset(json.loads(self._file.read_text(encoding="utf-8")))
        return "encoder" if nodeid in self._encoder_tests else nodeid


def new_file() -> Path:
    """A file for the workers to write to."""
    return Path(tempfile.mkdtemp(prefix="embedqa-")) / "encoder-tests.json"


def write_encoder_tests(file: Path, items: list[pytest.Item]) -> None:
    """Write the ids of tests that need the encoder; whole or not at all, as other workers write it too."""
    ids = [item.nodeid for item in items if "encoder" in getattr(item, "fixturenames", ())]
    with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as draft:
        json.dump(ids, draft)
    Path(draft.name).replace(file)

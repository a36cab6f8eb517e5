"""A plugin for the pytest that ``embedqa doctor`` starts: it writes the collected embedding tests and their tasks."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_embedqa import markers
from pytest_embedqa.commands.doctor import COLLECTED
from pytest_embedqa.markers import MEAN
from pytest_embedqa.plugin import items

if TYPE_CHECKING:
    import pytest


def pytest_collection_finish(session: pytest.Session) -> None:
    """Write one JSON object a test: ``capability``, and ``task`` for a test on an mteb task."""
    facts = [found for item in session.items if (found := _facts(item))]
    Path(os.environ[COLLECTED]).write_text("\n".join(json.dumps(one) for one in facts), encoding="utf-8")


def _facts(item: pytest.Item) -> dict[str, Any] | None:
    capability = dict(item.user_properties).get(markers.CAPABILITY)
    if capability is None:
        return None
    mark = items.find_mark(item)
    task = mark.args[0] if mark and mark.name == markers.TASK else None
    if mark and mark.name == markers.BENCHMARK:
        task = getattr(item, "callspec").params["embedqa_task"]  # noqa: B009  only parametrized items have it
    return {"capability": capability, "task": task if isinstance(task, str) and task != MEAN else None}

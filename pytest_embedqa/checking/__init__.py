"""From a marked item to a passed, failed or skipped test: one module a sort of marker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_embedqa.checking import invariants, parity, quality, rag, speed
from pytest_embedqa.core.errors import EmbedQAError, SpecError
from pytest_embedqa.fixtures import get_session
from pytest_embedqa.markers import BENCHMARK, INVARIANTS, MODIFIERS, PARITY, RAG, RESULTS, TASK, THROUGHPUT, find_mark

if TYPE_CHECKING:
    from pytest_embedqa.session import Session

PROBLEMS: pytest.StashKey[str] = pytest.StashKey()
_BY_MARKER = {
    TASK: quality,
    BENCHMARK: quality,
    PARITY: parity,
    INVARIANTS: invariants,
    THROUGHPUT: speed,
    RAG: rag,
}


def check_items(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Check the markers of all items against what exists.

    Under xdist a worker that gives up says nothing to the user, so there the tests fail with the same text.

    Raises:
        pytest.UsageError: With every wrong marker, so that all can be mended at once.
    """
    problems: dict[str, None] = {}
    for item in items:
        try:
            _check_item(item)
        except EmbedQAError as error:  # noqa: PERF203  each item is tried
            problems[f"{item.nodeid.partition('[')[0]}: {error}"] = None
    try:
        gate = get_session(config).gate
        if gate and any(mark.name in {TASK, BENCHMARK} for item in items for mark in item.iter_markers()):
            gate.file  # noqa: B018  one that can't be read should show before anything is evaluated
    except EmbedQAError as error:
        problems[str(error)] = None
    if problems and hasattr(config, "workerinput"):
        config.stash[PROBLEMS] = "\n\n".join(problems)
    elif problems:
        raise pytest.UsageError("\n\n".join(problems))


def _check_item(item: pytest.Item) -> None:
    marks = [mark for mark in item.iter_markers() if mark.name in RESULTS]
    modifiers = [mark.name for mark in item.iter_markers() if mark.name in MODIFIERS]
    if modifiers and not any(mark.name in {TASK, BENCHMARK} for mark in marks):
        raise SpecError(f"@{modifiers[0]} says how to look at a task: it stands beside @{TASK} or @{BENCHMARK}.")
    if len(marks) > 1:
        names = ", ".join(str(mark.args[0] if mark.args else mark.name) for mark in marks)
        raise SpecError(f"one task a test, but there are {len(marks)}: {names}. Write one test for each.")
    if RESULTS[marks[0].name] not in item.fixturenames:  # type: ignore[attr-defined]  # functions have it
        raise SpecError(f"@{marks[0].name} belongs on a test function, class or module, not on a pytest.param.")
    _BY_MARKER[marks[0].name].read(item, marks[0])


def check_thresholds(item: pytest.Function, session: Session) -> None:
    """Measure what the item's marker asks for and fail the item if a requirement does not hold.

    Verdicts travel in ``user_properties`` and nowhere else, so that xdist, JUnit and every report see the same.
    """
    if PROBLEMS in item.config.stash:
        pytest.fail(item.config.stash[PROBLEMS], pytrace=False)
    mark = find_mark(item)
    assert mark is not None  # noqa: S101  the hook asked before
    _BY_MARKER[mark.name].check(item, mark, session)

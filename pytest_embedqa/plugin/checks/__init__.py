"""The way from a marked item to a passed, failed or skipped test: one module for each kind of marker."""

from __future__ import annotations

from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any

import pytest

from pytest_embedqa.core.errors import EmbedQAError, SpecError
from pytest_embedqa.core.showing import shown
from pytest_embedqa.markers import (
    BENCHMARK,
    ENCODER,
    EXAMPLES,
    INVARIANTS,
    MARKERS,
    MODIFIERS,
    TASK,
    THROUGHPUT,
)
from pytest_embedqa.plugin.checks.check import Check
from pytest_embedqa.plugin.fault_origin import THEIRS
from pytest_embedqa.plugin.items import find_mark, fixtures_of, own_marks, parameters_of, uses_encoder
from pytest_embedqa.plugin.state import get_session, settings_of

if TYPE_CHECKING:
    from pytest_embedqa.session import Session

PROBLEMS: pytest.StashKey[str] = pytest.StashKey()
# The markers that a test had when it was collected.
_COLLECTED: pytest.StashKey[list[pytest.Mark]] = pytest.StashKey()
# Set for a test once its marker has been judged; reset in each try.
JUDGED: pytest.StashKey[bool] = pytest.StashKey()
# Top-level packages through which this plugin calls the user's code.
_CALLERS = {"pytest_embedqa", "functools", "concurrent", "asyncio"}
# The parsed arguments of a marker.
_PARSED: pytest.StashKey[tuple[pytest.Mark, Any]] = pytest.StashKey()


def check_of(name: str) -> Check[Any]:
    """Return the object that reads and judges the tests of a marker."""
    check: Check[Any] = import_module(f"{__name__}.{MARKERS[name].check}").CHECK
    return check


def parsed(item: pytest.Item, mark: pytest.Mark) -> Any:  # whatever its room makes of a marker
    """Return the arguments of an item's marker, parsed once.

    Raises:
        EmbedQAError: If an argument is unknown or can't hold.
    """
    if _PARSED not in item.stash or item.stash[_PARSED][0] is not mark:
        item.stash[_PARSED] = mark, check_of(mark.name).parse(item, mark)
    return item.stash[_PARSED][1]


def check_items(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Check the markers of all items against the tasks, metrics and files that exist.

    A worker of xdist that gives up tells the user nothing, so there the tests fail with the same text.

    Raises:
        pytest.UsageError: With all wrong markers, so that they can be mended at once.
    """
    problems: dict[str, None] = {}
    for item in items:
        item.stash[_COLLECTED] = own_marks(item)
        try:
            _check_item(item)
        except EmbedQAError as error:
            problems[f"{_place(item)}: {error}"] = None
    try:
        gate = get_session(config).gate
        if gate and any(mark.name in {TASK, BENCHMARK} for item in items for mark in item.iter_markers()):
            gate.file  # noqa: B018  an unreadable file should show before anything is evaluated
    except EmbedQAError as error:
        problems[str(error)] = None
    if problems and hasattr(config, "workerinput"):
        config.stash[PROBLEMS] = "\n\n".join(problems)
    elif problems:
        raise pytest.UsageError(shown("\n\n".join(problems)))


def _place(item: pytest.Item) -> str:
    """Return the file and line of a test, and its name without parameters."""
    path, line, name = item.location
    return f"{path}:{line + 1}: {name.partition('[')[0]}" if line is not None else item.nodeid


def _check_item(item: pytest.Item) -> None:
    known = own_marks(item)
    marks = [mark for mark in known if mark.name in MARKERS]
    modifiers = [mark.name for mark in known if mark.name in MODIFIERS]
    if modifiers and not any(mark.name in {TASK, BENCHMARK} for mark in marks):
        raise SpecError(f"@{modifiers[0]} changes how a task is measured: put it beside @{TASK} or @{BENCHMARK}.")
    for mark in item.iter_markers():
        needs_arguments = mark.name in MODIFIERS or (mark.name in MARKERS and MARKERS[mark.name].needs_arguments)
        if needs_arguments and not (mark.args or mark.kwargs):
            written = f"@pytest.mark.{mark.name}"
            raise SpecError(f"{written} has no arguments. Write, for instance,  @pytest.mark.{EXAMPLES[mark.name]}")
    if len(marks) > 1:
        names = ", ".join(map(_called, marks))
        raise SpecError(f"a test takes one task, but this one has {len(marks)}: {names}. Write a test for each.")
    _bring_fixture(item, marks[0])
    check_of(marks[0].name).look_up(item, parsed(item, marks[0]))


def _called(mark: pytest.Mark) -> str:
    """Name a marker by the task, question or model that it is about."""
    about = mark.args[0] if mark.args else mark.kwargs.get("ask", mark.kwargs.get("reference", ""))
    return f"@{mark.name}({about if isinstance(about, str) else getattr(about, 'name', '')})".removesuffix("()")


def _bring_fixture(item: pytest.Item, mark: pytest.Mark) -> None:
    """Give a test the fixture of its marker if collection has not: in a ``TestCase``, or for a marker added by a hook.

    Raises:
        SpecError: If the test can't have the fixture, or would have to become several tests.
    """
    name = f"@{mark.name}"
    if not isinstance(item, pytest.Function):
        raise SpecError(f"{name} belongs on a test function, class or module; this is a {type(item).__name__}.")
    parameters = parameters_of(item)
    several = {
        "one for each --embedqa-model": len(settings_of(item.config).models) > 1
        and ENCODER not in parameters
        and uses_encoder(item),
        "one for each task": mark.name == BENCHMARK and "embedqa_task" not in parameters,
        "one for each length": isinstance(mark.kwargs.get("length"), list | tuple)
        and "embedqa_length" not in parameters,
        "one for each invariant": mark.name == INVARIANTS and "invariant" not in parameters,
    }
    # A plain pytest.mark marker brings no parameters.
    decorator = f", as the decorator @{mark.name}() of pytest_embedqa" if mark.name == INVARIANTS else ""
    if tests := [text for text, wanted in several.items() if wanted]:
        raise SpecError(
            f"{name} makes several tests of this one ({tests[0]}), which pytest can't do in a unittest.TestCase, nor for a "
            f"marker that a hook or a pytest.param has added. Put it on a plain test function or class{decorator}."
        )
    brought = fixtures_of(mark)
    if mark.name == THROUGHPUT and item.config.pluginmanager.hasplugin("benchmark"):
        brought.append("benchmark")
    # A new list: tests of one function share theirs.
    item.fixturenames = [*item.fixturenames, *(one for one in brought if one not in item.fixturenames)]


def require_right_markers(item: pytest.Item) -> None:
    """Fail a test before its fixtures are set up, in a worker that has found wrong markers."""
    if PROBLEMS in item.config.stash and own_marks(item):
        pytest.fail(item.config.stash[PROBLEMS], pytrace=False)


def ask_ahead(item: pytest.Item) -> None:
    """Ask the user's own pipeline, for a test that is about one, once all fixtures of the test are set up.

    Raises:
        Exception: The pipeline's own exception, with its own traceback.
    """
    __tracebackhide__ = True
    mark = find_mark(item)
    if mark is None or item.config.getoption("setuponly", default=False):
        return
    try:
        check_of(mark.name).ask_ahead(item)
    except Exception as error:  # noqa: BLE001  whatever it may raise
        raised = error
    else:
        return
    setattr(raised, THEIRS, True)
    raise raised.with_traceback(_of_theirs(raised.__traceback__))


def _of_theirs(traceback: TracebackType | None) -> TracebackType | None:
    """Cut a traceback to the part after it leaves this package, which only calls the user's code."""
    step = traceback
    while step and step.tb_frame.f_globals.get("__name__", "").partition(".")[0] in _CALLERS:
        step = step.tb_next
    return step or traceback


def check_thresholds(item: pytest.Item, session: Session) -> None:
    """Measure the quantities that the item's marker names, and fail the item if a requirement does not hold.

    Verdicts travel in ``user_properties`` and nowhere else, so that xdist, JUnit and every report see the same.
    """
    if problem := _came_late(item):
        pytest.fail(problem, pytrace=False)
    mark = find_mark(item)
    assert mark is not None  # noqa: S101  the hook has found a marker, and none was late
    assert isinstance(item, pytest.Function)  # noqa: S101  others are refused when they are collected
    check_of(mark.name).judge(item, parsed(item, mark), session)
    item.stash[JUDGED] = True


def why_unjudged(item: pytest.Item) -> str:
    """Say why a marked test that passed was not judged; an empty text if it was."""
    mark = find_mark(item)
    if (problem := _came_late(item)) or mark is None or item.stash.get(JUDGED, False):
        return problem
    return (
        f"@{mark.name} was not judged: the test ran without the hooks of pytest (pytest_runtest_call). Put the marker on a "
        "test function, and let pytest run it."
    )


def why_undecided(item: pytest.Item) -> str:
    """Say why a marked test must not be skipped, if other tests leave failures to it; otherwise an empty text."""
    mark = find_mark(item)
    return check_of(mark.name).why_undecided(item, mark) if mark else ""


def _came_late(item: pytest.Item) -> str:
    """Say why a marker that was added to a test after collection can't be judged; an empty text if there is none."""
    known = {id(mark) for mark in item.stash.get(_COLLECTED, [])}
    late = next((mark for mark in own_marks(item) if id(mark) not in known), None)
    if late is None:
        return ""
    return (
        f"@{late.name} was added to the test while it ran, too late to be checked and judged. Put the marker on the function, on "
        "a pytest.param, or add it in the hook pytest_collection_modifyitems. A bound from a fixture or parameter can be "
        f"asserted in the test instead, with the fixture '{MARKERS.get(late.name, MARKERS[TASK]).fixture}'."
    )

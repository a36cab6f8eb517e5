"""From a marked item to a passed, failed or skipped test."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from pytest_embedqa.core.errors import EmbedQAError, MissingDataError, SpecError
from pytest_embedqa.fixtures import MEAN
from pytest_embedqa.markers import BENCHMARK, TASK, QualityMark, find_mark, read_mark, read_min_mean
from pytest_embedqa.quality.evaluator import check
from pytest_embedqa.reports.failure import failure_text
from pytest_embedqa.reports.verdicts import ENCODER, VERDICT, encoder_facts

if TYPE_CHECKING:
    from pytest_embedqa.core.verdict import Verdict
    from pytest_embedqa.quality.task import TaskResult
    from pytest_embedqa.session import Session


def check_items(items: list[pytest.Item]) -> None:
    """Check the markers of all items against what exists.

    Raises:
        pytest.UsageError: With every wrong marker, so that all can be mended at once.
    """
    problems: dict[str, None] = {}
    checked: list[QualityMark] = []  # bounds by model make a mark unhashable
    for item in items:
        try:
            _check_item(item, checked)
        except EmbedQAError as error:  # noqa: PERF203  each item is tried
            problems[f"{item.nodeid.partition('[')[0]}: {error}"] = None
    if problems:
        raise pytest.UsageError("\n\n".join(problems))


def _check_item(item: pytest.Item, checked: list[QualityMark]) -> None:
    marks = [mark for mark in item.iter_markers() if mark.name in {TASK, BENCHMARK}]
    if len(marks) > 1:
        names = ", ".join(str(mark.args[0]) for mark in marks if mark.args)
        raise SpecError(f"one task a test, but there are {len(marks)}: {names}. Write one test for each.")
    if "task_result" not in item.fixturenames:  # type: ignore[attr-defined]  # functions have it
        raise SpecError(f"@{marks[0].name} belongs on a test function, class or module, not on a pytest.param.")
    quality = _quality_mark(item)
    if quality and _task_of(item) != MEAN and quality not in checked:
        check(quality.query, quality.all_requirements)
        checked.append(quality)


def check_thresholds(item: pytest.Function, session: Session) -> None:
    """Evaluate the item's task and fail it if a requirement does not hold.

    Verdicts travel in ``user_properties`` and nowhere else, so that xdist, JUnit and every report see the same.
    """
    quality = _quality_mark(item)
    result = cast("TaskResult | list[TaskResult]", item.funcargs["task_result"])
    assert quality is not None  # noqa: S101  the hook asked before
    try:
        verdicts = (
            session.mean_verdict(quality, result) if isinstance(result, list) else session.verdicts(quality, result)
        )
        encoder = (result[0] if isinstance(result, list) else result).encoder
    except MissingDataError as error:
        if session.settings.missing_data == "skip":
            pytest.skip(str(error))
        pytest.fail(f"{error}\n--embedqa-missing-data=skip would skip this test instead.", pytrace=False)
    except EmbedQAError as error:
        pytest.fail(f"{quality.query.name}: {error}", pytrace=False)
    item.user_properties += [(VERDICT, verdict.as_dict()) for verdict in verdicts]
    item.user_properties.append((ENCODER, encoder_facts(encoder)))
    if quality.bounds and not quality.requirements(encoder.name):
        pytest.skip(f"{quality.query.name} has no bound for the model '{encoder.name}'")
    failed = [verdict for verdict in verdicts if not session.holds(verdict)]
    if failed:
        pytest.fail(_text(failed, verdicts, result), pytrace=False)


def _text(failed: list[Verdict], verdicts: list[Verdict], result: TaskResult | list[TaskResult]) -> str:
    if isinstance(result, list):
        lowest = sorted(result, key=lambda one: one.main_score)[:5]
        return "\n".join(
            [failed[0].reason, "Lowest: " + ", ".join(f"{one.query.name} {one.main_score:.4f}" for one in lowest)]
        )
    return failure_text(failed, verdicts, result)


def _quality_mark(item: pytest.Item) -> QualityMark | None:
    mark = find_mark(item)
    if mark is None:
        return None
    task = _task_of(item)
    if mark.name == BENCHMARK and task == MEAN:
        return read_min_mean(mark)
    return read_mark(mark, item.path.parent, task)


def _task_of(item: pytest.Item) -> str | None:
    callspec = getattr(item, "callspec", None)
    name: str | None = callspec.params.get("embedqa_task") if callspec else None
    return name

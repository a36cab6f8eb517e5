"""From a marked item to a passed, failed or skipped test."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from pytest_embedqa.core.errors import EmbedQAError, MissingDataError, SpecError
from pytest_embedqa.core.requirement import Kind
from pytest_embedqa.engine_parity import mark as parity_mark
from pytest_embedqa.engine_parity.causes import find_causes
from pytest_embedqa.engine_parity.verdicts import parity_verdicts
from pytest_embedqa.fixtures import MEAN
from pytest_embedqa.markers import BENCHMARK, PARITY, RESULTS, find_mark
from pytest_embedqa.quality.evaluator import check
from pytest_embedqa.quality.mark import QualityMark, read_mark, read_min_mean
from pytest_embedqa.reports.failure import failure_text, parity_failure_text
from pytest_embedqa.reports.verdicts import (
    ENCODER,
    NOTE,
    TRUNCATION,
    VERDICT,
    encoder_facts,
    parity_facts,
    truncation_facts,
    write,
)
from pytest_embedqa.reports.verdicts import PARITY as PARITY_FACTS

if TYPE_CHECKING:
    from pytest_embedqa.core.verdict import Verdict
    from pytest_embedqa.engine_parity.comparison import ParityResult
    from pytest_embedqa.engine_parity.mark import ParityMark
    from pytest_embedqa.quality.task import TaskResult
    from pytest_embedqa.session import Session


PROBLEMS: pytest.StashKey[str] = pytest.StashKey()


def check_items(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Check the markers of all items against what exists.

    Under xdist a worker that gives up says nothing to the user, so there the tests fail with the same text.

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
    if problems and hasattr(config, "workerinput"):
        config.stash[PROBLEMS] = "\n\n".join(problems)
    elif problems:
        raise pytest.UsageError("\n\n".join(problems))


def _check_item(item: pytest.Item, checked: list[QualityMark]) -> None:
    marks = [mark for mark in item.iter_markers() if mark.name in RESULTS]
    if len(marks) > 1:
        names = ", ".join(str(mark.args[0] if mark.args else mark.name) for mark in marks)
        raise SpecError(f"one task a test, but there are {len(marks)}: {names}. Write one test for each.")
    if RESULTS[marks[0].name] not in item.fixturenames:  # type: ignore[attr-defined]  # functions have it
        raise SpecError(f"@{marks[0].name} belongs on a test function, class or module, not on a pytest.param.")
    if marks[0].name == PARITY:
        parity_mark.read_mark(marks[0])
        return
    quality = _quality_mark(item)
    if quality and _task_of(item) != MEAN and quality not in checked:
        check(quality.query, quality.all_requirements)
        checked.append(quality)


def check_thresholds(item: pytest.Function, session: Session) -> None:
    """Evaluate the item's task and fail it if a requirement does not hold.

    Verdicts travel in ``user_properties`` and nowhere else, so that xdist, JUnit and every report see the same.
    """
    if PROBLEMS in item.config.stash:
        pytest.fail(item.config.stash[PROBLEMS], pytrace=False)
    mark = find_mark(item)
    if mark and mark.name == PARITY:
        _check_parity(item, parity_mark.read_mark(mark), session)
    else:
        _check_quality(item, session)


def _check_parity(item: pytest.Function, mark: ParityMark, session: Session) -> None:
    result = cast("ParityResult", item.funcargs["parity_result"])
    problem = None
    try:
        judged = parity_verdicts(mark.requirements, result)
        failed = [verdict for verdict in judged if not verdict.passed]
        if failed:
            causes = find_causes(result.encoder, result.reference(), result.comparison, session.variant)
            problem = parity_failure_text(failed, result, causes)
    except EmbedQAError as error:
        judged, problem = [], f"parity with {mark.reference}: {error}"
    item.user_properties += [write(VERDICT, verdict.as_dict()) for verdict in judged]
    if judged:
        item.user_properties += [
            write(ENCODER, encoder_facts(result.encoder)),
            write(PARITY_FACTS, parity_facts(result)),
        ]
    if problem:
        pytest.fail(problem, pytrace=False)


def _check_quality(item: pytest.Function, session: Session) -> None:
    quality = _quality_mark(item)
    assert quality is not None  # noqa: S101  the hook asked before
    result = cast("TaskResult | list[TaskResult]", item.funcargs["task_result"])
    encoder = (result[0] if isinstance(result, list) else result).encoder
    requirements = quality.requirements(encoder.name)
    if quality.bounds and not requirements:
        pytest.skip(f"{quality.query.name} has no bound for the model '{encoder.name}'")
    judged = _judge(session, quality, result)
    if isinstance(judged, MissingDataError) and session.settings.missing_data == "skip":
        pytest.skip(str(judged))
    if isinstance(judged, MissingDataError):
        pytest.fail(f"{judged}\n--embedqa-missing-data=skip would skip this test instead.", pytrace=False)
    if isinstance(judged, EmbedQAError):
        pytest.fail(f"{quality.query.name}: {judged}", pytrace=False)
    item.user_properties += [write(VERDICT, verdict.as_dict()) for verdict in judged]
    item.user_properties.append(write(ENCODER, encoder_facts(encoder)))
    for one in result if isinstance(result, list) else [result]:
        item.user_properties.append(write(TRUNCATION, truncation_facts(one)))
    if session.settings.baseline is None and any(one.kind is Kind.MAX_REGRESSION for one in requirements):
        unjudged = f"{quality.query.name}: max_regression= was not judged: there is no --embedqa-baseline"
        item.user_properties.append(write(NOTE, {"text": unjudged}))
        if session.settings.strict:
            pytest.fail(unjudged, pytrace=False)
    failed = [verdict for verdict in judged if not session.holds(verdict)]
    if failed:
        pytest.fail(_text(failed, judged, result), pytrace=False)


def _judge(
    session: Session, quality: QualityMark, result: TaskResult | list[TaskResult]
) -> list[Verdict] | EmbedQAError:
    """Verdicts, or why there are none. An error as a value: raised on, pytest would print it twice."""
    try:
        return session.mean_verdict(quality, result) if isinstance(result, list) else session.verdicts(quality, result)
    except EmbedQAError as error:
        return error


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

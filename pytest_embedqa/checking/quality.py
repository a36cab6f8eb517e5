"""``@mteb_task`` and ``@mteb_benchmark``: thresholds on scores."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from pytest_embedqa.core.errors import EmbedQAError, MissingDataError
from pytest_embedqa.core.requirement import Kind
from pytest_embedqa.fixtures import MEAN
from pytest_embedqa.markers import BENCHMARK, MODIFIERS
from pytest_embedqa.quality import evaluator
from pytest_embedqa.quality.compression import read_compressions
from pytest_embedqa.quality.mark import QualityMark, read_mark, read_min_mean
from pytest_embedqa.reports.failure import failure_text
from pytest_embedqa.reports.verdicts import (
    CURVE,
    ENCODER,
    NOTE,
    TRUNCATION,
    VERDICT,
    curve_facts,
    encoder_facts,
    truncation_facts,
    write,
)

if TYPE_CHECKING:
    from pytest_embedqa.core.verdict import Verdict
    from pytest_embedqa.quality.task import TaskResult
    from pytest_embedqa.session import Session

# Marks whose task was looked up. A list: bounds by model make a mark unhashable.
_CHECKED: pytest.StashKey[list[QualityMark]] = pytest.StashKey()


def read(item: pytest.Item, mark: pytest.Mark) -> None:
    """Understand a marker and look up its task and metrics; nothing is evaluated.

    Raises:
        SpecError, TaskError: Saying what there is instead.
    """
    checked = item.session.stash.setdefault(_CHECKED, [])
    quality = _quality_mark(item, mark)
    if _task_of(item) != MEAN and quality not in checked:
        ranked = any(one.rescore for one in quality.compressions)
        evaluator.check(quality.query, quality.all_requirements, ranked=ranked)
        checked.append(quality)


def check(item: pytest.Function, mark: pytest.Mark, session: Session) -> None:
    """Evaluate the item's task and fail it if a requirement does not hold."""
    quality = _quality_mark(item, mark)
    result = cast("TaskResult | list[TaskResult]", item.funcargs["task_result"])
    encoder = (result[0] if isinstance(result, list) else result).encoder
    requirements = quality.requirements(encoder.name)
    if quality.bounds and not (requirements or quality.compressions):
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
    if not isinstance(result, list) and quality.compressions:
        result.curve = session.curve(quality, result)
        item.user_properties.append(write(CURVE, curve_facts(result)))
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


def _quality_mark(item: pytest.Item, mark: pytest.Mark) -> QualityMark:
    task = _task_of(item)
    if mark.name == BENCHMARK and task == MEAN:
        return read_min_mean(mark)
    compressions = read_compressions([one for one in item.iter_markers() if one.name in MODIFIERS])
    return replace(read_mark(mark, item.path.parent, task), compressions=compressions)


def _task_of(item: pytest.Item) -> str | None:
    callspec = getattr(item, "callspec", None)
    name: str | None = callspec.params.get("embedqa_task") if callspec else None
    return name

"""``@mteb_task`` and ``@mteb_benchmark``: thresholds on scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

import pytest

from pytest_embedqa.core.errors import EmbedQAError, MissingDataError, SpecError
from pytest_embedqa.core.properties import CURVE, DIAGNOSIS, ENCODER, NOTE, TASK, TRUNCATION, UPGRADE, VERDICT, write
from pytest_embedqa.core.requirement import Kind
from pytest_embedqa.diagnosis.result import diagnosis_facts
from pytest_embedqa.encoders.wording import encoder_facts
from pytest_embedqa.markers import BENCHMARK, MARKERS, MEAN, MODIFIERS
from pytest_embedqa.markers import TASK as TASK_MARKER
from pytest_embedqa.plugin.checks.check import Check
from pytest_embedqa.plugin.checks.expecting import would_be_expected
from pytest_embedqa.plugin.checks.naming import require_own_name
from pytest_embedqa.plugin.checks.retrieving import ask, choice_of, not_compared
from pytest_embedqa.plugin.items import parameters_of
from pytest_embedqa.quality import evaluator
from pytest_embedqa.quality.benchmark_mean import mean_verdicts
from pytest_embedqa.quality.compression import read_compressions
from pytest_embedqa.quality.facts import curve_facts, failure_text, task_facts, truncation_facts
from pytest_embedqa.quality.mark import QualityMark, read_mark, read_means
from pytest_embedqa.quality.own_tasks import OwnTask
from pytest_embedqa.quality.retrievers.system import RetrieverSystem
from pytest_embedqa.quality.retrievers.tasks import main_score_of
from pytest_embedqa.quality.task import TaskResult
from pytest_embedqa.upgrade.wording import failure_lines as upgrade_lines
from pytest_embedqa.upgrade.wording import upgrade_facts

if TYPE_CHECKING:
    from pytest_embedqa.core.verdict import Verdict
    from pytest_embedqa.encoders.system import System
    from pytest_embedqa.session import Session

# Bounds below which a score is too low. A wrong set-up does not explain the others: texts, compressed vectors, maxima.
_LOW = {Kind.MIN, Kind.VS_PUBLISHED, Kind.MAX_REGRESSION}
# Lines of a diagnosis that a passed test shows.
_NOTED = 2
# Marks whose task has been looked up. A list: bounds by model make a mark unhashable.
_CHECKED: pytest.StashKey[list[QualityMark]] = pytest.StashKey()


class QualityCheck(Check[QualityMark]):
    """The check of ``@mteb_task`` and ``@mteb_benchmark``."""

    def parse(self, item: pytest.Item, mark: pytest.Mark) -> QualityMark:
        """Parse the task and the bounds on its scores."""
        task = _task_of(item)
        if mark.name == BENCHMARK and task == MEAN:
            return read_means(mark)
        compressions = read_compressions([one for one in item.iter_markers() if one.name in MODIFIERS])
        read = partial(choice_of, item)
        quality = read_mark(mark, item.path.parent, task, root=item.config.rootpath, retriever=read)
        if compressions and quality.retriever:
            raise SpecError(
                "@matryoshka and @quantized shorten vectors, and a retriever shows none: they can't stand beside retriever=."
            )
        if compressions and quality.query.top_k:
            raise SpecError(
                f"'{compressions[0].label}' is for a model alone; it can't stand beside reranker= or first_stage=. Write two tests."
            )
        return replace(quality, compressions=compressions)

    def look_up(self, item: pytest.Item, parsed: QualityMark) -> None:
        """Look up the task and its metrics; nothing is evaluated."""
        checked = item.session.stash.setdefault(_CHECKED, [])
        if parsed in checked:
            return
        task = parsed.query.task
        if isinstance(task, OwnTask):
            task = replace(task, path=task.path.resolve())
        require_own_name(item, parsed.query.name, task, "Tell them apart with name=.")
        if _task_of(item) == MEAN:
            evaluator.check_means(parsed.query.name, parsed.all_requirements)
        else:
            ranked = any(one.rescore for one in parsed.compressions)
            evaluator.check(parsed.query, parsed.all_requirements, ranked=ranked)
            if parsed.retriever:
                main_score_of(parsed.query)
        checked.append(parsed)

    def judge(self, item: pytest.Function, parsed: QualityMark, session: Session) -> None:
        """Evaluate the task, and fail the test if a requirement does not hold."""
        result = cast("TaskResult | list[TaskResult]", item.funcargs["task_result"])
        if isinstance(result, list):
            _check_mean(item, session, parsed, result)
        else:
            _check_task(item, session, parsed, result)

    def shared(self, item: pytest.Item, parsed: QualityMark) -> str:
        """Name the task, which is evaluated once."""
        if parsed.retriever:
            return f"{parsed.query} of {parsed.retriever}"
        return f"mean of {parsed.query.name}" if _task_of(item) == MEAN else str(parsed.query)

    def ask_ahead(self, item: pytest.Item) -> None:
        """Ask a retriever of the user's own."""
        result = getattr(item, "funcargs", {}).get(MARKERS[TASK_MARKER].fixture)
        if isinstance(result, TaskResult) and isinstance(result.encoder, RetrieverSystem):
            ask(result)


CHECK = QualityCheck()


def _check_mean(item: pytest.Function, session: Session, quality: QualityMark, results: list[TaskResult]) -> None:
    encoder = results[0].encoder
    if not quality.requirements(encoder.name):
        _skip_without_bound(quality, encoder)
    judged = _judged(item, session, quality, lambda: mean_verdicts(quality, results), results)
    failed = [verdict for verdict in judged if not session.holds(verdict)]
    if failed:
        lowest = ", ".join(
            f"{one.query.name} {one.main_score:.4f}" for one in sorted(results, key=lambda one: one.main_score)[:5]
        )
        pytest.fail("\n".join([*(verdict.reason for verdict in failed), f"Lowest: {lowest}"]), pytrace=False)


def _check_task(item: pytest.Function, session: Session, quality: QualityMark, result: TaskResult) -> None:
    requirements = session.requirements(quality, result.encoder)
    if quality.bounds and not (requirements or quality.compressions):
        _skip_without_bound(quality, result.encoder)
    problems: list[str] = []
    judged = _judged(item, session, quality, lambda: session.verdicts(quality, result, problems), [result])
    gated = any(one.kind is Kind.MAX_REGRESSION for one in requirements)
    upgrades = []
    if gated and session.gate:
        differences = session.gate.differences(session.tested(result.encoder))
        upgrades = [
            upgrade_facts(result.encoder, session.upgrade(quality, result, dim), differences) for dim in quality.dims
        ]
        item.user_properties += [write(UPGRADE, facts) for facts in upgrades]
    if quality.compressions:
        result.curve = session.curve(quality, result)
        item.user_properties.append(write(CURVE, curve_facts(result)))
    if note := not_compared(session, quality, result):
        item.user_properties.append(write(NOTE, {"text": note}))
    if gated and not (session.gate or session.settings.save_baseline):
        unjudged = f"{quality.query.name}: max_regression= was not judged: there is no --embedqa-baseline"
        item.user_properties.append(write(NOTE, {"text": unjudged}))
        if session.settings.strict:
            pytest.fail(unjudged, pytrace=False)
    failed = [verdict for verdict in judged if not session.holds(verdict)]
    causes = _diagnosed(item, session, result, failed)
    lines = [f"{quality.query.name}: {reason}" for reason in problems]
    if failed:
        lines.insert(0, failure_text(failed, judged, result, upgrade_lines(failed, upgrades), causes))
    if lines:
        pytest.fail("\n".join(lines), pytrace=False)


def _diagnosed(item: pytest.Function, session: Session, result: TaskResult, failed: list[Verdict]) -> list[str]:
    """Diagnose, where that is wanted, why the score is low, in words: an expected failure needs no explanation."""
    when = session.settings.diagnose
    below = [verdict for verdict in failed if verdict.kind in _LOW]
    low = below or session.is_far_below_published(result)
    if when != "always" and not (when == "auto" and low and not would_be_expected(item)):
        return []
    try:
        found = session.diagnosis(result)
    except Exception as error:  # noqa: BLE001  whatever goes wrong here must not hide the failure
        return [f"could not be looked for: {type(error).__name__}: {error}"]
    if found is None:
        return []
    item.user_properties.append(write(DIAGNOSIS, diagnosis_facts(str(result.encoder.spec), result.query.name, found)))
    if not failed:
        item.user_properties += [write(NOTE, {"text": f"{result.query.name}: {line}"}) for line in found.lines[:_NOTED]]
    return found.lines


def _skip_without_bound(quality: QualityMark, encoder: System) -> None:
    pytest.skip(f"{quality.query.name} has no bound for the model '{encoder.name}'")


def _judged(
    item: pytest.Function,
    session: Session,
    quality: QualityMark,
    judge: Callable[[], list[Verdict]],
    results: list[TaskResult],
) -> list[Verdict]:
    """Return verdicts and record them; if there can be none, skip or fail the item with the reason."""
    try:
        judged = judge()
    except MissingDataError as error:
        if session.settings.missing_data == "skip":
            pytest.skip(str(error))
        text = f"{error}\n--embedqa-missing-data=skip would skip this test instead."
        raise pytest.fail.Exception(text, pytrace=False) from None
    except EmbedQAError as error:
        text, name = str(error), quality.query.name
        named = text if text.startswith(f"{name}:") else f"{name}: {text}"
        raise pytest.fail.Exception(named, pytrace=False) from None
    item.user_properties += [write(VERDICT, verdict.as_dict()) for verdict in judged]
    item.user_properties.append(write(ENCODER, encoder_facts(results[0].encoder)))
    item.user_properties += [write(TASK, task_facts(one)) for one in results]
    item.user_properties += [write(TRUNCATION, truncation_facts(one)) for one in results]
    told = {note for verdict in judged for note in verdict.notes}
    item.user_properties += [
        write(NOTE, {"text": f"{one.query.name}: {note}"})
        for one in results
        for note in one.details.every_note
        if note not in told
    ]
    return judged


def _task_of(item: pytest.Item) -> str | None:
    name: str | None = parameters_of(item).get("embedqa_task")
    return name

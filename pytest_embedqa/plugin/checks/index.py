"""``@index_recall``: bounds on what an index returns of the neighbours that exact search finds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, cast

import pytest

from pytest_embedqa.core.errors import BaselineError, EmbedQAError, MissingDataError, SpecError
from pytest_embedqa.core.evaluation import Subject
from pytest_embedqa.core.properties import ENCODER, INDEX, NOTE, UPGRADE, VERDICT, write
from pytest_embedqa.encoders.wording import encoder_facts
from pytest_embedqa.index.causes import find_causes, no_other
from pytest_embedqa.index.evaluations import Kept, evaluations, subject
from pytest_embedqa.index.facts import index_facts, index_failure_text
from pytest_embedqa.index.mark import OF_THE_TASK, IndexMark, read_mark
from pytest_embedqa.index.verdicts import index_verdicts
from pytest_embedqa.markers import PROBE_FILES
from pytest_embedqa.plugin.checks.check import Check
from pytest_embedqa.plugin.checks.index_gate import Gated, allowed_drop, gated
from pytest_embedqa.plugin.checks.naming import name_of_test, require_own_name
from pytest_embedqa.plugin.checks.retrieving import choice_of, opened
from pytest_embedqa.plugin.state import settings_of
from pytest_embedqa.quality.mark import read_mark as read_task
from pytest_embedqa.quality.retrievers.tasks import main_score_of
from pytest_embedqa.quality.task_texts import TaskTexts
from pytest_embedqa.rag.probe_texts import ProbeTexts
from pytest_embedqa.rag.reading import read_file
from pytest_embedqa.upgrade.gate import is_gate
from pytest_embedqa.upgrade.wording import failure_lines as upgrade_lines

if TYPE_CHECKING:
    from pytest_embedqa.encoders.system import System
    from pytest_embedqa.index.result import IndexResult
    from pytest_embedqa.quality.mark import QualityMark
    from pytest_embedqa.session import Session


@dataclass(frozen=True)
class IndexTest:
    """Texts, and the index to build of them, or the retriever that searches them.

    Attributes:
        name: Name of the task or probe file.
        subject: What a baseline knows it by.
        texts: Documents and queries.
        mark: The index and the bounds on it.
        task: The task, where the texts are of one.
    """

    name: str
    subject: Subject
    texts: TaskTexts | ProbeTexts
    mark: IndexMark
    task: QualityMark | None = None


class IndexCheck(Check[IndexTest]):
    """The check of ``@index_recall``."""

    def parse(self, item: pytest.Item, mark: pytest.Mark) -> IndexTest:
        """Parse task or probe file, index and bounds."""
        if mark.args and str(mark.args[0]).endswith(PROBE_FILES):
            return _of_probe_file(item, mark)
        of_task = {name: value for name, value in mark.kwargs.items() if name in OF_THE_TASK}
        task = read_task(
            pytest.Mark(mark.name, mark.args, of_task, _ispytest=True),
            item.path.parent,
            root=item.config.rootpath,
            retriever=partial(choice_of, item),
        )
        texts = TaskTexts(task.query, settings_of(item.config).datasets)
        return IndexTest(task.query.name, task.query.subject(None), texts, read_mark(mark, task.retriever), task)

    def look_up(self, item: pytest.Item, parsed: IndexTest) -> None:
        """Look up the task, which must be one that searches a corpus."""
        if parsed.task:
            main_score_of(parsed.task.query)
        settings = settings_of(item.config)
        if settings.baseline or settings.save_baseline:
            test, mark = name_of_test(item), replace(parsed.mark, requirements=(), sweep={})
            require_own_name(item, f"{parsed.subject} {test}", (item.path, mark), "Rename one of the tests.")

    def shared(self, item: pytest.Item, parsed: IndexTest) -> str:  # noqa: ARG002
        """Name the task, whose documents are encoded once."""
        return f"task {parsed.name}"

    def judge(self, item: pytest.Function, parsed: IndexTest, session: Session) -> None:
        """Build and search the index, and fail the test if a bound does not hold."""
        result = cast("IndexResult", item.funcargs["index_result"])
        model = result.model
        name = str(model.spec)
        try:
            judged = index_verdicts(parsed.mark.requirements, result, name)
            against = _gated(item, parsed, result, session)
        except EmbedQAError as error:
            raise pytest.fail.Exception(f"{parsed.name}: {error}", pytrace=False) from None
        judged += against.verdicts
        failed = [verdict for verdict in judged if not session.holds(verdict)]
        item.user_properties += [write(UPGRADE, facts) for facts in against.facts]
        item.user_properties += [write(VERDICT, verdict.as_dict()) for verdict in judged]
        item.user_properties += [
            write(ENCODER, encoder_facts(model)),
            write(INDEX, {**index_facts(result, name), "bounded": bool(judged)}),
        ]
        item.user_properties += [write(NOTE, {"text": note}) for note in result.notes]
        if failed:
            causes, gate = find_causes(result), [verdict for verdict in failed if is_gate(verdict)]
            if gate:  # which says itself what is to blame
                causes = [cause for cause in causes if cause != no_other(result)]
            text = index_failure_text(failed, result, causes, name)
            why = [f"  blame      {line}" for line in against.lines] + upgrade_lines(gate, against.facts)
            pytest.fail("\n".join([text, *(why if gate else [])]), pytrace=False)
        item.user_properties += [write(NOTE, {"text": f"{parsed.name} {line}"}) for line in against.lines]


def _gated(item: pytest.Item, parsed: IndexTest, result: IndexResult, session: Session) -> Gated:
    """Keep the measures for a baseline, and compare them with the baseline's, where that is asked for."""
    every = (
        evaluations(result, parsed.subject, name_of_test(item))
        if session.gate or session.settings.save_baseline
        else []
    )
    for evaluation in (one for kept in every for one in kept.all()):
        session.keep_for_baseline(result.model, evaluation)
    allowed = allowed_drop(parsed.mark, result.model, session)
    if allowed is None:
        return Gated()
    if session.gate is None:
        if not session.settings.save_baseline:
            unjudged = f"{parsed.name}: max_regression= was not judged: there is no --embedqa-baseline"
            item.user_properties.append(write(NOTE, {"text": unjudged}))
            if session.settings.strict:
                pytest.fail(unjudged, pytrace=False)
        return Gated()

    def again(old: System) -> list[Kept]:
        if parsed.task and parsed.task.retriever:
            raise BaselineError(
                f"the retriever of {item.name} can't be asked with the encoder '{old.spec}'. Save a baseline of it "
                "(--embedqa-save-baseline=FILE), and compare with the file."
            )
        return evaluations(session.indexes.result(parsed.texts, parsed.mark, old), parsed.subject, name_of_test(item))

    return gated(allowed, every, result.model, session, again)


def _of_probe_file(item: pytest.Item, mark: pytest.Mark) -> IndexTest:
    """Parse a marker that is about the passages and questions of a probe file."""
    if beside := [name for name in OF_THE_TASK if name in mark.kwargs]:
        raise SpecError(f"@{mark.name}: {beside[0]}= is for tasks, and {mark.args[0]} is a probe file.")
    path = item.path.parent / mark.args[0]
    if not path.is_file():
        raise SpecError(f"@{mark.name}: {path} is not a file.")
    file = read_file(path)
    if allowed := settings_of(item.config).allowed:
        allowed.check(file, own_service=False, own_reranker=False)
    root = item.config.rootpath
    known = path.relative_to(root).as_posix() if path.is_relative_to(root) else f"{path.parent.name}/{path.name}"
    return IndexTest(path.name, Subject(known), ProbeTexts(file), read_mark(mark))


def measured(request: pytest.FixtureRequest, parsed: IndexTest, session: Session, model: System) -> IndexResult:
    """Return the measures of a test's index; without data, skip or fail the test as an evaluation would."""
    try:
        if session.gate and allowed_drop(parsed.mark, model, session):
            session.gate.require(subject(parsed.subject, name_of_test(request.node), f"recall_at_{parsed.mark.k}"))
        answers = None
        if parsed.task and parsed.task.retriever and isinstance(parsed.texts, TaskTexts):
            asked = opened(request, replace(parsed.task, top_k=parsed.mark.k), session.retrievers)
            answers = parsed.texts.answers(asked)
        return session.indexes.result(parsed.texts, parsed.mark, model, answers)
    except MissingDataError as error:
        if settings_of(request.config).missing_data == "skip":
            pytest.skip(str(error))
        raise pytest.fail.Exception(str(error), pytrace=False) from None
    except EmbedQAError as error:
        raise pytest.fail.Exception(f"{parsed.name}: {error}", pytrace=False) from None


CHECK = IndexCheck()

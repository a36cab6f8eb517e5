"""``@index_recall``: bounds on what an index returns of the neighbours that exact search finds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, cast

import pytest

from pytest_embedqa.core.errors import EmbedQAError, MissingDataError
from pytest_embedqa.core.properties import ENCODER, INDEX, NOTE, VERDICT, write
from pytest_embedqa.encoders.wording import encoder_facts
from pytest_embedqa.index.causes import find_causes
from pytest_embedqa.index.facts import index_facts, index_failure_text
from pytest_embedqa.index.mark import OF_THE_TASK, IndexMark, read_mark
from pytest_embedqa.index.verdicts import index_verdicts
from pytest_embedqa.plugin.checks.check import Check
from pytest_embedqa.plugin.checks.retrieving import choice_of, opened
from pytest_embedqa.plugin.state import settings_of
from pytest_embedqa.quality.mark import read_mark as read_task
from pytest_embedqa.quality.retrievers.tasks import main_score_of

if TYPE_CHECKING:
    from pytest_embedqa.encoders.system import System
    from pytest_embedqa.index.result import IndexResult
    from pytest_embedqa.quality.mark import QualityMark
    from pytest_embedqa.quality.task import TaskQuery
    from pytest_embedqa.session import Session


@dataclass(frozen=True)
class IndexTest:
    """A task, and the index to build of its documents, or the retriever that searches them."""

    task: QualityMark
    mark: IndexMark

    @property
    def query(self) -> TaskQuery:
        """The task, or the part of a task."""
        return self.task.query


class IndexCheck(Check[IndexTest]):
    """The check of ``@index_recall``."""

    def parse(self, item: pytest.Item, mark: pytest.Mark) -> IndexTest:
        """Parse task, index and bounds."""
        of_task = pytest.Mark(
            mark.name,
            mark.args,
            {name: value for name, value in mark.kwargs.items() if name in OF_THE_TASK},
            _ispytest=True,
        )
        read = read_task(of_task, item.path.parent, root=item.config.rootpath, retriever=partial(choice_of, item))
        return IndexTest(read, read_mark(mark, read.retriever))

    def look_up(self, item: pytest.Item, parsed: IndexTest) -> None:  # noqa: ARG002
        """Look up the task, which must be one that searches a corpus."""
        main_score_of(parsed.query)

    def shared(self, item: pytest.Item, parsed: IndexTest) -> str:  # noqa: ARG002
        """Name the task, whose documents are encoded once."""
        return f"task {parsed.query.name}"

    def judge(self, item: pytest.Function, parsed: IndexTest, session: Session) -> None:  # noqa: ARG002
        """Build and search the index, and fail the test if a bound does not hold."""
        result = cast("IndexResult", item.funcargs["index_result"])
        model = result.model
        name = str(model.spec)
        try:
            judged = index_verdicts(parsed.mark.requirements, result, name)
        except EmbedQAError as error:
            raise pytest.fail.Exception(f"{parsed.query.name}: {error}", pytrace=False) from None
        failed = [verdict for verdict in judged if not verdict.passed]
        item.user_properties += [write(VERDICT, verdict.as_dict()) for verdict in judged]
        item.user_properties += [write(ENCODER, encoder_facts(model)), write(INDEX, index_facts(result, name))]
        item.user_properties += [write(NOTE, {"text": note}) for note in result.notes]
        if failed:
            pytest.fail(index_failure_text(failed, result, find_causes(result), name), pytrace=False)


def measured(request: pytest.FixtureRequest, parsed: IndexTest, session: Session, model: System) -> IndexResult:
    """Return the measures of a test's index; without data, skip or fail the test as an evaluation would."""
    try:
        named = replace(parsed.task, top_k=parsed.mark.k) if parsed.task.retriever else None
        asked = opened(request, named, session.retrievers) if named else None
        return session.indexes.result(parsed.query, parsed.mark, model, asked)
    except MissingDataError as error:
        if settings_of(request.config).missing_data == "skip":
            pytest.skip(str(error))
        raise pytest.fail.Exception(str(error), pytrace=False) from None
    except EmbedQAError as error:
        raise pytest.fail.Exception(f"{parsed.query.name}: {error}", pytrace=False) from None


CHECK = IndexCheck()

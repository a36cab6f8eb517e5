"""The retriever of ``@mteb_task(..., retriever=...)``: read at collection, opened when its test runs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from pytest_embedqa.core.errors import DataError, EmbedQAError, MissingDataError, SpecError
from pytest_embedqa.core.requirement import Kind
from pytest_embedqa.core.secrets import public_url
from pytest_embedqa.encoders.retrievers.callables import require_callable
from pytest_embedqa.markers import BENCHMARK, TASK
from pytest_embedqa.plugin.items import find_mark, is_built_in, names_its_system
from pytest_embedqa.plugin.state import settings_of
from pytest_embedqa.quality.retrievers.choice import RetrieverChoice, cut_off, read_choice
from pytest_embedqa.quality.retrievers.pipeline import Pipeline
from pytest_embedqa.quality.retrievers.tasks import corpus_of, main_score_of

if TYPE_CHECKING:
    from pytest_embedqa.quality.mark import QualityMark
    from pytest_embedqa.quality.retrievers.pool import Retrievers
    from pytest_embedqa.quality.retrievers.system import RetrieverSystem
    from pytest_embedqa.quality.task import TaskQuery, TaskResult
    from pytest_embedqa.session import Session
    from pytest_embedqa.settings import Settings

# Whether the run's tests of tasks are all of retrievers.
_ALONE: pytest.StashKey[bool] = pytest.StashKey()


def choice_of(item: pytest.Item, given: object) -> RetrieverChoice:
    """Read the argument ``retriever`` of an item's marker.

    Raises:
        EmbedQAError: If it names no retriever, or one that is not allowed.
    """
    choice = read_choice(given, item.path.parent, item.config.rootpath, partial(_service, item))
    known = getattr(item, "_fixtureinfo", None)  # pytest has no public way to ask
    named = known.name2fixturedefs.get(choice.fixture, ()) if known and choice.fixture else ()
    if named and is_built_in(named[-1]):
        raise SpecError(
            f"retriever='{choice.fixture}' names a fixture of pytest-embedqa itself, and not a pipeline of yours. Override it in a conftest.py: "
            f"@pytest.fixture def {choice.fixture}(): return my_search, a callable (query, k)."
        )
    return choice


def _service(item: pytest.Item, given: Mapping[str, Any] | Path) -> tuple[Any, str]:
    """Return the settings of a service, and its address."""
    from pytest_embedqa.rag.choices import HttpRetrieval
    from pytest_embedqa.rag.http import HttpRetriever
    from pytest_embedqa.rag.reading import read_retrieval, read_retrieval_of

    place = given if isinstance(given, Path) else item.path
    _, service = read_retrieval(given) if isinstance(given, Path) else read_retrieval_of(given, item.path)
    if not isinstance(service, HttpRetrieval):
        raise SpecError(
            f"{place.name}: retriever= takes the form http: of a probe file's retrieve, since other forms index documents of their own."
        )
    allowed = settings_of(item.config).allowed
    for problem in allowed.problems_of(service) if allowed else ():
        raise DataError(f"{place.name}: {problem}")
    HttpRetriever(service).close()
    return service, public_url(service.url)


def system_of(request: pytest.FixtureRequest, mark: QualityMark, retrievers: Retrievers) -> RetrieverSystem:
    """Return the retriever of a test's marker.

    Raises:
        EmbedQAError: If it can't be opened.
    """
    system = opened(request, mark, retrievers)
    if _are_alone(request.session):
        retrievers.compared.add(system.spec)
    return system


def opened(request: pytest.FixtureRequest, mark: QualityMark, retrievers: Retrievers) -> RetrieverSystem:
    """Return the retriever of a marker.

    Raises:
        EmbedQAError: If it can't be opened.
    """
    choice = mark.retriever
    assert choice  # noqa: S101  whoever asks has looked
    if choice.run:
        return retrievers.of_run(choice)
    measures = [main_score_of(mark.query), *(one.measure for one in mark.all_requirements)]
    top_k = mark.top_k or max(map(cut_off, measures))
    if choice.fixture:
        pipeline = request.getfixturevalue(choice.fixture)
        require_callable(pipeline, choice.fixture)
        return retrievers.of_pipeline(pipeline, top_k, choice.fixture)
    from pytest_embedqa.rag.http import HttpRetriever

    return retrievers.of_service(choice, top_k, partial(HttpRetriever, choice.service))


def corpus_for(query: TaskQuery, settings: Settings) -> dict[str, str]:
    """Return the documents of a task by id; without data, skip or fail the test as its evaluation would."""
    try:
        return corpus_of(query, settings.datasets)
    except MissingDataError as error:
        if settings.missing_data == "skip":
            pytest.skip(str(error))
        raise pytest.fail.Exception(str(error), pytrace=False) from None
    except EmbedQAError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


def _are_alone(session: pytest.Session) -> bool:
    """Return whether the run's tests of tasks are all of retrievers."""
    if _ALONE not in session.stash:
        marks = filter(None, map(find_mark, session.items))
        session.stash[_ALONE] = all(names_its_system(mark) for mark in marks if mark.name in {TASK, BENCHMARK})
    return session.stash[_ALONE]


def not_compared(session: Session, mark: QualityMark, result: TaskResult) -> str:
    """Say that a retriever is in no baseline, in a run whose baseline is of a model; otherwise an empty text."""
    named = any(one.kind is Kind.MAX_REGRESSION for one in mark.all_requirements)
    wanted = session.settings.save_baseline or (session.gate and not named)
    if mark.retriever is None or not wanted or result.encoder.spec in session.retrievers.compared:
        return ""
    return (
        f"{mark.query.name}: the baseline of this run is of the model under test: the retriever '{result.encoder.name}' is neither kept nor "
        "compared. Run its tests alone for a baseline of it."
    )


def ask(result: TaskResult) -> None:
    """Evaluate a retriever now, so that an exception of a pipeline of the user's own is an error of the set-up.

    Any other error is raised when the result is looked at: it is asked once in each try.

    Raises:
        Exception: The pipeline's own.
    """
    system: Any = result.encoder
    try:
        system.renew()
        result.details  # noqa: B018
    except Exception as error:
        if not isinstance(error, EmbedQAError) and isinstance(system, Pipeline) and system.raised is error:
            raise
        result.evaluate = partial(_again, error)


def _again(error: Exception, *_: object) -> NoReturn:
    raise error

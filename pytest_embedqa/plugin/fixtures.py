"""The fixtures that tests ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest

from pytest_embedqa.markers import BENCHMARK, ENCODER, INDEX, MEAN, PARITY, RAG, RERANKER, TASK, THROUGHPUT
from pytest_embedqa.plugin.items import encoder_fixtures, find_mark, own_reranker
from pytest_embedqa.plugin.state import get_session, under_test

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_embedqa.encoders.encoder import Encoder
    from pytest_embedqa.encoders.reranker import Reranker
    from pytest_embedqa.encoders.retrievers.passage import Retriever
    from pytest_embedqa.encoders.servers import Server
    from pytest_embedqa.encoders.system import System
    from pytest_embedqa.engine_parity.comparison import ParityResult
    from pytest_embedqa.index.result import IndexResult
    from pytest_embedqa.plugin.checks.invariants import InvariantCheck
    from pytest_embedqa.plugin.checks.probe_result import ProbeResult
    from pytest_embedqa.quality.task import TaskResult
    from pytest_embedqa.rag.session_probes import ProbeTest
    from pytest_embedqa.speed.measuring import SpeedResult
    from pytest_embedqa.speed.workload import Input


@pytest.fixture(scope="session")
def encoder(request: pytest.FixtureRequest) -> Iterator[System]:
    """Return the model under test (``--embedqa-model``): loaded once a session, on the GPU where there is one."""
    session = get_session(request.config)
    from pytest_embedqa.core.errors import EmbedQAError
    from pytest_embedqa.encoders.spec import Spec, parse_spec

    given = getattr(request, "param", None)
    # pytest gives the parameters to this fixture and to a fixture that extends it.
    extended = len(encoder_fixtures(request._pyfuncitem)) > 1  # noqa: SLF001
    if given is None and len(session.settings.models) > 1:
        pytest.fail(
            "The fixture 'encoder' was asked for by getfixturevalue, and there are several --embedqa-model: name it among the "
            "arguments of the test or of a fixture, so that there is one test for each.",
            pytrace=False,
        )
    try:
        spec = session.settings.models[0]
        if isinstance(given, Spec):
            spec = given
        elif isinstance(given, str) and not extended:
            spec = parse_spec(given)  # @pytest.mark.parametrize("encoder", [SPEC, ...], indirect=True)
        loaded = session.system(spec)
    except EmbedQAError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
    yield loaded
    try:
        session.release(spec)
    except EmbedQAError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


@pytest.fixture(scope="session")
def reranker(request: pytest.FixtureRequest, encoder: object) -> Reranker:
    """Return the model under test if it scores pairs: ``reranker.score([(query, document)])``."""
    from pytest_embedqa.encoders.reranker import Reranker

    if hasattr(request, "param") and not own_reranker(request._pyfuncitem, needed=True):  # noqa: SLF001
        pytest.fail(
            "The fixture 'reranker' takes no parameters: it is the model under test. A test that names its rerankers itself says "
            "@pytest.mark.parametrize(\"encoder\", [SPEC, ...], indirect=True), and may still take the fixture 'reranker'.",
            pytrace=False,
        )
    found = under_test(request.config, encoder)
    if not isinstance(found, Reranker):
        pytest.fail(
            f"The fixture 'reranker' is for a model that scores pairs, and '{found.spec}' does not: its kind is {found.kind}. Name a "
            "reranker with --embedqa-model, or return one from a fixture 'reranker' of your own.",
            pytrace=False,
        )
    return found


@pytest.fixture(scope="session")
def embedding_server() -> Iterator[Callable[..., Server]]:
    """Start servers: ``embedding_server(["vllm", "serve", "models/mine", "--port", "{port}"]).url``.

    A command is started once a session for all tests that give the same command, and stopped at the session's end.
    """
    from pytest_embedqa.encoders.servers import Server

    running: dict[tuple[str, ...], Server] = {}

    def start(command: Sequence[str], *, timeout: float = 600) -> Server:
        if tuple(command) not in running:
            running[tuple(command)] = stack.enter_context(Server(command, timeout=timeout))
        return running[tuple(command)]

    with ExitStack() as stack:
        yield start


@pytest.fixture
def embedqa_task(request: pytest.FixtureRequest) -> str | None:
    """Return the name of the benchmark's task that this item is about; ``None`` outside ``@mteb_benchmark``."""
    name: str | None = getattr(request, "param", None)
    return name


@pytest.fixture
def task_result(request: pytest.FixtureRequest, embedqa_task: str | None) -> TaskResult | list[TaskResult]:
    """Return the model's scores on the task of ``@mteb_task``; for a benchmark's mean, a list of all its results.

    With ``retriever=`` they are the retriever's, and no model is loaded.
    """
    from pytest_embedqa.core.errors import EmbedQAError
    from pytest_embedqa.plugin import checks

    mark = find_mark(request.node)
    if mark is None:
        pytest.fail("task_result needs @mteb_task or @mteb_benchmark on the test.", pytrace=False)
    session = get_session(request.config)
    asked = checks.parsed(request.node, mark) if mark.name == TASK else None
    if asked and asked.retriever:
        from pytest_embedqa.plugin.checks.retrieving import system_of

        try:
            system = system_of(request, asked, session.retrievers)
        except EmbedQAError as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None
        return session.result(asked.query, system, asked.max_minutes)
    # The marker brings it, unless it names a retriever: so it is no argument of this fixture.
    model = request.getfixturevalue(ENCODER)
    if own_reranker(request.node, needed=bool(asked and asked.first_stage and not asked.reranker)):
        model = request.getfixturevalue(RERANKER)
    model = under_test(request.config, model)
    if mark.name == BENCHMARK and embedqa_task == MEAN:
        from pytest_embedqa.quality.evaluator import benchmark_queries
        from pytest_embedqa.quality.mark import read_mark

        marks = [read_mark(mark, request.node.path.parent, task) for task in benchmark_queries(mark.args[0])]
        return [session.result(mark.query, model, mark.max_minutes) for mark in marks]
    quality = checks.parsed(request.node, mark)
    try:
        return session.result(quality.query, session.evaluated(quality, model), quality.max_minutes)
    except EmbedQAError as error:
        raise pytest.fail.Exception(f"{quality.query.name}: {error}", pytrace=False) from None


@pytest.fixture
def task_corpus(request: pytest.FixtureRequest) -> dict[str, str]:
    """Return the documents of the task of ``@mteb_task`` or ``@index_recall``, for a pipeline of your own to index: texts by id."""
    from pytest_embedqa.plugin import checks
    from pytest_embedqa.plugin.checks.retrieving import corpus_for

    mark = request.node.get_closest_marker(TASK)
    about_index = request.node.get_closest_marker(INDEX)
    if mark is not None:
        task = checks.parsed(request.node, mark)
    elif about_index is None or (task := checks.parsed(request.node, about_index).task) is None:
        pytest.fail("task_corpus needs @mteb_task, or @index_recall with a task, on the test.", pytrace=False)
    return corpus_for(task.query, get_session(request.config).settings)


@pytest.fixture
def parity_result(request: pytest.FixtureRequest, encoder: Encoder) -> ParityResult:
    """Return the agreement of the model with the reference of ``@parity``: of vectors, or of rankings."""
    from pytest_embedqa.plugin import checks

    mark = request.node.get_closest_marker(PARITY)
    if mark is None:
        pytest.fail("parity_result needs @parity on the test.", pytrace=False)
    given = request.getfixturevalue(RERANKER) if own_reranker(request.node, needed=False) else encoder
    model = under_test(request.config, given)
    return get_session(request.config).parity(checks.parsed(request.node, mark), model)


@pytest.fixture
def index_result(request: pytest.FixtureRequest, encoder: Encoder) -> IndexResult:
    """Return the measures of the index of ``@index_recall``: ``index_result["recall_at_10"]``."""
    from pytest_embedqa.plugin import checks
    from pytest_embedqa.plugin.checks.index import measured

    mark = request.node.get_closest_marker(INDEX)
    if mark is None:
        pytest.fail("index_result needs @index_recall on the test.", pytrace=False)
    model = under_test(request.config, encoder)
    return measured(request, checks.parsed(request.node, mark), get_session(request.config), model)


@pytest.fixture
def embedqa_length(request: pytest.FixtureRequest) -> int | str | None:
    """Return the length of the texts that this item is about, where ``@throughput`` names several lengths."""
    length: int | str | None = getattr(request, "param", None)
    return length


@pytest.fixture
def speed_result(request: pytest.FixtureRequest, encoder: Encoder, embedqa_length: int | str | None) -> SpeedResult:
    """Return the speed of the model under test, as ``@throughput`` asks for it: ``speed_result["texts_per_s"]``."""
    from pytest_embedqa.core.errors import BaselineError, MissingExtraError
    from pytest_embedqa.plugin import checks
    from pytest_embedqa.speed.measuring import SpeedResult, measure_speed

    mark = request.node.get_closest_marker(THROUGHPUT)
    if mark is None:
        pytest.fail("speed_result needs @throughput on the test.", pytrace=False)
    if not request.config.pluginmanager.hasplugin("benchmark"):
        pytest.fail(str(MissingExtraError("pytest-benchmark", "speed", "@throughput")), pytrace=False)
    benchmark, session = request.getfixturevalue("benchmark"), get_session(request.config)
    given = request.getfixturevalue(RERANKER) if own_reranker(request.node, needed=False) else encoder
    model = under_test(request.config, given)
    try:
        speed, _ = session.speed_mark(checks.parsed(request.node, mark), model)
    except BaselineError as error:
        raise pytest.fail.Exception(f"speed: {error}", pytrace=False) from None

    def timer(
        target: Callable[[list[Input]], object], setup: Callable[[], list[Input]], rounds: int, warm_up: int
    ) -> list[float]:
        benchmark.pedantic(target, setup=lambda: ((setup(),), {}), rounds=rounds, warmup_rounds=warm_up)
        return list(benchmark.stats.stats.data)

    length = embedqa_length or speed.lengths[0]
    against = speed.against or model.spec
    return SpeedResult(model, lambda: measure_speed(model, speed, length, timer, lambda: session.system(against)))


@pytest.fixture
def invariant(request: pytest.FixtureRequest, encoder: Encoder) -> InvariantCheck:  # noqa: ARG001  its test is about it
    """Return this test's invariant of ``@parametrize_with_invariants``: ``invariant(encoder)``, or ``invariant(reranker)``, checks it."""
    from pytest_embedqa.plugin.checks.invariants import InvariantCheck

    if not hasattr(request, "param"):
        pytest.fail("invariant needs @parametrize_with_invariants(...) on the test.", pytrace=False)
    return InvariantCheck(request.param, request.node)


@pytest.fixture
def probe_corpus(request: pytest.FixtureRequest) -> Path | None:
    """Return the folder or file with the documents of the probe that this test is about."""
    return _probe_test(request, "probe_corpus").file.corpus


@pytest.fixture
def retriever(request: pytest.FixtureRequest, encoder: object) -> Retriever:
    """Return the retriever of the probes. Override it with your own pipeline, any callable ``retriever(query, k)``."""
    from pytest_embedqa.core.errors import EmbedQAError

    test = _probe_test(request, "retriever")
    try:
        return get_session(request.config).probing.retriever(test.file, under_test(request.config, encoder))
    except EmbedQAError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


@pytest.fixture
def probe_result(request: pytest.FixtureRequest, retriever: Retriever) -> ProbeResult:
    """Return the passages that came back for the probe of this test, and how they were judged."""
    from pytest_embedqa.core.errors import EmbedQAError
    from pytest_embedqa.encoders.retrievers.callables import require_callable
    from pytest_embedqa.plugin.checks.probe_result import ProbeResult

    try:
        require_callable(retriever)
    except EmbedQAError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
    session, encoder = get_session(request.config), None
    if "encoder" in request.fixturenames:
        # A project's own retriever may have an `encoder` fixture beside it that is something else.
        with suppress(EmbedQAError):
            encoder = session.encoders.given(request.getfixturevalue("encoder"))
    return ProbeResult(_probe_test(request, "probe_result"), retriever, encoder, session)


def _probe_test(request: pytest.FixtureRequest, fixture: str) -> ProbeTest:
    from pytest_embedqa.plugin import checks

    mark = request.node.get_closest_marker(RAG)
    if mark is None:
        fixture = "probe_result" if "probe_result" in request.fixturenames else fixture  # it asks for the other two
        pytest.fail(f"{fixture} needs @{RAG} on the test, or a *.probe.yaml file.", pytrace=False)
    test: ProbeTest = checks.parsed(request.node, mark)
    return test

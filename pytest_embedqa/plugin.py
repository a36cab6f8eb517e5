"""Every hook of the plugin: each finds an object and calls one method. Nothing heavy is imported up here."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from pytest_embedqa import markers, options
from pytest_embedqa.fixtures import (
    MEAN,
    PLACE,
    SESSION,
    embedding_server,
    embedqa_length,
    embedqa_task,
    encoder,
    get_session,
    invariant,
    parity_result,
    probe_corpus,
    probe_result,
    retriever,
    speed_result,
    task_result,
)
from pytest_embedqa.recording import RECORDER, WRITTEN, Recorder

__all__ = [
    "embedding_server",
    "embedqa_length",
    "embedqa_task",
    "encoder",
    "invariant",
    "parity_result",
    "probe_corpus",
    "probe_result",
    "retriever",
    "speed_result",
    "task_result",
]  # fixtures, found by pytest in this module


FILE = "embedqa_units"
UNITS: pytest.StashKey[Path] = pytest.StashKey()
NUMBER: pytest.StashKey[int] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our options."""
    options.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Reject wrong options before anything is collected."""
    for line in markers.DESCRIPTIONS:
        config.addinivalue_line("markers", line)
    if options.were_given(config):
        settings = options.settings_of(config)
        if settings.budget:
            from pytest_embedqa.budgeting import Budget  # noqa: PLC0415  numpy, where there is a budget only

            config.pluginmanager.register(Budget(config, settings.budget), "embedqa-budget")
    if not hasattr(config, "workerinput"):
        config.stash[RECORDER] = Recorder(config)
        config.pluginmanager.register(config.stash[RECORDER], "embedqa-recorder")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Free devices and files."""
    if SESSION in config.stash:
        try:
            config.stash[SESSION].close()
        except Exception as error:  # noqa: BLE001  the tests are over; a server that is gone can't be tidied up
            sys.stderr.write(f"embedqa: {error}\n")
    if UNITS in config.stash:
        shutil.rmtree(config.stash[UNITS].parent, ignore_errors=True)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what is under test where the controller of xdist can't know whether a test needs it."""
    if not _has_workers(config):
        return []
    from pytest_embedqa.reports import terminal  # noqa: PLC0415

    settings = options.settings_of(config)
    return terminal.settings_lines(settings) + terminal.device_lines(settings)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect probe files as tests."""
    if not file_path.name.endswith(".probe.yaml"):
        return None
    from pytest_embedqa.probe_files import ProbeModule  # noqa: PLC0415  numpy, where there are probes only

    return ProbeModule.from_parent(parent, path=file_path)


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Module | pytest.Class, obj: Any) -> None:  # noqa: ANN401
    """Give a marked function the fixture of its marker, so that ``def test_x(): ...`` is enough."""
    marks = {
        mark.name
        for mark in [*getattr(obj, "pytestmark", []), *collector.iter_markers()]
        if isinstance(mark, pytest.Mark)
    }
    for name in marks & set(markers.RESULTS) if callable(obj) and not isinstance(obj, type) else ():
        pytest.mark.usefixtures(markers.RESULTS[name])(obj)
        if name == markers.THROUGHPUT and collector.config.pluginmanager.hasplugin("benchmark"):
            pytest.mark.usefixtures("benchmark")(obj)  # by which pytest-benchmark knows its tests


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One item a model, and one a task of a benchmark."""
    chosen = {"encoder" for mark in metafunc.definition.iter_markers("parametrize") if "encoder" in _names(mark)}
    names = set(metafunc.fixturenames) - chosen
    if "encoder" in names and len(models := options.settings_of(metafunc.config).models) > 1:
        metafunc.parametrize("encoder", models, ids=str, indirect=True, scope="session")
    mark = markers.find_mark(metafunc.definition)
    if mark and mark.name == markers.BENCHMARK and "embedqa_task" in metafunc.fixturenames:
        metafunc.parametrize("embedqa_task", _benchmark_items(mark), indirect=True)
    length = mark.kwargs.get("length") if mark and mark.name == markers.THROUGHPUT else None
    if isinstance(length, list | tuple) and "embedqa_length" in metafunc.fixturenames:
        metafunc.parametrize("embedqa_length", length, ids=str, indirect=True)


def _names(mark: pytest.Mark) -> list[str]:
    names = mark.args[0] if mark.args else mark.kwargs["argnames"]
    return [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)


def _benchmark_items(mark: pytest.Mark) -> list[str]:
    from pytest_embedqa.core.errors import EmbedQAError  # noqa: PLC0415
    from pytest_embedqa.quality.evaluator import benchmark_tasks  # noqa: PLC0415

    try:
        return benchmark_tasks(mark.args[0]) + ([MEAN] if "min_mean" in mark.kwargs else [])
    except EmbedQAError as error:
        problem = str(error)
    pytest.fail(problem, pytrace=False)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark tests by capability, where the marker of a test is not called so already, and say it in their reports."""
    mark = markers.find_mark(item)
    if mark and mark.name in markers.CAPABILITIES:
        item.add_marker(markers.CAPABILITIES[mark.name])
    if mark or "encoder" in getattr(item, "fixturenames", ()):
        capability = markers.CAPABILITIES.get(mark.name, mark.name) if mark else "encoder"
        item.user_properties.append((markers.CAPABILITY, capability))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Reject wrong markers of the selected tests before anything is loaded or evaluated."""
    if count := sum(map(_is_ours, session.items)):
        from pytest_embedqa.reports.progress import Place  # noqa: PLC0415

        session.config.stash[PLACE] = Place(count)
    for number, item in enumerate(filter(_is_ours, session.items), start=1):
        item.stash[NUMBER] = number
    ours = {*markers.RESULTS, *markers.MODIFIERS}
    marked = [item for item in session.items if any(mark.name in ours for mark in item.iter_markers())]
    if marked:
        from pytest_embedqa import checking  # noqa: PLC0415

        checking.check_items(session.config, marked)
    if FILE in getattr(session.config, "workerinput", {}):
        from pytest_embedqa import scheduling  # noqa: PLC0415

        scheduling.write_units(Path(session.config.workerinput[FILE]), session.items)  # type: ignore[attr-defined]


def _is_ours(item: pytest.Item) -> bool:
    return any(name == markers.CAPABILITY for name, _ in item.user_properties)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let progress say which test it is about."""
    place = item.config.stash.get(PLACE, None)
    if place and _is_ours(item):
        mark = markers.find_mark(item)
        place.number = item.stash[NUMBER]
        place.before = 0
        place.name, place.minutes = item.name, mark.kwargs.get("max_minutes") if mark else None


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the baseline, or hand it to the process that does; write the reports."""
    if session.config.option.embedqa_save_baseline and not session.config.option.collectonly:
        from pytest_embedqa import saving  # noqa: PLC0415

        if not saving.finish(session.config) and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if RECORDER in session.config.stash and not session.config.option.collectonly:
        done = session.config.stash[RECORDER].write_reports()
        if not done and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:  # noqa: ANN401  xdist's own type
    """Take what an xdist worker has for the baseline."""
    if node.config.option.embedqa_save_baseline:
        from pytest_embedqa import saving  # noqa: PLC0415

        saving.take(node.config, getattr(node, "workeroutput", {}))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: list[Any]) -> None:
    """Give each of the first xdist workers a device, in a run that says anything to us."""
    from pytest_embedqa import scheduling  # noqa: PLC0415

    scheduling.place(specs, options.settings_of(config).devices if options.were_given(config) else ({},))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:  # noqa: ANN401  xdist's own type
    """Tell an xdist worker where to write which of its tests need the encoder, and which belong together."""
    node.workerinput[FILE] = str(_units_file(node.config))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object | None:  # noqa: ANN401
    """Keep tests that need the encoder on the xdist workers that have a device."""
    if config.getoption("dist") != "load":
        return None
    from pytest_embedqa import scheduling  # noqa: PLC0415

    return scheduling.EncoderScheduling(config, log, _units_file(config))


def _has_workers(config: pytest.Config) -> bool:
    """Whether the tests run in xdist workers, and this process only hears of them."""
    return bool(config.getoption("dist", "no") != "no")


def _units_file(config: pytest.Config) -> Path:
    from pytest_embedqa import scheduling  # noqa: PLC0415  imports xdist

    if UNITS not in config.stash:
        config.stash[UNITS] = scheduling.new_file()
    return config.stash[UNITS]


def pytest_report_collectionfinish(config: pytest.Config, items: list[pytest.Item]) -> list[str]:
    """Load the encoder, if a test will need it, and say what it is."""
    # What a worker of xdist says here nobody reads, and one that has no device must load nothing.
    quiet = config.option.collectonly or config.option.verbose < 0 or hasattr(config, "workerinput")
    if quiet or not any(_needs_the_model(item) for item in items):
        return []
    from pytest_embedqa.reports import terminal  # noqa: PLC0415

    settings = [] if _has_workers(config) else terminal.settings_lines(options.settings_of(config))
    return settings + terminal.encoder_lines(get_session(config))


def _needs_the_model(item: pytest.Item) -> bool:
    """Whether an item tests the model of the command line, and not one that it names itself."""
    callspec = getattr(item, "callspec", None)
    own = callspec is not None and isinstance(callspec.params.get("encoder"), str)
    return "encoder" in getattr(item, "fixturenames", ()) and not own


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Judge the thresholds, then run the body of the test."""
    if markers.find_mark(pyfuncitem):
        from pytest_embedqa import checking  # noqa: PLC0415

        checking.check_thresholds(pyfuncitem, get_session(pyfuncitem.config))
    return (yield)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table of verdicts, and what was written where."""
    recorder = terminalreporter.config.stash[RECORDER]
    if recorder.seen:
        from pytest_embedqa.reports import terminal  # noqa: PLC0415

        terminal.summary(terminalreporter, recorder.run)
        for line in recorder.annotations():
            terminalreporter.write_line(line)
    for line in terminalreporter.config.stash.get(WRITTEN, ()):
        terminalreporter.write_line(f"embedqa: {line}")

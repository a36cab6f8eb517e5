"""The hooks of every run: each finds an object and calls one method. Nothing heavy is imported at module level.

Hooks that only some runs need stand in ``active_run.py``, ``termination.py``, ``redaction.py``, ``xdist.py`` and ``budget.py``, and are registered
by the hooks here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

import pytest

from pytest_embedqa import markers
from pytest_embedqa.decorators import descriptions
from pytest_embedqa.plugin import faults, fixtures, items, options, parameters, state
from pytest_embedqa.plugin.ids import Ids
from pytest_embedqa.plugin.recorder import RECORDER, RUNS, WRITTEN, Recorder, tell_selected

_RUNNING = "embedqa-running"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of this plugin."""
    options.add_options(parser)


def pytest_load_initial_conftests(early_config: pytest.Config, parser: pytest.Parser) -> None:
    """Give the ini options the types that the ini file has."""
    options.fit_ini(early_config, parser)


def pytest_configure(config: pytest.Config) -> None:
    """Register the fixtures, and reject wrong options before anything is collected."""
    # Not by pytest_plugins: under -p it warns about modules that are already imported.
    config.pluginmanager.register(fixtures, "embedqa-fixtures")
    config.pluginmanager.register(faults.Faults(config), "embedqa-faults")
    config.pluginmanager.register(Ids(), "embedqa-ids")
    for line in descriptions():
        config.addinivalue_line("markers", line)
    if options.were_given(config):
        settings = state.settings_of(config)
        if settings.budget:
            from pytest_embedqa.plugin.budget import Budget  # numpy, where there is a budget only

            config.pluginmanager.register(Budget(config, settings.budget), "embedqa-budget")
    if not hasattr(config, "workerinput"):
        config.stash[RECORDER] = Recorder(config)
        config.pluginmanager.register(config.stash[RECORDER], "embedqa-recorder")
    if options.has_workers(config):
        from pytest_embedqa.plugin.xdist import Controller  # imports xdist

        config.pluginmanager.register(Controller(), "embedqa-controller")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Free devices and close files."""
    if state.SESSION in config.stash:
        try:
            config.stash[state.SESSION].close()
        except Exception as error:  # noqa: BLE001  the tests are over; a server that is gone can't be tidied up
            from pytest_embedqa.core.showing import shown

            sys.stderr.write(shown(f"embedqa: {error}\n"))


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect probe files as tests, and report files whose name keeps them from being collected."""
    name = file_path.name.lower()
    if "probe" not in name or not name.endswith((".yaml", ".yml", ".json")):
        return None
    if not name.endswith(markers.PROBE_FILES):
        from pytest_embedqa.plugin.misnamed import misnamed

        return misnamed(file_path, parent)
    from pytest_embedqa.plugin.probe_files import ProbeModule  # numpy, where there are probes only

    return ProbeModule.from_parent(parent, path=file_path)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Report each probe file that can't be opened, which pytest would pass over."""
    report = yield
    if isinstance(collector, pytest.Directory) and report.passed and _names_probe_files(collector.path):
        from pytest_embedqa.plugin.misnamed import unopenable

        report.result += unopenable(collector)
    return report


def _names_probe_files(folder: Path) -> bool:
    return any(entry.name.lower().endswith(markers.PROBE_FILES) for entry in os.scandir(folder))


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Module | pytest.Class, name: str, obj: Any) -> None:
    """Give a marked function the fixture of its marker, so that ``def test_x(): ...`` is enough."""
    # Only what pytest takes for a test is asked: other objects of a module may answer anything, and a lazy object may
    # raise on ``isinstance``, which asks it for its class.
    if issubclass(type(obj), type) or not collector.istestfunction(obj, name):
        return
    own, function = parameters.marks(obj), obj
    if isinstance(obj, staticmethod | classmethod):
        function = obj.__func__
        # Before pytest 8.4 a marker above ``@staticmethod`` stays on the staticmethod, where pytest does not see it.
        lost = items.ours(own, collector.config)
        own = parameters.marks(function)
        if lost := [mark for mark in lost if mark not in own]:
            own += lost
            setattr(function, "pytestmark", own)  # noqa: B010  mypy knows no such attribute
    for fixture in _fixtures_of(own, collector.config):
        pytest.mark.usefixtures(fixture)(function)
    # Not on the function: other classes, which have no marker, may inherit or import it.
    known = {fixture for mark in collector.iter_markers("usefixtures") for fixture in mark.args}
    for fixture in _fixtures_of(collector.iter_markers(), collector.config):
        if fixture not in known:
            collector.add_marker(pytest.mark.usefixtures(fixture))


def _fixtures_of(marks: Iterable[pytest.Mark], config: pytest.Config) -> list[str]:
    """Return the names of the fixtures that markers bring."""
    marks = list(marks)
    within = [mark for one in marks if one.name == "parametrize" for mark in parameters.marks_of_models(one)]
    ours = [mark for mark in items.ours([*marks, *within], config) if mark.name in markers.MARKERS]
    names = {mark.name for mark in ours}
    # pytest-benchmark recognises its tests by its fixture.
    timed = markers.THROUGHPUT in names and config.pluginmanager.hasplugin("benchmark")
    brought = dict.fromkeys(name for mark in ours for name in items.fixtures_of(mark))
    return [*brought, *(["benchmark"] if timed else [])]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrise a test: one item for each model, and one for each task of a benchmark."""
    known = {id(mark) for mark in parameters.marks(metafunc.function)}
    if lost := [mark for mark in items.ours(metafunc.definition.own_markers, metafunc.config) if id(mark) not in known]:
        pytest.fail(
            f"@{lost[0].name} was added to metafunc.definition, from where no test gets it. Give it to the parameters: "
            "metafunc.parametrize(..., [pytest.param(..., marks=...)]).",
            pytrace=False,
        )
    uses_it = items.uses_encoder(metafunc.definition)
    if uses_it and not any(
        markers.ENCODER in parameters.names(mark) for mark in metafunc.definition.iter_markers("parametrize")
    ):
        models = state.settings_of(metafunc.config).models
        if len(models) > 1:
            parameters.require_free(metafunc)
            metafunc.parametrize(markers.ENCODER, models, ids=str, indirect=True, scope="session")
    mark = items.find_mark(metafunc.definition)
    if mark and mark.name == markers.BENCHMARK and "embedqa_task" in metafunc.fixturenames:
        metafunc.parametrize("embedqa_task", parameters.benchmark_items(mark, metafunc.definition), indirect=True)
    length = mark.kwargs.get("length") if mark and mark.name == markers.THROUGHPUT else None
    if isinstance(length, list | tuple) and "embedqa_length" in metafunc.fixturenames:
        metafunc.parametrize("embedqa_length", length, ids=str, indirect=True)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a marked test that passed without being judged, or was skipped although other tests depend on it."""
    report = yield
    skipped = report.skipped and not hasattr(report, "wasxfail")
    if (skipped or (report.when == "call" and report.passed)) and items.own_marks(item):
        from pytest_embedqa.plugin import checks  # the marker's own module is imported already

        if problem := checks.why_undecided(item) if skipped else checks.why_unjudged(item):
            report.outcome, report.longrepr = "failed", problem
            report.__dict__.pop("wasxfail", None)  # otherwise an expected failure would hide this report
    return report


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark tests by capability, unless they already have that label, and name the capability in their reports."""
    _label(item)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Label also the tests whose markers a hook of the project has added, before pytest selects by -m."""
    for item in items:
        _label(item)
    if any(item.get_closest_marker(markers.INVARIANTS) for item in items):
        from pytest_embedqa.plugin.deselection import deselect_foreign  # an unrelated run pays nothing for it

        deselect_foreign(config, items)


def _label(item: pytest.Item) -> None:
    mark = items.find_mark(item)
    if not mark and not items.uses_encoder(item):
        return
    label = (markers.CAPABILITY, markers.MARKERS[mark.name].label if mark else "encoder")
    if label in item.user_properties:
        return
    item.user_properties[:] = [*(one for one in item.user_properties if one[0] != markers.CAPABILITY), label]
    if mark and label[1] != mark.name:
        item.add_marker(label[1])


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Note that this run runs tests, unlike ``--fixtures`` and its like, and load the encoder if a test needs it."""
    option = session.config.option
    session.config.stash[RUNS] = not (option.collectonly or session.config.getoption("setuponly", default=False))
    done = yield
    running = session.config.pluginmanager.getplugin(_RUNNING)
    if running and session.config.stash[RUNS]:
        running.begin(session)  # at this point pytest still takes warnings into its summary
    return done


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Reject wrong markers of the selected tests before anything is loaded or evaluated."""
    if RUNS not in session.config.stash:
        return
    for item in session.items:
        _label(item)  # a later hook may have added a marker
    if ours := [item for item in session.items if items.is_ours(item)]:
        from pytest_embedqa.plugin import termination
        from pytest_embedqa.plugin.active_run import Planned, Running  # an unrelated run pays nothing for it
        from pytest_embedqa.plugin.redaction import Redacting

        running = Running(session.config, ours) if session.config.stash[RUNS] else Planned()
        session.config.pluginmanager.register(running, _RUNNING)
        session.config.pluginmanager.register(Redacting(), "embedqa-redacting")
        if session.config.stash[RUNS]:
            termination.prepare(session)
            tell_selected(session.config, len(ours))
    if marked := [item for item in session.items if items.own_marks(item)]:
        from pytest_embedqa.plugin import checks

        checks.check_items(session.config, marked)
    if ours and hasattr(session.config, "workerinput"):
        from pytest_embedqa.plugin import xdist

        xdist.write_units(session.config.workerinput, session.items)


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_compare_machine_info(
    config: pytest.Config, machine_info: object, compared_benchmark: dict[str, Any]
) -> None:
    """Note on which processor a saved run of pytest-benchmark was measured."""
    from pytest_embedqa.plugin import saved_runs

    saved_runs.note_processors(config, machine_info, compared_benchmark)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the baseline, or hand it to the controller process; then write the reports."""
    config = session.config
    if not config.stash.get(RUNS, False):
        return
    done = []
    if config.option.embedqa_save_baseline:
        with faults.containing(config, "saving the baseline"):
            from pytest_embedqa.plugin import save_baseline

            done.append(save_baseline.finish(config))
    recorder = config.stash.get(RECORDER, None)
    if recorder and (
        recorder.seen or (recorder.reports and (config.option.embedqa_html or config.option.embedqa_json))
    ):
        with faults.containing(config, "writing the reports"):
            from pytest_embedqa.reports import writing

            lines = config.stash.setdefault(WRITTEN, [])
            done.append(writing.write_reports(state.settings_of(config), recorder.run(), lines.append))
            if recorder.seen:
                writing.add_to_summary(recorder.run(), lines.append)
    if not all(done) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table of verdicts, and the list of files that were written."""
    config = terminalreporter.config
    recorder = config.stash[RECORDER]
    if recorder.seen and config.stash.get(RUNS, False):
        from pytest_embedqa.reports import terminal

        terminal.summary(terminalreporter, recorder.run())
    for line in config.stash.get(WRITTEN, ()):
        from pytest_embedqa.reports.printing import Printer

        Printer(terminalreporter).write_line(f"embedqa: {line}")


faults.contained(sys.modules[__name__])

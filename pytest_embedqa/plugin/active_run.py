"""The hooks of a run that contains embedding tests."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import pytest

from pytest_embedqa.core import fault_text
from pytest_embedqa.core.properties import NOTE, PREFIX, write
from pytest_embedqa.markers import CAPABILITY, ENCODER
from pytest_embedqa.plugin import checks, fault_origin, fixtures, header, options, state
from pytest_embedqa.plugin.faults import contained
from pytest_embedqa.plugin.items import find_mark, own_marks, parameters_of, uses_encoder
from pytest_embedqa.plugin.progress import Place
from pytest_embedqa.plugin.state import EXCUSED, PLACE, get_session
from pytest_embedqa.reports.printing import Printer, show

# The value of a fixture that has not been set up.
_NOT_SET_UP = object()


@contained
class Running:
    """A plugin that loads the encoder, tells progress which test is running, and judges the test."""

    def __init__(self, config: pytest.Config, items: Sequence[pytest.Item]) -> None:
        """Count the embedding tests."""
        self._place = config.stash[PLACE] = Place(len(items))
        self._numbers = {item.nodeid: number for number, item in enumerate(items, start=1)}
        self._tried: set[str] = set()

    def begin(self, session: pytest.Session) -> None:
        """Load the encoder, if a test needs it, and print what it is."""
        config, reporter = session.config, session.config.pluginmanager.getplugin("terminalreporter")
        stopped = session.testsfailed and not config.option.continue_on_collection_errors
        # Nobody reads what an xdist worker prints, and a worker without a device must load nothing.
        if reporter and reporter.verbosity >= 0 and not stopped and not hasattr(config, "workerinput"):
            for line in self._tested(config) if any(map(_needs_the_model, session.items)) else ():
                Printer(reporter).write_line(line)

    @staticmethod
    def _tested(config: pytest.Config) -> list[str]:
        settings = [] if options.has_workers(config) else header.settings_lines(state.settings_of(config))
        return settings + header.encoder_lines(get_session(config))

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """Tell progress which test is running; a test that is run again is judged anew."""
        __tracebackhide__ = True
        item.stash[checks.JUDGED] = False
        if item.nodeid in self._tried:
            get_session(item.config).try_again()
            item.own_markers[:] = [mark for mark in item.own_markers if mark is not item.stash.get(EXCUSED, None)]
        if item.nodeid in self._numbers:
            self._tried.add(item.nodeid)
            # Where a test is run again, the last try stands: reports would count the properties of each try as a test
            # of its own.
            item.user_properties[:] = [
                one for one in item.user_properties if not one[0].startswith(PREFIX) or one[0] == CAPABILITY
            ]
            mark, place = find_mark(item), self._place
            place.number = self._numbers[item.nodeid]
            place.before = 0
            place.name, place.minutes = item.name, mark.kwargs.get("max_minutes") if mark else None
        checks.require_right_markers(item)
        done = yield
        checks.ask_ahead(item)
        return done

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Add the store's notes and the plugin's faults to a report, and strip documents' control sequences from it."""
        ours = item.nodeid in self._numbers
        error = call.excinfo.value if call.excinfo and ours else None
        if fault_origin.is_ours(error):
            text = fault_text.in_words(error, f"the {call.when} of a test")
            call.excinfo = pytest.CallInfo.from_call(lambda: pytest.fail(text, pytrace=False), call.when).excinfo
        notes = [write(NOTE, {"text": note}) for note in _session_notes(item.config)] if ours else []
        item.user_properties += [note for note in notes if note not in item.user_properties]
        report = yield
        if ours:
            show(report, coloured=bool(call.excinfo and call.excinfo.errisinstance(AssertionError)))
        return report

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Judge the thresholds, then run the body of the test, whatever runs it: pytest, unittest or another plugin."""
        if own_marks(item):
            checks.check_thresholds(item, get_session(item.config))
        return (yield)


@contained
class Planned:
    """A plugin for ``--setup-only``: it leaves out this plugin's fixtures, as ``--setup-plan`` leaves out all."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest) -> object:
        """Set up no fixture of this plugin, nor any fixture that asks for one: they load models and start servers."""
        if getattr(fixturedef.func, "__module__", "") != fixtures.__name__ and not any(
            request.getfixturevalue(name) is _NOT_SET_UP for name in fixturedef.argnames
        ):
            return None
        fixturedef.cached_result = (_NOT_SET_UP, fixturedef.cache_key(request), None)  # type: ignore[arg-type]
        return _NOT_SET_UP


def _session_notes(config: pytest.Config) -> Sequence[str]:
    return config.stash[state.SESSION].notes if state.SESSION in config.stash else ()


def _needs_the_model(item: pytest.Item) -> bool:
    """Return whether an item tests the model of the command line, rather than a model that it names itself."""
    return uses_encoder(item) and not isinstance(parameters_of(item).get(ENCODER), str)

"""Scheduling under pytest-xdist: tests that need the encoder go to workers with a device, the rest to any."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from itertools import islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from xdist.scheduler import LoadScheduling, LoadScopeScheduling

from pytest_embedqa.core.errors import EmbedQAError
from pytest_embedqa.core.showing import shown
from pytest_embedqa.encoders.scratch import scratch_folder
from pytest_embedqa.markers import BENCHMARK
from pytest_embedqa.plugin import recorder, termination
from pytest_embedqa.plugin.faults import contained, ending_the_run
from pytest_embedqa.plugin.items import find_mark, has_encoder, system_of
from pytest_embedqa.plugin.options import were_given
from pytest_embedqa.plugin.state import settings_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

# Key under which a worker is told the name of the file to write to.
_FILE = "embedqa_units"


class Unit(NamedTuple):
    """Tests that belong on one device.

    Attributes:
        model: Spec of their encoder, or the retriever that they name; empty for the encoder of the command line.
        shared: Name of what they share within a process: the evaluation of a task, an index, fixtures of a file.
    """

    model: str
    shared: str


@contained
class Controller:
    """The hooks of a process whose tests run in xdist workers."""

    def __init__(self) -> None:
        """Make a file in which the workers write which tests need the encoder, and which belong together."""
        self._folder = ExitStack()
        self._file = self._folder.enter_context(scratch_folder("units")) / "units.json"

    def pytest_report_header(self, config: pytest.Config) -> list[str]:
        """Show what is under test if this plugin has any option: whether a test needs the encoder is not known yet."""
        if not were_given(config):
            return []
        from pytest_embedqa.plugin import header  # workers import this module and never need it

        settings = settings_of(config)
        return [*map(shown, header.settings_lines(settings) + header.device_lines(settings))]

    def pytest_xdist_setupnodes(self, config: pytest.Config, specs: list[Any]) -> None:
        """Give each of the first workers a device, if this plugin has any option."""
        place(specs, settings_of(config).devices if were_given(config) else ({},))

    def pytest_configure_node(self, node: Any) -> None:  # xdist's own type
        """Tell a worker which file to write to."""
        node.workerinput[_FILE] = str(self._file)

    def pytest_xdist_node_collection_finished(self, node: Any) -> None:  # xdist's own type
        """Install our scheduler if a test needs the encoder; a run without such tests keeps xdist's schedule."""
        if not self._file.exists():
            return
        running = node.config.pluginmanager.getplugin("dsession")
        termination.prepare(running._session)  # noqa: SLF001  the hook has none
        theirs = running.sched
        if type(theirs) is not LoadScheduling or theirs.collection_is_completed or not read_units(self._file):
            return
        running.sched = EncoderScheduling(node.config, running.log, self._file)
        for other in theirs.nodes:
            running.sched.add_node(other)
        for other, tests in theirs.node2collection.items():
            running.sched.add_node_collection(other, tests)

    def pytest_testnodedown(self, node: Any) -> None:  # xdist's own type
        """Take a worker's part of the reports and of the baseline."""
        recorder.take_selected(node.config, getattr(node, "workeroutput", {}))
        if node.config.option.embedqa_save_baseline:
            from pytest_embedqa.plugin import save_baseline as saving  # numpy, where a baseline is saved only

            saving.take(node.config, getattr(node, "workeroutput", {}))

    def pytest_unconfigure(self) -> None:
        """Remove the file."""
        self._folder.close()


class EncoderScheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
    """A scheduler like xdist's "load", except that only workers with a device take units of encoder tests.

    Whichever of them is free takes the next unit, preferably of the model that it has loaded. A worker that replaces a
    crashed worker has its device too, since xdist makes it from the same specification.
    """

    def __init__(self, config: pytest.Config, log: Any, file: Path) -> None:  # xdist's own type
        """Keep ``file``, in which the units will be once tests are to be scheduled."""
        super().__init__(config, log)
        self.collection: list[str] | None = None
        self._file = file
        self._units: dict[str, Unit] = {}

    @ending_the_run
    def schedule(self) -> None:
        """Give every worker its first tests, and a worker that joins late its share of the remaining tests."""
        if self.collection is None:
            if not self._check_nodes_have_same_collection():
                return
            tests = self.collection = list(next(iter(self.registered_collections.values())))
            # The controller does not collect, and workers tell it nothing but ids: they have written the rest to the
            # file.
            self._units = read_units(self._file)
            units: dict[object, dict[str, bool]] = {}
            for test in tests:
                units.setdefault(self._split_scope(test), {})[test] = False
            self._add(units)
        for _ in range(2):  # a worker does not begin a test before it has the next one
            for node in self.nodes:
                self._reschedule(node)

    @ending_the_run
    def remove_node(self, node: Any) -> str | None:  # xdist's own type
        """Forget a worker. Others take the tests that it left undone, except the test that crashed it.

        Returns:
            The test that crashed, if any.
        """
        units = self.assigned_work.pop(node)
        left = {test: scope for scope, tests in units.items() for test, done in tests.items() if not done}
        crashed = next(iter(left), None)
        if crashed is not None:
            units[left.pop(crashed)][crashed] = True
            self._add({scope: units[scope] for scope in left.values()})
            for other in self.nodes:
                self._reschedule(other)
        return crashed

    def _add(self, units: Mapping[Any, dict[str, bool]]) -> None:
        """Queue units, those of encoder tests first: they take longest, and fewer workers may take them."""
        self.workqueue.update(units)
        for unit in reversed(list(filter(_needs_encoder, units))):
            self.workqueue.move_to_end(unit, last=False)

    def _split_scope(self, nodeid: str) -> Any:
        return self._units.get(nodeid, nodeid)

    @ending_the_run
    def _reschedule(self, node: Any) -> None:
        if node.shutting_down:
            return
        unit = self._next_unit(node)
        if unit is None:
            node.shutdown()
        # Another worker may be free sooner than a worker that has a long test before it.
        elif self._pending_of(self.assigned_work[node]) <= (1 if _has_device(node) else 2):
            self.workqueue.move_to_end(unit, last=False)
            self._assign_work_unit(node)

    def _next_unit(self, node: Any) -> Any:
        waiting: list[Unit] = list(takewhile(_needs_encoder, self.workqueue))
        if not (waiting and _has_device(node)):
            return next(islice(self.workqueue, len(waiting), None), None)
        loaded = {other: self._model_of(other) for other in self.nodes}
        busy = Counter(loaded.values())
        return min(waiting, key=lambda unit: (unit.model != loaded[node], busy[unit.model]))

    def _model_of(self, node: Any) -> str | None:
        taken = filter(_needs_encoder, reversed(self.assigned_work[node]))
        return next((unit.model for unit in taken), None)


def _needs_encoder(unit: object) -> bool:
    return isinstance(unit, Unit)


def _has_device(node: Any) -> bool:
    return bool(node.gateway.spec.embedqa_device)


def place(specs: Sequence[Any], encoders: Sequence[Mapping[str, str]]) -> None:
    """Give the first workers a device each through their environment, the only way that every engine understands.

    The variables are set before a worker imports anything. Further workers load no encoder, unless another ``--dist``
    requires it, but the user's own tests may use a device there; these workers share the devices.

    Args:
        specs: Specifications of the workers that xdist is about to start.
        encoders: Environment variables of each encoder's process.
    """
    here = [spec for spec in specs if spec.popen and not spec.via]
    for number, spec in enumerate(here):
        spec.env = {**encoders[number % len(encoders)], **spec.env}
    for spec in here[: len(encoders)] or specs[:1]:  # the devices of other machines are unknown
        spec.embedqa_device = True


def write_units(workerinput: Mapping[str, Any], items: list[pytest.Item]) -> None:
    """Write the units of tests that need the encoder; atomically, since other workers write the same file.

    No file is written where no test needs the encoder.
    """
    if _FILE not in workerinput:
        return  # the controller runs without the plugin
    file = Path(workerinput[_FILE])
    units = {item.nodeid: unit for item, unit in zip(items, units_of(items), strict=True) if unit}
    with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as draft:
        json.dump(units, draft)
    Path(draft.name).replace(file)


def read_units(file: Path) -> dict[str, Unit]:
    """Return the unit of each test that needs the encoder, as the workers have written them."""
    written = json.loads(file.read_text(encoding="utf-8"))
    return {test: Unit(*unit) for test, unit in written.items()}


def units_of(items: list[pytest.Item]) -> list[Unit | None]:
    """Return the unit of each test; ``None`` for tests that do not need the encoder."""
    shared = [_shared(item) if has_encoder(item) else None for item in items]
    # The mean of a benchmark looks at all its tasks, and so belongs with all tests that share a task with it.
    together = {
        task: f"benchmark {mark.args[0]}"
        for item, task in zip(items, shared, strict=True)
        if task
        and (mark := find_mark(item))
        and mark.name == BENCHMARK
        and any(name.startswith("min_mean") for name in mark.kwargs)
    }
    return [
        Unit(system_of(item), together.get(task, task)) if task else None
        for item, task in zip(items, shared, strict=True)
    ]


def _shared(item: pytest.Item) -> str:
    """Name what is made once if all tests that use it run in one process."""
    mark = find_mark(item)
    if mark:
        from pytest_embedqa.plugin import checks  # numpy, where there are such tests only

        with suppress(EmbedQAError):  # the test itself will report the fault
            return checks.check_of(mark.name).shared(item, checks.parsed(item, mark))
    return str(item.path)

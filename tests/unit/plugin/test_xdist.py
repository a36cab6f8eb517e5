"""Which worker runs which test, on made-up workers: xdist's own loop without its processes."""

from __future__ import annotations

import json
from collections import defaultdict
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("xdist")
execnet = pytest.importorskip("execnet")

from pytest_embedqa.plugin.xdist import EncoderScheduling, place  # noqa: E402  they import xdist

END = object()


class Worker:
    """What the scheduler sees of a worker; it runs a test once it has the next one, or knows that there is none."""

    def __init__(self, spec):
        """Nothing is to be run yet."""
        self.gateway = SimpleNamespace(spec=spec, id=id(self))
        self.queue = []
        self.shutting_down = False

    def send_runtest_some(self, indices):
        """Tests to run, as xdist sends them."""
        self.queue += indices

    def shutdown(self):
        """No more will come."""
        if not self.shutting_down:
            self.queue.append(END)
        self.shutting_down = True

    @property
    def can_run(self):
        """Whether it will do anything without being told more."""
        return len(self.queue) > 1 or self.queue == [END]


def simulate(folder, tests, machine, choose, crashing=()):
    """Run tests, given as name -> unit, to the end.

    Args:
        folder: Where the units are written.
        tests: Unit by test; ``None`` for those that need no encoder.
        machine: How many workers, and how many devices for them.
        choose: Of the workers that can do something, who is next.
        crashing: Tests that end their worker.

    Returns:
        What each worker ran, in order, by its specification and itself.
    """
    workers, devices = machine
    file = folder / "units.json"
    file.write_text(json.dumps({test: unit for test, unit in tests.items() if unit}), encoding="utf-8")
    specs = [execnet.XSpec(f"popen//id=gw{number}") for number in range(workers)]
    place(specs, [{}] * devices)
    scheduler = EncoderScheduling(SimpleNamespace(getvalue=lambda _: ["popen"] * workers), None, file)
    ran, active, crashing = defaultdict(list), [Worker(spec) for spec in specs], set(crashing)

    def begin(worker):
        scheduler.add_node(worker)
        scheduler.add_node_collection(worker, list(tests))
        if scheduler.collection_is_completed:
            scheduler.schedule()

    for worker in active:
        begin(worker)
    while active:
        if scheduler.tests_finished:
            for worker in active:
                worker.shutdown()
        worker = choose([worker for worker in active if worker.can_run])  # fails where all wait for ever
        index = worker.queue.pop(0)
        if index is END:
            assert scheduler.remove_node(worker) is None
            active.remove(worker)
            continue
        test = list(tests)[index]
        ran[worker].append(test)
        if test in crashing:
            crashing.remove(test)
            assert scheduler.remove_node(worker) == test
            active.remove(worker)
            active.append(Worker(worker.gateway.spec))
            begin(active[-1])
        else:
            scheduler.mark_test_complete(worker, index)
    assert not scheduler.has_pending
    return ran


UNITS = st.none() | st.tuples(st.sampled_from(["", "st:a", "st:b"]), st.sampled_from(["ArguAna", "STS12", "f.py"]))


@given(
    units=st.lists(UNITS, max_size=14),
    machine=st.tuples(st.integers(1, 5), st.integers(1, 6)),
    crashing=st.sets(st.integers(0, 13), max_size=3),
    data=st.data(),
)
def test_every_test_runs_once_and_where_it_may(tmp_path_factory, units, machine, crashing, data):
    """Whatever the tests, workers, devices, crashes, and whoever is faster: none is lost, none waits for ever."""
    tests = {f"t{number}": unit for number, unit in enumerate(units)}
    crashed = {f"t{number}" for number in crashing} & set(tests)
    ran = simulate(
        tmp_path_factory.getbasetemp(),
        tests,
        machine,
        lambda able: data.draw(st.sampled_from(able)),
        crashed,
    )
    assert sorted(test for done in ran.values() for test in done) == sorted(tests)
    with_encoder = {worker for worker, done in ran.items() if any(tests[test] for test in done)}
    assert len({worker.gateway.spec.id for worker in with_encoder}) <= min(machine)
    for unit in {unit for unit in units if unit} if not crashed else ():
        assert sum(any(tests[test] == unit for test in done) for done in ran.values()) == 1


def in_turn():
    """Workers that are equally fast."""
    last = iter(range(1000))
    return lambda able: able[next(last) % len(able)]


def test_units_are_spread_over_the_devices(tmp_path):
    """Two devices of four workers take the tasks between them, and the others the rest."""
    tests = {f"task{number}": ("", f"task {number}") for number in range(6)} | {f"other{n}": None for n in range(8)}
    ran = simulate(tmp_path, tests, (4, 2), in_turn())
    tasks = [sum(test.startswith("task") for test in done) for done in ran.values()]
    assert sorted(tasks) == [0, 0, 3, 3]


def test_a_device_that_is_free_takes_the_next_task(tmp_path):
    """A long task holds up no other while a second test of it waits, which xdist's worker must know of to begin."""
    tests = {f"task{number}{part}": ("", f"task {number}") for number in range(9) for part in "ab"}
    first = []

    def second_is_faster(able):
        first[:] = first or able[:1]
        return able[-1]

    ran = simulate(tmp_path, tests, (2, 2), second_is_faster)
    assert [len(done) for worker, done in ran.items() if worker in first] == [2]


def test_a_device_keeps_to_its_model(tmp_path):
    """Two devices load a model each, not both in turns; a device without work helps with the other model."""
    tests = {
        f"{model}{number}": (model, f"task {number}") for model, many in (("a", 5), ("b", 2)) for number in range(many)
    }
    ran = simulate(tmp_path, tests, (2, 2), in_turn())
    models = ["".join(test[0] for test in done) for done in ran.values()]
    assert sorted(models) == ["aaaa", "bba"]


def test_encoder_workers_help_with_other_tests(tmp_path):
    """A worker with a device is not idle while others still have tests."""
    ran = simulate(tmp_path, {"t": ("", "f.py"), **{f"other{number}": None for number in range(20)}}, (2, 1), in_turn())
    assert all(len(done) > 5 for done in ran.values())


def test_workers_beyond_the_devices_share_them():
    """Another --dist may load an encoder in any worker: the devices are then shared out, and what the user set stays."""
    specs = [execnet.XSpec(text) for text in ("popen", "popen", "popen", "popen//env:CUDA_VISIBLE_DEVICES=7")]
    place(specs, [{"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "1"}])
    assert [spec.env["CUDA_VISIBLE_DEVICES"] for spec in specs] == ["0", "1", "0", "7"]
    assert [bool(spec.embedqa_device) for spec in specs] == [True, True, False, False]


def test_other_machines_are_left_alone():
    """Of their devices nothing is known: one of their workers has the encoder."""
    specs = [execnet.XSpec(f"ssh=there{number}") for number in range(2)]
    place(specs, [{"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "1"}])
    assert [spec.env for spec in specs] == [{}, {}]
    assert [bool(spec.embedqa_device) for spec in specs] == [True, False]

"""Which saved runs of pytest-benchmark are a base, and how a figure is judged against one."""

from __future__ import annotations

import copy
import sys
from types import SimpleNamespace

import pytest

from pytest_embedqa.core.verdict import Outcome
from pytest_embedqa.speed.saved_run import Allowance, SavedBenchmark, computed_with, processor

NOW = {
    "encoder": {"spec": "st:m", "model": "m", "weights": "1", "libraries": {"torch": "2"}, "options": {"run": "a"}},
    "threads": 2,
    "unit": "texts",
    "length": 128,
    "batch_size": 32,
    "rounds": 50,
}
MIN = Allowance("min", 10, percent=True)
NAMED = {"model": "st:m", "task": "speed, 128 tokens"}


def saved(was, stats=None, processors=("A", "A")):
    """A saved run that says this of its measurement."""
    return SavedBenchmark("0001.json", {"extra_info": {"embedqa": was}, "stats": stats or {"min": 0.01}}, *processors)


def changed(*path, to):
    """The measurement with one other fact."""
    was = facts = copy.deepcopy(NOW)
    for key in path[:-1]:
        facts = facts[key]
    facts[path[-1]] = to
    return was


@pytest.mark.parametrize(
    "was",
    [
        NOW,
        changed("encoder", "libraries", to={"torch": "1"}),
        changed("encoder", "options", to={"run": "b"}),
        changed("encoder", "spec", to="st:./m"),
        changed("threads", to="2"),
        changed("rounds", to=7),
    ],
)
def test_same_work_on_the_same_machine_is_a_base(was):
    """Whatever libraries, run or spelling of the spec: their effect is what the comparison is about."""
    assert saved(was).why_no_base(NOW, [MIN]) == ""


@pytest.mark.parametrize(
    ("was", "reason"),
    [
        (changed("threads", to=4), "threads 4, now 2"),
        (changed("gpu", to="H200"), "GPU H200, now unknown"),
        (changed("length", to=16), "tokens 16, now 128"),
        (changed("batch_size", to=1), "batch size 1, now 32"),
        (changed("unit", to="pairs"), "unit pairs, now texts"),
        (changed("rounds", to=0), "single queries were timed, now batches"),
        (changed("encoder", "model", to="n"), "model n, now m"),
        (changed("encoder", "weights", to="2"), "its model differs in weights"),
        (changed("encoder", "options", to={"version": "2"}), "its model differs in options"),
        (changed("encoder", to="text"), "model unknown, now m"),
        (None, "extra_info does not say what was measured"),
        ("text", "extra_info does not say what was measured"),
    ],
)
def test_other_work_or_model_is_no_base(was, reason):
    """The reason names what it was and what it is."""
    assert saved(was).why_no_base(NOW, [MIN]) == f"0001.json is no base: {reason}"


@pytest.mark.parametrize(
    ("processors", "reason"), [(("A", "B"), "processor A, now B"), (("", ""), "processor unknown, now unknown")]
)
def test_other_or_unknown_processor_is_no_base(processors, reason):
    """Not even if it is unknown both times."""
    assert saved(NOW, processors=processors).why_no_base(NOW, []) == f"0001.json is no base: {reason}"


@pytest.mark.parametrize("value", [None, "1", float("nan"), -1.0])
def test_file_without_the_figure_is_no_base(value):
    """NaN would be exceeded by nothing."""
    assert saved(NOW, {"min": value}).why_no_base(NOW, [MIN]) == "0001.json is no base: it has no figure 'min'"
    assert saved(NOW, {"min": value}).why_no_base(NOW, []) == ""


@pytest.mark.parametrize(
    ("allowance", "now", "outcome"),
    [
        (MIN, 0.011, Outcome.PASS),
        (MIN, 0.0111, Outcome.FAIL),
        (Allowance("min", 0.002, percent=False), 0.012, Outcome.PASS),
        (Allowance("min", 0.002, percent=False), 0.0121, Outcome.FAIL),
        (MIN, 0.005, Outcome.PASS),
    ],
)
def test_bounds_are_those_of_pytest_benchmark(allowance, now, outcome):
    """Percent of the saved figure, or seconds beyond it; at the bound it still holds."""
    verdict = saved(NOW).verdict(allowance, now, NAMED)
    assert verdict.outcome is outcome
    assert verdict.requirement == str(allowance)
    assert (verdict.baseline, verdict.value) == (10, now * 1000)
    assert verdict.bound == pytest.approx(allowance.bound(0.01) * 1000)


def test_reason_has_both_figures():
    """In milliseconds, with enough decimals for short times and without a ratio to nothing."""
    assert saved(NOW).verdict(MIN, 0.02, NAMED).reason == (
        "min_ms 20.0 of a round, 10.0 in the saved run 0001.json, +100%; at most 11.0 is allowed (--benchmark-compare-fail=min:10%)."
    )
    assert "min_ms 0.0500 of a round, 0.0100 in" in saved(NOW, {"min": 1e-5}).verdict(MIN, 5e-5, NAMED).reason
    nothing = saved(NOW, {"min": 0}).verdict(MIN, 5e-5, NAMED)
    assert nothing.outcome is Outcome.FAIL
    assert "0.0000 in the saved run 0001.json; at most" in nothing.reason


@pytest.mark.parametrize(
    ("machine", "name"),
    [
        ({"cpu": {"brand_raw": "AMD EPYC", "family": 26, "model": 2}}, "AMD EPYC (family 26, model 2)"),
        ({"cpu": {"brand_raw": "Neoverse-N1"}, "processor": "aarch64"}, "Neoverse-N1"),
        ({"cpu": {}, "processor": "", "machine": "arm64"}, "arm64"),
        ({"cpu": "none of your business"}, ""),
        (None, ""),
    ],
)
def test_processor_is_named_by_what_tells_it_from_others(machine, name):
    """A virtual machine's name stands for several generations."""
    assert processor(machine) == name


def test_threads_are_those_that_the_model_computes_with(monkeypatch):
    """Torch's own number for a model in torch; else what the spec asks for or the process may use."""
    cuda = SimpleNamespace(is_available=lambda: True, get_device_name=lambda: "H200")
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(get_num_threads=lambda: 3, cuda=cuda))
    monkeypatch.setenv("OMP_NUM_THREADS", "5")

    def model(device="cpu", libraries=(), **options):
        return SimpleNamespace(
            identity=SimpleNamespace(device=device, libraries=dict.fromkeys(libraries)),
            spec=SimpleNamespace(options=options),
        )

    assert computed_with(model(libraries=["torch"])) == {"threads": 3}
    assert computed_with(model("cuda", ["torch"])) == {"threads": 3, "gpu": "H200"}
    assert computed_with(model(threads="4")) == {"threads": "4"}
    assert computed_with(model()) == {"threads": 5}

"""Speed against a saved run of pytest-benchmark. The saved figures are edited, so that no test depends on the clock."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

pytest.importorskip("pytest_benchmark")

ENCODERS = """
import time
import numpy as np

def steady(texts):
    time.sleep(0.002 * len(texts))
    return np.stack([np.random.default_rng(len(text)).standard_normal(8) for text in texts]).astype(np.float32)

def other(texts): return steady(texts)
"""
SUITE = """
from pytest_embedqa import throughput

@throughput(batch_size=1, length=8)
def test_bulk(): ...

@throughput(batch_size=1, length=8, max_p99_ms=60_000)
def test_single(): ...

def test_theirs(benchmark):
    benchmark(len, "a")
"""
COMPARE = ("--benchmark-compare", "--benchmark-compare-fail=min:50%")
REGRESSED = (
    "speed, 8 tokens: min_ms * of a round, * in the saved run *0001_saved.json, +*%; at most * is allowed "
    "(--benchmark-compare-fail=min:50%)."
)


@pytest.fixture
def run(pytester, monkeypatch):
    """Runs tests on the steady encoder, or the whole suite; a saved run lies there already once it is asked for."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    pytester.makepyfile(vectors=ENCODERS, test_suite=SUITE)

    def run_with(*options, name="steady", apart=False):
        start = pytester.runpytest_subprocess if apart else pytester.runpytest
        return start(f"--embedqa-model=python:vectors:{name}", "--embedqa-store=off", *options)

    return run_with


def edit(pytester, change):
    """Change the saved run, of which there is one."""
    (path,) = pytester.path.glob(".benchmarks/*/0001_saved.json")
    saved = json.loads(path.read_text("utf-8"))
    change(saved)
    path.write_text(json.dumps(saved), "utf-8")


def times(factor, *names):
    """Multiplies the saved times of these tests."""

    def change(saved):
        for benchmark in saved["benchmarks"]:
            if benchmark["name"] in names:
                for field in ("min", "max", "mean", "median"):
                    benchmark["stats"][field] *= factor

    return change


def everything(result):
    """What a run wrote to both streams."""
    return result.stdout.str() + result.stderr.str()


@pytest.mark.slow
def test_regression_fails_its_test_by_name_in_every_report(run, pytester, monkeypatch):
    """Both figures in terminal, JSON, JUnit, page and summary; exit code 1, no traceback, and the tables stay."""
    run("--benchmark-save=saved").assert_outcomes(passed=3)
    edit(pytester, times(0.1, "test_bulk"))
    edit(pytester, times(10, "test_single", "test_theirs"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
    reports = ("--embedqa-json=out.json", "--embedqa-html=out.html", "--junitxml=out.xml")
    result = run(*COMPARE, *reports, "--benchmark-autosave", apart=True)
    result.assert_outcomes(passed=2, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "*_ test_bulk _*",
            REGRESSED,
            "*test_theirs (0001_sa*",
            "FAILED test_suite.py::test_bulk - *speed, 8 tokens: min_ms *",
        ]
    )
    result.stdout.fnmatch_lines(["speed, 8 tokens *min_ms * FAIL", "speed, 8 tokens *min_ms * pass"])
    assert not [word for word in ("Traceback", "PerformanceRegression", "has regressed") if word in everything(result)]
    assert len(list(pytester.path.glob(".benchmarks/*/0002_*.json"))) == 1

    tests = {
        test["id"].rpartition("::")[2]: test for test in json.loads((pytester.path / "out.json").read_text())["tests"]
    }
    (failed,) = [one for one in tests["test_bulk"]["facts"]["verdict"] if one["measure"] == "min_ms"]
    (held,) = [one for one in tests["test_single"]["facts"]["verdict"] if one["measure"] == "min_ms"]
    assert (failed["outcome"], held["outcome"]) == ("fail", "pass")
    assert failed["requirement"] == "--benchmark-compare-fail=min:50%"
    assert failed["bound"] == pytest.approx(1.5 * failed["baseline"])
    assert failed["value"] > failed["bound"]
    assert held["value"] < held["baseline"]

    cases = {case.get("name"): case for case in ET.parse(pytester.path / "out.xml").iter("testcase")}
    assert failed["reason"] in cases["test_bulk"].find("failure").text
    assert cases["test_single"].find("failure") is None
    value, saved = (f"{failed[name]:.{failed['digits']}f}" for name in ("value", "baseline"))
    for file in ("out.html", "summary.md"):
        text = (pytester.path / file).read_text("utf-8")
        assert f"min_ms {value} of a round, {saved} in the saved run" in text, file
        assert "test_bulk" in text, file


@pytest.mark.slow
def test_benchmarks_of_others_stay_with_pytest_benchmark(run, pytester):
    """Its own error, about theirs alone: the speed test that has regressed as well is judged once, by its test."""
    run("--benchmark-save=saved").assert_outcomes(passed=3)
    edit(pytester, times(0.001, "test_bulk", "test_theirs"))
    result = run(*COMPARE, apart=True)
    assert result.ret == 1
    told = everything(result).partition("Performance has regressed:")[2]
    assert "test_theirs (0001_sa" in told
    assert "test_bulk (0001_sa" not in told
    assert "PerformanceRegression: Performance has regressed." in told
    result.stdout.fnmatch_lines([REGRESSED])


@pytest.mark.slow
def test_saved_run_of_another_machine_or_model_is_no_base(run, pytester):
    """However slow the test has become: a note says why, and under strict it fails."""
    run("-k", "bulk", "--benchmark-save=saved").assert_outcomes(passed=1)
    edit(pytester, times(0.1, "test_bulk"))

    def facts(saved):
        return saved["benchmarks"][0]["extra_info"]["embedqa"]

    compare = ("-k", "bulk", *COMPARE)
    edit(pytester, lambda saved: facts(saved)["encoder"]["libraries"].update(numpy="1.0"))
    run(*compare).assert_outcomes(failed=1)  # a slower library is a regression

    result = run(*compare, name="other")
    result.assert_outcomes(passed=1)
    note = "note: test_bulk: speed was not compared: *0001_saved.json is no base: "
    result.stdout.fnmatch_lines([f"{note}model vectors:steady, now vectors:other"])
    edit(pytester, lambda saved: facts(saved).update(threads=7))
    result = run(*compare)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"{note}threads 7, now 2"])
    edit(pytester, lambda saved: facts(saved).update(threads=2))
    edit(pytester, lambda saved: saved["machine_info"]["cpu"].update(brand_raw="Abacus", family=1, model=2))
    result = run(*compare)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"{note}processor Abacus (family 1, model 2), now *"])
    result = run(*compare, "--embedqa-strict")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["speed was not compared: *0001_saved.json is no base: processor Abacus *"])
    # Without a condition the table alone was asked for; it is the reader who must know.
    result = run("-k", "bulk", "--benchmark-compare", "--embedqa-strict")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"{note}processor Abacus *"])


@pytest.mark.slow
def test_test_that_no_saved_run_has_says_so(run):
    """A new test, and a folder without any saved run: pytest-benchmark's own error for that stays."""
    run("-k", "single", "--benchmark-save=saved").assert_outcomes(passed=1)
    note = "note: test_bulk: speed was not compared: no saved run that was loaded has this test"
    result = run("-k", "bulk", *COMPARE)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([note])
    run("-k", "bulk", *COMPARE, "--embedqa-strict").assert_outcomes(failed=1)
    result = run("-k", "bulk", *COMPARE, "--benchmark-storage=empty", apart=True)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--benchmark-compare-fail requires valid --benchmark-compare.*"])


def test_conditions_of_every_kind_and_several_saved_runs(run, pytester):
    """Percent and seconds, each against each file that was asked for; what is not exceeded passes."""
    run("-k", "bulk", "--benchmark-save=saved").assert_outcomes(passed=1)
    run("-k", "bulk", "--benchmark-save=second").assert_outcomes(passed=1)
    edit(pytester, times(0.1, "test_bulk"))
    conditions = ("min:60", "mean:0.000001", "median:90%")
    result = run(
        "-k", "bulk", "--benchmark-compare=000", "--benchmark-compare-fail", *conditions, "--embedqa-json=out.json"
    )
    result.assert_outcomes(failed=1)
    (test,) = json.loads((pytester.path / "out.json").read_text())["tests"]
    first = {one["requirement"]: one for one in test["facts"]["verdict"] if "0001_saved" in one["reason"]}
    second = {one["requirement"] for one in test["facts"]["verdict"] if "0002_second" in one["reason"]}
    assert set(first) == second == {f"--benchmark-compare-fail={one}" for one in ("min:60", "mean:1e-06", "median:90%")}
    assert first["--benchmark-compare-fail=min:60"]["outcome"] == "pass"
    mean = first["--benchmark-compare-fail=mean:1e-06"]
    assert mean["outcome"] == "fail"
    assert mean["bound"] == pytest.approx(mean["baseline"] + 0.001)

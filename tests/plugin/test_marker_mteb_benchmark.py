"""``@mteb_benchmark``: the tasks of a benchmark, one test each, and their mean."""

from __future__ import annotations

import pytest

TEST = """
    from pytest_embedqa import mteb_benchmark
    @mteb_benchmark("MTEB(eng, v2)", min_mean=0.3)
    def test_english(task_result): print("looked at", task_result)
"""


def test_one_test_a_task_and_one_for_the_mean(pytester, run):
    """Every text task of the benchmark becomes an item that ``-k`` can select."""
    pytester.makepyfile(TEST)
    result = run("--collect-only", "-q")
    for task in ("ArguAna", "STSBenchmark", "Banking77Classification", "mean"):
        result.stdout.fnmatch_lines([f"*::test_english[[]{task}[]]"])
    assert len([line for line in result.outlines if "test_english[" in line]) == 42


def test_tasks_with_data_run_and_others_say_why_not(pytester, run):
    """A task without data is skipped by itself; the mean needs them all."""
    pytester.makepyfile(TEST)
    result = run("-rs", "-k", "ArguAna or STSBenchmark or SCIDOCS or mean")
    result.assert_outcomes(passed=2, skipped=2, deselected=38)
    result.stdout.fnmatch_lines(["*no data: mteb/scidocs is not in *"])


def test_unknown_benchmark(pytester, run):
    """The nearest name is offered."""
    pytester.makepyfile(TEST.replace("MTEB(eng, v2)", "MTEB(eng, v22)"))
    result = run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        ["*mteb * has no benchmark 'MTEB(eng, v22)'. Did you mean 'MTEB(eng, v2)'? mteb.get_benchmarks() lists them.*"]
    )


def test_mean_over_all_tasks_is_judged(pytester, run, monkeypatch):
    """Where every task has data, the mean of the main scores passes or fails by its bound."""
    from pytest_embedqa.quality.mteb import tasks

    monkeypatch.setattr(tasks, "benchmark_tasks", lambda _: ["ArguAna", "STSBenchmark"])
    pytester.makepyfile(
        TEST
        + """
    @mteb_benchmark("MTEB(eng, v2)", min_mean=0.9)
    def test_too_high(): ...
    """
    )
    result = run()
    result.assert_outcomes(passed=5, failed=1)
    result.stdout.fnmatch_lines(
        ["MTEB(eng, v2), mean of 2 tasks: main_score * is below 0.9000, off by *", "Lowest: STSBenchmark *, ArguAna *"]
    )
    result.stdout.fnmatch_lines(["MTEB(eng, v2), mean *mean main_score * pass"])

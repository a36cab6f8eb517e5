"""``@mteb_benchmark``: the tasks of a benchmark, one test each, and their mean."""

from __future__ import annotations

import fnmatch

import pytest

from pytest_embedqa.quality.task import TaskQuery
from pytest_embedqa.upgrade.baseline import read_baseline

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
    result.stdout.fnmatch_lines_random(
        [
            "*: no data: mteb/scidocs is not in *",
            "*a mean needs every task, and * of 41 have no data: *, SCIDOCS, *. The first: no data: *",
        ]
    )


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
    some = [TaskQuery("ArguAna"), TaskQuery("STSBenchmark")]
    monkeypatch.setattr("pytest_embedqa.quality.mteb.tasks.benchmark_queries", lambda _: some)
    pytester.makepyfile(
        TEST
        + """
    @mteb_benchmark("MTEB(eng, v2)", min_mean_by_type=0.3)
    def test_types(): ...
    @mteb_benchmark("MTEB(eng, v2)", min_mean=0.9, min_mean_by_type=0.95)
    def test_too_high(): ...
    """
    )
    result = run()
    result.assert_outcomes(passed=8, failed=1)
    result.stdout.fnmatch_lines(
        [
            "MTEB(eng, v2), 2 tasks: mean * is below 0.9000, off by *",
            "MTEB(eng, v2), 2 tasks: mean_by_type * is below 0.9500, off by *",
            "Lowest: STSBenchmark *, ArguAna *",
        ]
    )
    result.stdout.fnmatch_lines(["MTEB(eng, v2), mean *mean * pass", "MTEB(eng, v2), mean *mean_by_type * pass"])


def test_benchmark_takes_a_part_of_a_task(pytester, run, write_dataset):
    """Of STS17 the English benchmark has the English pair alone, and so have its scores and the saved baseline."""
    rows = [
        {"sentence1": text, "sentence2": text * 2, "score": float(number), "lang": subset}
        for subset in ("en-en", "en-de", "ko-ko")
        for number, text in enumerate(["bread", "rain and bread", "a night train", "music tonight"])
    ]
    write_dataset("mteb/sts17-crosslingual-sts", {"test.jsonl": rows}, {"default/": ("test", "test.jsonl")})
    pytester.makepyfile("""
        from pytest_embedqa import mteb_benchmark
        @mteb_benchmark("MTEB(eng, v2)")
        def test_english(task_result): print("parts", {split: [*parts] for split, parts in task_result.scores.items()})
    """)
    result = run("-s", "-k", "STS17", "--embedqa-save-baseline=b.json")
    result.assert_outcomes(passed=1, deselected=40)
    result.stdout.fnmatch_lines(["*parts {'test': [[]'en-en'[]]}*"])
    (saved,) = read_baseline(pytester.path / "b.json").evaluations
    assert saved.subject.subsets == ("en-en",)


def test_mean_that_the_leaderboard_does_not_have(pytester, run):
    """A bound on it is a wrong marker: nothing is evaluated."""
    pytester.makepyfile(TEST.replace("MTEB(eng, v2)", "RTEB(fra, beta)").replace("min_mean", "min_mean_by_type"))
    result = run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*min_mean_by_type=0.3: the leaderboard has no such mean of RTEB*It shows: mean.*"])


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        ('"MTEB(eng, v2)", subsets=["en-en"]', "*@mteb_benchmark has no argument subsets. It takes: vs_published, *"),
        ('"MTEB(eng, v2)", min_mean_by_typ=0.3', "*has no argument min_mean_by_typ. Did you mean min_mean_by_type?*"),
        ("min_mean=0.3", '*@mteb_benchmark takes one name, e.g. @mteb_benchmark("MTEB(eng, v2)"), but got ().*'),
        ('"MTEB(eng, v2)", "MTEB(eng, v1)"', "*takes one name, *but got ('MTEB(eng, v2)', 'MTEB(eng, v1)').*"),
    ],
)
def test_wrong_marker_is_an_error(pytester, run, mark, said):
    """Which part of a task is evaluated is the benchmark's choice; what its marker takes is listed."""
    pytester.makepyfile(f"import pytest\n@pytest.mark.mteb_benchmark({mark})\ndef test_it(task_result): ...")
    result = run()
    assert result.ret in {pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERRUPTED}
    assert fnmatch.filter([*result.outlines, *result.errlines], said)

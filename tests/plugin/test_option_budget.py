"""``--embedqa-budget``: the cheapest tests first; what does not fit is said, stored, and never a silent pass."""

from __future__ import annotations

import json
import random
import re
from types import SimpleNamespace

import pytest

from pytest_embedqa.plugin.budget import Budget
from pytest_embedqa.plugin.read_settings import read_settings
from pytest_embedqa.quality.task import TaskQuery

# Real vectors, a while for each text; and the end of the budget after some calls.
SLOW = """
    import os, time, bag
    PACE = float(os.environ.get("PACE", "0.1"))
    def steady(texts):
        time.sleep(PACE * len(texts))
        if len(bag.CALLS) >= int(os.environ.get("ENDS", 1000)):
            from pytest_embedqa.plugin.budget import Budget
            Budget.left = -1
        return bag.encode(texts)
"""
TESTS = """
    import pytest
    from pytest_embedqa import mteb_task, sts_task
    @mteb_task(sts_task("large.jsonl"), min_spearman=-0.9)
    def test_large(): ...
    def test_unrelated(): ...
    def test_any(encoder): encoder.encode(["one text"])
    @mteb_task(sts_task("small.jsonl"), min_spearman=-0.9)
    def test_small(task_result): print("encoded", task_result.details.encoded)
    @mteb_task("ArguAna", min_ndcg_at_10=0.1)
    def test_arguments(): ...
    @mteb_task(sts_task("small.jsonl"), max_spearman=0.99)
    def test_small_again(): ...
"""
STEADY = "python:slow:steady?version=1"


@pytest.fixture
def tests(pytester):
    """A small task, and one that takes this encoder minutes."""
    pytester.makepyfile(slow=SLOW)
    pytester.makepyfile(TESTS)
    for name, pairs in (("small", 6), ("large", 1200)):
        (pytester.path / f"{name}.jsonl").write_text("".join(_pairs(pairs)), encoding="utf-8")


def _pairs(count):
    rng = random.Random(count)
    for number in range(count):
        sides = {
            f"sentence{side}": f"pair {number} of {count} says {rng.choice('abcdefgh')} on side {side}"
            for side in (1, 2)
        }
        yield json.dumps({**sides, "score": rng.uniform(0, 5)}) + "\n"


def collected(result) -> list[str]:
    """Names of the tests in their order."""
    return [line.partition("::")[2] for line in result.outlines if "::" in line]


def test_what_is_no_time_is_refused(pytester):
    """A number without a letter could be minutes or seconds: it is asked back, as is all else that is no time."""
    config = pytester.parseconfig()
    for given in ("45", "soon", "0m", "m", "1.5h", "-3m", "30m1h", ""):
        config.option.embedqa_budget = given
        with pytest.raises(pytest.UsageError) as refused:
            read_settings(config)
        assert str(refused.value) == (
            f"--embedqa-budget: {given!r} is not a time. Write hours, minutes and seconds with their letters: 45m, 90s, 1h30m."
        )
    for given, seconds in {"45m": 2700, "90s": 90, "1h30m": 5400, "2h": 7200, "1h1m1s": 3661}.items():
        config.option.embedqa_budget = given
        assert read_settings(config).budget == seconds


def test_cheapest_tests_come_first(run, tests):
    """Tests of one evaluation stay together, unknown costs come last, and tests without an encoder keep their places."""
    order = collected(run("--collect-only", "-q", "--embedqa-budget=1h30m"))
    assert order == ["test_small", "test_unrelated", "test_small_again", "test_large", "test_arguments", "test_any"]


def test_models_are_not_mixed(run, tests):
    """Each model is loaded once: the tests of one come before those of the next, each from cheap to expensive."""
    models = ["--embedqa-model", "python:bag:encode", "--embedqa-model", "python:bag:other"]
    order = collected(run("--collect-only", "-q", "--embedqa-budget=45m", "-k", "small or large", *models))
    names = ["test_small", "test_small_again", "test_large"]
    assert order == [f"{name}[python:bag:{model}]" for model in ("encode", "other") for name in names]


def test_mean_is_judged_after_its_parts(pytester, run, monkeypatch):
    """The mean of a benchmark costs what its parts cost, and comes right after the last of them."""
    some = [TaskQuery("ArguAna"), TaskQuery("STSBenchmark")]
    monkeypatch.setattr("pytest_embedqa.quality.mteb.tasks.benchmark_queries", lambda _name: some)
    pytester.makepyfile("""
        from pytest_embedqa import mteb_benchmark, mteb_task
        @mteb_benchmark("MTEB(eng, v2)", min_mean=0.1)
        def test_all(): ...
        @mteb_task("SciFact")
        def test_facts(): ...
    """)
    order = collected(run("--collect-only", "-q", "--embedqa-budget=45m"))
    assert order == ["test_all[STSBenchmark]", "test_facts", "test_all[ArguAna]", "test_all[mean]"]


@pytest.mark.parametrize("strict", [False, True])
def test_what_does_not_fit_is_not_run(pytester, run, tests, monkeypatch, strict):
    """Its reason says what it needs and what is left; the summary and the report name it. Strict: it fails. CI: it does not."""
    monkeypatch.setenv("CI", "true")
    flags = ["--embedqa-strict"] if strict else []
    result = run("-rs", "--embedqa-budget=1m", "--embedqa-json=run.json", *flags, "-k", "small or large", model=STEADY)
    result.assert_outcomes(passed=2, deselected=3, **({"errors": 1} if strict else {"skipped": 1}))
    result.stdout.re_match_lines([r".*not run: needs about \d+ min, \d\d s of the budget of 60 s are left.*"])
    result.stdout.fnmatch_lines(["note: budget of 60 s: 1 of 3 tests did not fit: test_large"])
    (left_out,) = [
        fact
        for test in json.loads((pytester.path / "run.json").read_text())["tests"]
        for fact in test["facts"].get("left_out", ())
    ]
    assert left_out["test"] == "test_large"
    assert left_out["reason"].startswith("not run: needs about")


def test_what_is_stored_costs_nothing(run, tests, monkeypatch):
    """A task that would take minutes at the pace of the others is run once its vectors are in the store."""
    store = "--embedqa-store=vectors.sqlite"
    monkeypatch.setenv("PACE", "0")
    run(store, "-k", "large", model=STEADY).assert_outcomes(passed=1, deselected=5)
    monkeypatch.setenv("PACE", "0.1")
    run(store, "-k", "small or large", "--embedqa-budget=1m", model=STEADY).assert_outcomes(passed=3, deselected=3)


def test_encoding_is_stopped_and_goes_on_in_the_next_run(run, tests, monkeypatch):
    """What was encoded when the budget was over is kept; a test that was stopped is a skip, its later ones are not begun."""
    arguments = ["-rs", "-k", "small", "--embedqa-store=vectors.sqlite", "--embedqa-budget=8m"]
    model = f"{STEADY}&batch_size=1"
    with monkeypatch.context() as ended:
        ended.setattr(Budget, "left", Budget.left)  # so that what the encoder sets is undone
        ended.setenv("ENDS", "3")
        first = run(*arguments, model=model)
    first.assert_outcomes(skipped=2, deselected=4)
    stopped = re.compile(
        r"not done: the budget of 8 min is over; (\d) of 6 texts were encoded\. They are stored; the next run goes on from there\."
    )
    (done,) = [int(found[1]) for line in first.outlines if (found := stopped.search(line))]
    assert 0 < done < 6
    first.stdout.fnmatch_lines(["*not run: the budget of 8 min is over*"])
    second = run(*arguments, "-rP", model=model)
    second.assert_outcomes(passed=2, deselected=4)
    assert f"encoded {12 - done}" in second.outlines


def test_failure_that_was_found_stays_one(pytester, run):
    """A verdict that failed before the budget was over is no skip; with none that failed it is one."""
    pytester.makepyfile("""
        import pytest
        @pytest.mark.parametrize("outcome", ["fail", "pass"])
        def test_body(encoder, request, monkeypatch, outcome):
            request.node.user_properties.append(("embedqa.verdict", '{"outcome": "%s"}' % outcome))
            monkeypatch.setattr("pytest_embedqa.plugin.budget.Budget.left", -1)
            encoder.encode([f"pair {number}" for number in range(5)])
    """)
    result = run("--embedqa-budget=30m", "--embedqa-store=off", "-p", "no:embedqa-recorder")
    result.assert_outcomes(failed=1, skipped=1)
    result.stdout.fnmatch_lines(["*TimeLimitError: not done: the budget of 30 min is over; 0 of 5 texts were encoded"])


def test_workers_count_from_the_start_of_the_run(pytester):
    """Under pytest-xdist the budget is that of the run, not of each worker."""
    node = SimpleNamespace(workerinput={})
    begun = Budget(pytester.parseconfig(), 60)
    begun.began -= 20
    begun.pytest_configure_node(node)
    worker = pytester.parseconfig()
    worker.workerinput = node.workerinput
    assert Budget(worker, 60).began == begun.began
    assert begun.left < 41

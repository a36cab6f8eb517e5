"""``--embedqa-baseline``: every task is held to a baseline, a file or another encoder, paired by query."""

from __future__ import annotations

import json

import pytest

TEST = """
    from pytest_embedqa import mteb_task
    @mteb_task("ArguAna", max_regression={margin})
    def test_it(): ...
"""


def test_drop_beyond_the_margin_fails(pytester, run):
    """A significant drop fails, with both scores and the interval of the difference."""
    pytester.makepyfile(TEST.format(margin=0.01))
    result = run("--embedqa-baseline", "python:bag:encode", model="python:bag:coarse")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["ArguAna: * (baseline *, allowed drop 0.01, difference -*); 95 % interval of the difference -*"]
    )


def test_no_drop_passes(pytester, run):
    """The better model passes against the worse one."""
    pytester.makepyfile(TEST.format(margin=0))
    run("--embedqa-baseline", "python:bag:coarse", model="python:bag:encode").assert_outcomes(passed=1)


def test_insignificant_drop_is_inconclusive_and_fails_under_strict(pytester, run):
    """A drop beyond the margin that chance explains is neither pass nor fail, until strict asks for certainty."""
    pytester.makepyfile(
        worse="""
        import bag
        def encode(texts):
            vectors = bag.encode(texts)
            for row, text in enumerate(texts):
                if "yeast" in text and "dough" in text: vectors[row] = -vectors[row]
            return vectors
    """
    )
    pytester.makepyfile(TEST.format(margin=0.001))
    arguments = ("--embedqa-baseline", "python:bag:encode")
    result = run(*arguments, model="python:worse:encode")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["ArguAna * unsure"])
    run(*arguments, "--embedqa-strict", "--embedqa-missing-data=skip", model="python:worse:encode").assert_outcomes(
        failed=1
    )


def test_without_a_baseline_there_is_nothing_to_compare(pytester, run):
    """``max_regression`` waits for a baseline and says so; under strict that is a failure."""
    pytester.makepyfile(TEST.format(margin=0.01))
    result = run()
    result.assert_outcomes(passed=1)
    strict = run("--embedqa-strict")
    strict.assert_outcomes(failed=1)
    for outcome in (result, strict):
        outcome.stdout.fnmatch_lines(["*ArguAna: max_regression= was not judged: there is no --embedqa-baseline"])


PLAIN = """
    from pytest_embedqa import mteb_task
    @mteb_task("ArguAna"{arguments})
    def test_it(): ...
"""


@pytest.fixture
def saved(pytester, run):
    """Saves what an encoder scores on ArguAna; returns the option that compares with it."""

    def save(model="python:bag:encode", arguments="", *options):
        pytester.makepyfile(PLAIN.format(arguments=arguments))
        run("--embedqa-save-baseline=b.json", *options, model=model).assert_outcomes(passed=1)
        return "--embedqa-baseline=b.json"

    return save


def test_every_task_is_gated(pytester, run):
    """No test needs ``max_regression``: the baseline alone asks for it, with one point of room."""
    pytester.makepyfile(PLAIN.format(arguments=""))
    result = run("--embedqa-baseline=python:bag:encode", model="python:bag:coarse")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "ArguAna: main_score * (baseline *, allowed drop 0.01, difference -*); 95 % interval *",
            "  promised   max_regression=0.01",
            "  changed    * queries worse, * better, of 16",
            "  worst      rank 1 to *: q*",
            "  try        keep the baseline's model; *",
            "against baseline     before     now   change  95 % interval         sees",
            "ArguAna * -* to -*",
            "gate: 1 task, 1 worse, 0 unsure",
        ]
    )


def test_room_is_set_in_the_ini_file(pytester, run):
    """And a test's own number goes before it."""
    pytester.makeini("[pytest]\nembedqa_max_regression = 0.9")
    pytester.makepyfile(PLAIN.format(arguments=""))
    run("--embedqa-baseline=python:bag:encode", model="python:bag:coarse").assert_outcomes(passed=1)
    pytester.makepyfile(PLAIN.format(arguments=", max_regression=0.01"))
    run("--embedqa-baseline=python:bag:encode", model="python:bag:coarse").assert_outcomes(failed=1)


@pytest.mark.parametrize("number", ["many", "1.5", "-0.1", "nan"])
def test_wrong_room_is_refused(pytester, run, number):
    """Before anything is evaluated."""
    pytester.makeini(f"[pytest]\nembedqa_max_regression = {number}")
    result = run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"*embedqa_max_regression = {number} in the ini file: a number from 0 up to 1 is expected*"]
    )


def test_file_and_live_baseline_agree(pytester, run, saved):
    """The same numbers, whether the old encoder is evaluated again or read from its file."""
    option = saved()
    result = run(option, model="python:bag:coarse")
    live = run("--embedqa-baseline=python:bag:encode", model="python:bag:coarse")
    reasons = [[line for line in one.outlines if line.startswith("ArguAna")] for one in (result, live)]
    assert reasons[0] == reasons[1] != []
    result.assert_outcomes(failed=1)


def test_nothing_of_a_saved_baseline_is_evaluated_again(pytester, run, saved):
    """Its encoder need not be there any more."""
    option = saved()
    pytester.makepyfile(new="import bag\nencode = bag.encode")
    (pytester.path / "bag.py").rename(pytester.path / "moved.py")
    pytester.makepyfile(new="import moved\nencode = moved.encode")
    run(option, model="python:new:encode").assert_outcomes(passed=1)


def test_verdict_and_evidence_travel_in_properties(pytester, run, saved):
    """What reports need is in the JUnit file: the difference with its certainty, and the queries that got worse."""
    option = saved()
    run(option, "--junitxml=out.xml", model="python:bag:coarse")
    import xml.etree.ElementTree as ET

    told = {one.get("name"): one.get("value") for one in ET.parse("out.xml").iter("property")}
    assert told.pop("embedqa.capability") == "quality"  # the one plain text
    properties = {name: json.loads(value) for name, value in told.items()}
    facts = properties["embedqa.upgrade"]
    assert facts["before"] > facts["after"]
    assert facts["worst"][0]["found_after"][0]["text"]
    assert properties["embedqa.verdict"]["change"]["p_value"] == facts["change"]["p_value"] < 0.05


def test_dimensions_are_gated_each(pytester, run, saved):
    """A baseline holds each dimension that a test names."""
    option = saved(arguments=", dims=[64, 2]")
    result = run(option)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["gate: 2 tasks, 0 worse, 0 unsure"])


def test_own_tasks_are_gated(pytester, run):
    """A task on the user's own data, and data that changed since is refused."""
    pytester.makepyfile(
        """
        from pytest_embedqa import mteb_task, sts_task
        @mteb_task(sts_task("pairs.jsonl"))
        def test_it(): ...
    """
    )
    rows = [{"sentence1": f"word{i} and more", "sentence2": f"word{i % 7} and more", "score": i % 5} for i in range(40)]
    (pytester.path / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    run("--embedqa-save-baseline=b.json").assert_outcomes(passed=1)
    run("--embedqa-baseline=b.json").assert_outcomes(passed=1)
    rows[0]["score"] = 5
    (pytester.path / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    result = run("--embedqa-baseline=b.json")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["pairs: the baseline was measured on the data sha256:*, this run on sha256:*"])


def test_missing_task_fails_before_anything_is_encoded(pytester, run, saved):
    """With the command that adds it, and no minute lost."""
    option = saved()
    pytester.makepyfile(
        """
        from pytest_embedqa import mteb_task
        @mteb_task("STSBenchmark")
        def test_it(): ...
    """
    )
    pytester.makepyfile(
        counted="import bag\ndef encode(texts):\n    print('ENCODED', len(texts))\n    return bag.encode(texts)"
    )
    result = run(option, model="python:counted:encode")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*STSBenchmark: the baseline *b.json has no score for STSBenchmark; it has 1 other tasks*"]
    )
    result.stdout.fnmatch_lines(["*--embedqa-model='python:bag:encode' --embedqa-save-baseline=*b.json*"])
    assert [line for line in result.outlines if line.startswith("ENCODED") and line != "ENCODED 1"] == []


def test_another_sample_is_not_compared(pytester, run, saved):
    """``limit`` makes another task of it."""
    option = saved()
    pytester.makepyfile(PLAIN.format(arguments=", limit=4"))
    result = run(option)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*has no score for ArguAna (limit=4); it has the task with other settings: ArguAna.*"])


def test_other_data_is_not_compared(pytester, run, saved, hub):
    """A corpus file that lost a line is other data, though the queries are the same and the score may be higher."""
    option = saved()
    corpus = hub / "mteb" / "arguana" / "corpus.jsonl"
    corpus.write_text("".join(corpus.read_text().splitlines(keepends=True)[:-1]))
    result = run(option)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["ArguAna: the baseline was measured on the data *, this run on *"])


def test_model_that_changed_behind_its_identity_is_found(pytester, run, saved):
    """A callable that vouches for its version and computes something else: old vectors must not pass for new ones."""
    pytester.makepyfile(vouched="import bag\nencode = bag.encode")
    option = saved("python:vouched:encode?version=1")
    result = run(option, model="python:vouched:encode?version=1")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["note: ArguAna: candidate and baseline are the same encoder: nothing was changed"])
    pytester.makepyfile(vouched="import bag\ndef encode(texts):\n    return bag.encode([text[::-1] for text in texts])")
    import sys

    sys.modules.pop("vouched", None)
    changed = run(option, model="python:vouched:encode?version=1")
    changed.assert_outcomes(failed=1)
    changed.stdout.fnmatch_lines(["*has the identity of the baseline *, but computes other vectors (cosine *"])


def test_encoder_compared_with_itself_says_so(pytester, run):
    """Two names of one encoder: nothing was tested."""
    pytester.makepyfile(PLAIN.format(arguments=""))
    model = "python:bag:encode?version=1"
    result = run(f"--embedqa-baseline={model}", model=model)
    result.stdout.fnmatch_lines(["note: ArguAna: candidate and baseline are the same encoder: nothing was changed"])


def test_unusable_baseline_stops_the_run(pytester, run, saved):
    """Before anything is evaluated, with exit code 4: never a warning."""
    option = saved()
    path = pytester.path / "b.json"
    path.write_text(path.read_text()[:100])
    result = run(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*b.json can't be used: it is not valid JSON*"])


def test_missing_baseline_stops_the_run(pytester, run):
    """With the command that makes it."""
    pytester.makepyfile(PLAIN.format(arguments=""))
    result = run("--embedqa-baseline=none.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*none.json does not exist. Make it with the old model: *--embedqa-save-baseline=none.json"]
    )


def test_baseline_of_nan_scores_never_passes(pytester, run, saved):
    """An encoder that returns NaN fails, whatever the baseline."""
    option = saved()
    run(option, model="python:bag:nan").assert_outcomes(failed=1)


def test_whole_benchmark_is_gated(pytester, run):
    """Each task of a benchmark, by the same number."""
    pytester.makepyfile(
        """
        from pytest_embedqa import mteb_benchmark
        @mteb_benchmark("MTEB(eng, v2)")
        def test_it(): ...
    """
    )
    arguments = ("-k", "ArguAna", "--embedqa-baseline=python:bag:encode")
    run(*arguments, model="python:bag:coarse").assert_outcomes(failed=1)


@pytest.mark.slow
def test_under_xdist_the_gate_is_the_same(pytester, run, saved):
    """Workers read the file, and their verdicts end in one table."""
    option = saved()
    result = run(option, "-n2", model="python:bag:coarse")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["gate: 1 task, 1 worse, 0 unsure"])


def test_a_bound_that_is_missed_is_no_task_that_got_worse(pytester, run):
    """The line of the gate counts what was compared with the baseline, not every bound of the tests."""
    pytester.makepyfile("""
        from pytest_embedqa import mteb_task
        @mteb_task("ArguAna", min_spearman=0.9999)
        def test_it(): ...
    """)
    result = run("--embedqa-baseline", "python:bag:coarse", "--embedqa-diagnose=off", model="python:bag:encode")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["gate: 1 task, 0 worse, 0 unsure"])

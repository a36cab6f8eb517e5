"""``@throughput`` from a user's side. The encoders sleep, so that a busy machine changes little."""

from __future__ import annotations

import importlib.util
import json

import pytest

pytest.importorskip("pytest_benchmark")

ENCODERS = """
import time
import numpy as np

def encode(texts, seconds=0.002):
    time.sleep(seconds * len(texts))
    return np.stack([np.random.default_rng(len(text)).standard_normal(8) for text in texts]).astype(np.float32)

def steady(texts): return encode(texts)
def slower(texts): return encode(texts, 0.004)
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Runs one test with this marker on one of the encoders."""
    monkeypatch.delenv("CI", raising=False)
    pytester.makepyfile(vectors=ENCODERS)

    def run_on(arguments, *options, name="steady", body="...", apart=False):
        pytester.makepyfile(
            test_suite=f"""
            from pytest_embedqa import throughput

            @throughput(batch_size=1, {arguments})
            def test_speed(speed_result):
                {body}
            """
        )
        start = pytester.runpytest_subprocess if apart else pytester.runpytest
        return start(f"--embedqa-model=python:vectors:{name}", "--embedqa-store=store.sqlite", *options)

    return run_on


def saved(pytester, file):
    """The only benchmark of a JSON file of pytest-benchmark."""
    (benchmark,) = json.loads((pytester.path / file).read_text())["benchmarks"]
    return benchmark


def test_bounds_that_hold(run):
    """Bulk and latency in one test; both tables have it, and the body the figures."""
    result = run("min_texts_per_s=10, max_p99_ms=500", body="assert speed_result['texts_per_s'] < 501")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "speed, 128 tokens *texts_per_s * ≥ * 10.0* pass",
            "speed, 128 tokens *p99_ms * ≤ * 500.0 * pass",
            "*length *batch *texts_per_s *memory_mb *p50_ms *p95_ms *p99_ms",
            "note: speed, 128 tokens: this engine does not count tokens: length is in words",
        ]
    )
    result.stdout.fnmatch_lines(["*benchmark: 1 tests*", "test_speed *"])  # before or after our table


@pytest.mark.parametrize(
    ("bound", "text"),
    [
        ("min_texts_per_s=5000", "speed, 128 tokens: texts_per_s * is below 5000.0, off by *"),
        ("max_p50_ms=0.5", "speed, 128 tokens: p50_ms * is above 0.50, off by *"),
        ("max_memory_mb=1", "speed, 128 tokens: memory_mb * is above 1.00, off by *"),
        ("max_gpu_memory_mb=1", "speed: max_gpu_memory_mb=1 can't be judged: the encoder does not run on a GPU*"),
        ("min_tokens_per_s=1", "speed: min_tokens_per_s=1 can't be judged: the engine does not count tokens*"),
    ],
)
def test_bounds_that_do_not_hold(run, bound, text):
    """What was measured and required, or why it can't be measured; never a pass."""
    result = run(bound)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([text])


def test_single_queries_are_what_pytest_benchmark_sees(run, pytester):
    """A mark with latency bounds alone is a benchmark of single queries: 2 ms each, not 8."""
    run("max_p99_ms=500", "--benchmark-json=out.json").assert_outcomes(passed=1)
    latency = saved(pytester, "out.json")
    run("min_texts_per_s=1", "--benchmark-json=out.json").assert_outcomes(passed=1)
    bulk = saved(pytester, "out.json")
    assert 2 * latency["stats"]["median"] < bulk["stats"]["median"]
    assert latency["extra_info"]["embedqa"]["calls"] == latency["stats"]["rounds"] >= 100


def test_identity_and_figures_are_saved(run, pytester):
    """So that a saved run says what it was measured on."""
    run("min_texts_per_s=1", "--benchmark-json=out.json").assert_outcomes(passed=1)
    facts = saved(pytester, "out.json")["extra_info"]["embedqa"]
    assert facts["encoder"]["model"] == "vectors:steady"
    assert len(facts["encoder"]["digest"]) == 64
    assert facts["figures"]["texts_per_s"] > 1
    assert facts["threads"] >= 1


def test_ratio_against_another_encoder(run):
    """In turns in one run: the same encoder keeps its ratio, a slower one does not, and the text has the interval."""
    ratio = 'min_ratio=0.9, against="python:vectors:steady"'
    run(ratio).assert_outcomes(passed=1)
    result = run(ratio, name="slower")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["speed, 128 tokens: ratio 0.* to python:vectors:steady; 99 % interval 0.* to 0.* over * pairs, 0.9 required."]
    )


def test_ratio_that_can_not_be_told_is_unsure(run):
    """At the bound no number of pairs decides: not a failure, except under strict."""
    ratio = 'min_ratio=1.0, against="python:vectors:steady", max_seconds=0.1'
    result = run(ratio)
    outcomes = result.parseoutcomes()
    assert outcomes in ({"passed": 1}, {"failed": 1})
    if "*unsure*" in result.stdout.str():
        run(ratio, "--embedqa-strict").assert_outcomes(failed=1)


def test_one_test_for_each_length(run):
    """A sweep; what the model does not take is skipped with the reason."""
    result = run('length=[4, 8, "max"]', "-v", "-rs")
    result.assert_outcomes(passed=2, skipped=1)
    result.stdout.fnmatch_lines(["*test_speed?4? PASSED*", "*the engine does not say how long a text*"])
    result = run("length=[4, 64]", "-rs", name="steady?max_length=16")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["*64 tokens are more than the 16 that the model takes*"])


@pytest.mark.slow
def test_nothing_is_written_to_or_read_from_the_store(run, pytester):
    """Every text goes through the encoder; none is kept."""
    pytester.makeconftest(
        "import pytest_embedqa.encoders.store as store\n"
        "def never(*_): raise AssertionError('the store was used')\n"
        "store.Store.get = store.Store.put = never\n"
    )
    # In a process of its own, because the class stays changed.
    run("min_texts_per_s=1", apart=True).assert_outcomes(passed=1)


@pytest.mark.slow
def test_under_xdist_it_says_what_it_needs(run):
    """Skipped with a note that nobody overlooks; under strict a failure."""
    result = run("min_texts_per_s=1", "-n1", "--benchmark-compare", "--benchmark-compare-fail=min:50%")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["note: test_speed: speed tests need -n0: *"])
    run("min_texts_per_s=1", "-n1", "--embedqa-strict").assert_outcomes(failed=1)


def test_disabled_benchmarks_are_not_passed(run):
    """What was not measured is skipped, and the note says so."""
    result = run("min_texts_per_s=1", "--benchmark-disable")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["note: test_speed: speed was not measured: --benchmark-disable"])


def test_selected_as_users_of_pytest_benchmark_do(run):
    """By ``-m speed``, ``--benchmark-only`` and ``--benchmark-skip``."""
    run("min_texts_per_s=1", "-m", "speed", "--benchmark-only").assert_outcomes(passed=1)
    run("min_texts_per_s=1", "--benchmark-skip").assert_outcomes(skipped=1)
    run("min_texts_per_s=1", "-m", "quality").assert_outcomes(deselected=1)


def test_baseline_is_measured_in_turns(run):
    """With ``--embedqa-baseline`` every speed test is held to the baseline's encoder, in the same run."""
    result = run("length=8", "--embedqa-baseline=python:vectors:steady", name="slower")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*ratio 0.5* to python:vectors:steady; *0.8 required*"])
    run("length=8", "--embedqa-baseline=python:vectors:slower", name="steady").assert_outcomes(passed=1)


def test_room_for_speed_is_set_in_the_ini_file(pytester, run):
    """Half as fast may be enough."""
    pytester.makeini("[pytest]\nembedqa_min_speed_ratio = 0.3")
    run("length=8", "--embedqa-baseline=python:vectors:steady", name="slower").assert_outcomes(passed=1)


def facts_of(spec):
    """What a baseline says of an encoder, as far as these tests look."""
    from pytest_embedqa.core.identity import Identity

    return {"spec": spec, "digest": "1", "prompts_from": "none", **Identity("m", "python").as_dict()}


def test_baseline_that_is_gone_is_a_note_and_fails_under_strict(pytester, run):
    """Figures of another run are never compared: without the old encoder there is nothing to measure in turns."""
    from dataclasses import replace

    import numpy as np

    from pytest_embedqa.upgrade.baseline import Baseline, write_baseline

    baseline = Baseline(facts_of("python:gone:encode"), np.eye(2, dtype=np.float32), ())
    write_baseline(pytester.path / "b.json", baseline)
    option = "--embedqa-baseline=b.json"
    gone = [option, "--embedqa-allow-spec=python:gone:encode"]
    result = run("length=8, min_texts_per_s=1", *gone)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["note: *speed was not compared: the baseline's encoder can't be loaded: *gone*"])
    run("length=8, min_texts_per_s=1", *gone, "--embedqa-strict").assert_outcomes(failed=1)
    write_baseline(pytester.path / "b.json", replace(baseline, encoder=facts_of("python:vectors:slower?version=1")))
    allowed = "--embedqa-allow-spec=python:vectors:slower?version=1"
    result = run("length=8, min_texts_per_s=1", option, allowed)
    result.stdout.fnmatch_lines(["note: *'python:vectors:slower?version=1' is no longer the encoder of the baseline"])


def test_encoder_that_a_file_has_as_a_digest_is_allowed_by_its_whole_spec(pytester, run):
    """What is copied from the file names no command: the error says what to write, and that is enough."""
    import sys

    import numpy as np

    from pytest_embedqa.encoders.spec import parse_spec
    from pytest_embedqa.upgrade.baseline import Baseline, write_baseline

    whole = f"openai:toy?start={sys.executable} -c 'raise SystemExit(7)' {{port}}&version=1"
    public = str(parse_spec(whole))
    write_baseline(pytester.path / "b.json", Baseline(facts_of(public), np.eye(2, dtype=np.float32), ()))
    for options in ([], [f"--embedqa-allow-spec={public}"]):
        result = run("length=8, min_texts_per_s=1", "--embedqa-baseline=b.json", *options)
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(
            [
                (
                    f"speed: the baseline *b.json names the encoder '{public}', which is not loaded: start= runs a command, *"
                    "--embedqa-allow-spec=SPEC, where SPEC is the whole --embedqa-model that saved the baseline: the file has a digest *"
                )
            ]
        )
    result = run("length=8, min_texts_per_s=1", "--embedqa-baseline=b.json", f"--embedqa-allow-spec={whole}")
    result.stdout.fnmatch_lines(["note: *the baseline's encoder can't be loaded: *7*"])


def test_encoder_of_a_file_that_imports_a_module_is_refused(pytester, run):
    """The test fails with the option that allows it; what the run loads anyway needs none."""
    import numpy as np

    from pytest_embedqa.upgrade.baseline import Baseline, write_baseline

    facts = facts_of("python:vectors:slower?version=1")
    write_baseline(pytester.path / "b.json", Baseline(facts, np.eye(2, dtype=np.float32), ()))
    result = run("length=8, min_texts_per_s=1", "--embedqa-baseline=b.json")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            (
                "speed: the baseline *b.json names the encoder 'python:vectors:slower?version=1', which is not loaded: the engine "
                "'python' imports a module, and a file may start, import and reach nothing. If you trust it, allow it on the "
                "command line:  --embedqa-allow-spec='python:vectors:slower?version=1'"
            )
        ]
    )
    run("length=8, min_texts_per_s=1", "--embedqa-baseline=b.json", name="slower?version=1").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("min_text_per_s=1", "*has no argument min_text_per_s. Did you mean min_texts_per_s?*"),
        ("max_p99_ms=0", "*max_p99_ms=0 must be a number above 0*"),
        ("max_p99_ms=float('nan')", "*max_p99_ms=nan must be a number above 0*"),
        ("min_texts_per_s=True", "*min_texts_per_s=True must be a number*"),
        ("min_ratio=0.9", "*min_ratio= and against= need each other*"),
        ('against="builtin"', "*min_ratio= and against= need each other*"),
        ('min_ratio=0.9, against="nothing:x"', "*Unknown engine 'nothing'*"),
        ("length=0", '*length=0 must be a number of tokens, "max", or a list of those*'),
        ("length=[]", "*length=[[]] must be*"),
        ("batch_size=0", "*@throughput: batch_size=0 must be a whole number from 1 up*"),
        ("min_ratio=0.9, against=3", '*@throughput: against=3 must be a spec, e.g. against="st:ORG/OLD"*'),
    ],
)
def test_wrong_arguments_stop_the_run(pytester, arguments, text):
    """At collection, naming what was wrong."""
    pytester.makepyfile(
        vectors=ENCODERS,
        test_suite=f"import pytest\n@pytest.mark.throughput({arguments})\ndef test_speed(): ...\n",
    )
    result = pytester.runpytest("--embedqa-model=python:vectors:steady", "--embedqa-store=off")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([text])


def test_without_pytest_benchmark(run):
    """The error is the command that installs it."""
    result = run("min_texts_per_s=1", "-p", "no:benchmark")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*@throughput needs the package 'pytest-benchmark'*", '*pip install "pytest-embedqa?speed?"*']
    )
    assert importlib.util.find_spec("pytest_benchmark")

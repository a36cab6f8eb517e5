"""``@parametrize_with_invariants`` from a user's side."""

from __future__ import annotations

import json

import pytest

ENCODERS = """
import zlib
import numpy as np

def encode(texts, scale=1.0):
    vectors = np.zeros((len(texts), 64), np.float32)
    for row, text in enumerate(texts):
        for word in text.split() or ["(blank)"]:
            vectors[row] += np.random.default_rng(zlib.crc32(word.encode())).standard_normal(64)
    return scale * vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

def right(texts): return encode(texts)
def loud(texts): return encode(texts, 3.0)
def folding(texts): return encode([text.lower() for text in texts])
def choking(texts): return np.where([["7" in text] for text in texts], np.nan, encode(texts)).astype(np.float32)
"""
SOME = '"finite", "unit_norm", "case_distinct", "tail_counts"'


@pytest.fixture
def run(pytester, monkeypatch):
    """Runs one test of a few invariants on one of the encoders."""
    monkeypatch.delenv("CI", raising=False)
    pytester.makepyfile(vectors=ENCODERS)

    def run_on(name, *options, arguments="", body="..."):
        pytester.makepyfile(
            test_suite=f"""
            from pytest_embedqa import parametrize_with_invariants

            @parametrize_with_invariants(only=[{SOME}], {arguments})
            def test_it(encoder, invariant):
                {body}
            """
        )
        return pytester.runpytest(f"--embedqa-model=python:vectors:{name}", "--embedqa-store=off", *options)

    return run_on


def test_each_invariant_is_a_test(run):
    """With its name in the id, a line in the table, and a reason where it does not apply."""
    result = run("right", "-v", "-rs")
    result.assert_outcomes(passed=3, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "*test_it?unit_norm? PASSED*",
            "*unit_norm * norm_error * 0.0000 ≤ *0.0001 *pass*",
            "*tail_counts: the engine does not say how long a text its model takes",
        ]
    )


def test_invariant_is_checked_without_being_called(run, pytester):
    """A body of three dots is enough; calling it again does no harm, and the body runs after it held."""
    run("loud").assert_outcomes(passed=2, failed=1, skipped=1)
    result = run("right", "-s", body="invariant(encoder); print('ran', invariant.name, invariant.promise)")
    result.assert_outcomes(passed=3, skipped=1)
    result.stdout.fnmatch_lines(["*ran unit_norm Every vector has length 1*"])
    assert "ran" not in run("loud", "-s", "-k", "unit_norm", body="print('ran')").stdout.str().partition("=== FAIL")[0]


def test_failure_shows_promise_example_and_source(run):
    """What does not hold, the text that shows it, and where it was seen before."""
    result = run("choking", "-k", "finite")
    result.assert_outcomes(failed=1, deselected=3)
    result.stdout.fnmatch_lines(
        [
            "finite: not_finite * is above 0.0000*",
            "*promised *No text gives NaN or infinity*",
            "*seen *7*",
            "*known from ollama#12921*",
            "*try *expected_failures=*",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_expected_failure_is_an_xfail_with_its_reason(run):
    """As scikit-learn has it; the table says so too."""
    result = run("folding", "-rx", arguments='expected_failures={"case_distinct": "it is uncased"}')
    result.assert_outcomes(passed=2, skipped=1, xfailed=1)
    result.stdout.fnmatch_lines(["*case_distinct *collisions *1.0000*xfail*", "XFAIL*case_distinct* - it is uncased"])


def test_expected_failure_that_holds_is_noticed(run):
    """With xfail_strict, as pytest's users know it; without, an XPASS."""
    arguments = 'expected_failures={"case_distinct": {"vectors:right": "it is uncased"}}'
    run("right", arguments=arguments).assert_outcomes(passed=2, skipped=1, xpassed=1)
    strict = run("right", "-o", "xfail_strict=true", arguments=arguments)
    strict.assert_outcomes(passed=2, skipped=1, failed=1)
    strict.stdout.fnmatch_lines(["*XPASS(strict)*it is uncased*"])
    run("folding", arguments=arguments).assert_outcomes(passed=2, skipped=1, failed=1)


def test_bound_of_ones_own(run):
    """A looser bound, where the encoder is known to need it."""
    run("folding", arguments='bounds={"case_distinct": 0.99}').assert_outcomes(passed=2, skipped=1, failed=1)
    run("loud", arguments='bounds={"unit_norm": 0.999}').assert_outcomes(passed=2, skipped=1, failed=1)


def test_wrong_name_is_an_error_at_collection(run):
    """One line that names it, no traceback."""
    result = run("right", arguments='bounds={"unit_nrm": 0.1}')
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*There is no invariant 'unit_nrm'. Did you mean 'unit_norm'?*"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_marker_selects(run):
    """``-m invariants`` runs them, ``-m quality`` does not."""
    run("right", "-m", "invariants").assert_outcomes(passed=3, skipped=1)
    run("right", "-m", "quality or parity").assert_outcomes(deselected=4)


def test_several_models_are_compared(run):
    """One test each, and a table beside each other."""
    result = run("right", "--embedqa-model=python:vectors:folding", "-k", "case")
    result.assert_outcomes(passed=1, failed=1, deselected=6)
    result.stdout.fnmatch_lines(["*case_distinct *collisions * 0.0000 *1.0000 *+1.0000*"])


def test_verdicts_travel_in_properties(run, pytester):
    """JUnit has them."""
    run("right", "--junitxml=out.xml", "-k", "unit_norm")
    text = (pytester.path / "out.xml").read_text()
    assert 'name="embedqa.verdict"' in text
    assert json.dumps("unit_norm").replace('"', "&quot;") in text


def test_fixture_without_decorator(pytester):
    """Says what is missing."""
    pytester.makepyfile(vectors=ENCODERS, test_suite="def test_it(encoder, invariant): ...")
    result = pytester.runpytest("--embedqa-model=python:vectors:right", "--embedqa-store=off")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*invariant needs @parametrize_with_invariants*"])

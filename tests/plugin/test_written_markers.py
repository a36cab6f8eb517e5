"""Markers as people first write them: without brackets, without arguments, with a wrong one."""

from __future__ import annotations

import pytest

EXAMPLES = {
    "mteb_task": '@mteb_task("ArguAna", min_ndcg_at_10=0.48)',
    "mteb_benchmark": '@mteb_benchmark("MTEB(eng, v2)", min_mean=0.6)',
    "parity": '@parity(reference="st:ORG/MODEL", min_cosine=0.999)',
    "matryoshka": "@matryoshka(dims=[[]256, 128], max_loss=0.01)",
    "quantized": '@quantized("int8", max_loss=0.01)',
    "throughput": "@throughput(min_texts_per_s=100)",
    "rag_probe": '@rag_probe(ask="How long[?]", corpus="documents", expect={"contains": "30 days"})',
}


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("way", ["", "()", "(nothing=1)"])
def test_a_marker_without_its_arguments_says_what_to_write(pytester, run, name, way):
    """One error with file, line and an example, and no TypeError of Python."""
    if way and name == "throughput":
        way = "(5)"  # all its arguments have defaults
    elif way == "(nothing=1)" and name == "mteb_task":
        way = "(min_ndcg_at_10=0.4)"  # it takes any name as a metric
    pytester.makepyfile(
        test_a=f"""
        from pytest_embedqa import {name}
        @{name}{way}
        def test_it(): ...
    """
    )
    result = run("test_a.py")
    result.assert_outcomes(errors=1)
    problem = "has no arguments" if not way else "*"
    result.stdout.fnmatch_lines([f"*test_a.py:2: @{name}: {problem}. Write, for instance,  {EXAMPLES[name]}"])
    result.stdout.no_fnmatch_line("*TypeError*")


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name != "throughput"])
def test_a_bare_marker_of_pytest_says_what_to_write(pytester, run, name):
    """Also where our decorators are not used: one error with file, line and the whole line to write."""
    beside = ["@pytest.mark.mteb_task('STS12')"] if name in {"matryoshka", "quantized"} else []
    lines = ["import pytest", *beside, f"@pytest.mark.{name}", "def test_it(): ..."]
    pytester.makepyfile(test_a="\n".join(lines))
    result = run("test_a.py")
    example = EXAMPLES[name].removeprefix("@")
    said = f"has no arguments. Write, for instance,  @pytest.mark.{example}"
    if name == "mteb_benchmark":  # its tests are made at collection
        said = 'takes one name, e.g. @mteb_benchmark("MTEB(eng, v2)"), but got ().'
    (result.stdout if name == "mteb_benchmark" else result.stderr).fnmatch_lines(
        [f"*test_a.py:2: test_it: @*{name} {said}"]
    )


def test_the_bare_marker_of_invariants(pytester, run):
    """The marker alone makes no tests: the error names the decorator that does."""
    pytester.makepyfile("import pytest\n@pytest.mark.parametrize_with_invariants\ndef test_it(): ...")
    said = (
        "*Put it on a plain test function or class, as the decorator @parametrize_with_invariants() of pytest_embedqa."
    )
    run().stderr.fnmatch_lines([said])


def test_invariants_without_brackets(pytester, run):
    """All of them are checked, as with empty brackets; what stands in the brackets without a name is refused."""
    pytester.makepyfile(
        test_a="""
        from pytest_embedqa import parametrize_with_invariants
        @parametrize_with_invariants
        def test_bare(encoder, invariant): ...
        @parametrize_with_invariants()
        def test_empty(encoder, invariant): ...
    """
    )
    lines = run("--collect-only", "-q", "test_a.py").outlines
    bare, empty = ([line.split("[")[1] for line in lines if name in line] for name in ("test_bare[", "test_empty["))
    assert len(bare) > 20
    assert bare == empty
    pytester.makepyfile(
        test_a="""
        from pytest_embedqa import parametrize_with_invariants
        @parametrize_with_invariants(["finite"])
        def test_it(encoder, invariant): ...
    """
    )
    result = run("test_a.py")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["@parametrize_with_invariants takes keyword arguments only, e.g. *, but got [[]'finite'[]]."]
    )

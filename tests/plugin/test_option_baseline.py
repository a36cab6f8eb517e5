"""``--embedqa-baseline``: ``max_regression`` compares with another encoder, paired by query."""

from __future__ import annotations

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

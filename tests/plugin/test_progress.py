"""Progress of a run: which test of how many, in one process and in the workers of pytest-xdist."""

from __future__ import annotations

import pytest

# Tiny data is worth a line here.
CONFTEST = """
    from pytest_embedqa.reports import progress
    progress._WORTH_A_BAR, progress._SECONDS_BETWEEN_LINES = 1, 0.0
"""
SUITE = """
    from pytest_embedqa import mteb_task
    def test_unrelated(): ...
    @mteb_task("ArguAna", min_ndcg_at_10=0.1)
    def test_search(): ...
    @mteb_task("STSBenchmark", max_minutes=5)
    def test_pairs(): ...
"""


@pytest.fixture
def suite(pytester):
    """Two tests of embedding quality beside another."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_suite=SUITE)


def said(pytester, hub, *arguments):
    """What a run in a process of its own says of its progress: a terminal's capture must let it through."""
    options = ("--embedqa-model=python:bag:encode", f"--embedqa-datasets={hub}", "--embedqa-store=off")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", *options, *arguments)
    result.assert_outcomes(passed=3)
    return [line for line in result.errlines if " texts (" in line]


@pytest.mark.slow
def test_a_line_says_which_test_it_is_about(pytester, hub, suite):
    """Tests that have nothing to do with embeddings are not counted; what a test may take is said."""
    lines = said(pytester, hub)
    assert lines[0].startswith("embedqa: test 1 of 2, test_search: ")
    assert lines[-1].startswith("embedqa: test 2 of 2, test_pairs: ")
    assert "at most 5 min for this test" in lines[-1]
    assert "at most" not in lines[0]


@pytest.mark.slow
def test_workers_say_it_too(pytester, hub, suite):
    """Under pytest-xdist the lines come from the worker that has the encoder, with its name."""
    lines = said(pytester, hub, "-n", "2")
    assert lines[0].startswith("embedqa: gw")
    assert "test 1 of 2, test_search: " in lines[0]


@pytest.mark.slow
def test_quiet_says_nothing(pytester, hub, suite):
    """Nor is there a header under -q; the table stands."""
    assert said(pytester, hub, "-q") == []

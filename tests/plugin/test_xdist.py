"""Under pytest-xdist: one model a device, with no flag, and the same verdicts."""

from __future__ import annotations

import os

import pytest

TEST = """
    import os, pytest
    from pytest_embedqa import mteb_task
    WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
    @mteb_task("ArguAna", min_ndcg_at_10=0.5)
    def test_retrieval(): print(f"<{WORKER}>")
    @mteb_task("STSBenchmark", min_spearman=0.2)
    def test_sts(): print(f"<{WORKER}>")
    def test_encoder(encoder): print(f"<{WORKER}>")
    @pytest.mark.parametrize("number", range(8))
    def test_other(number): ...
"""


def test_encoder_tests_share_one_worker(pytester, run):
    """Tests that need the encoder run on one worker, so that one model is loaded."""
    pytest.importorskip("xdist")
    pytester.makepyfile(TEST)
    os.environ.pop("PYTEST_XDIST_WORKER", None)
    result = run("-n2", "-rP")
    result.assert_outcomes(passed=11)
    workers = {line for line in result.outlines if line.startswith("<gw")}
    assert len(workers) == 1


def test_verdicts_reach_the_table(pytester, run):
    """The controller prints the table of what its workers measured."""
    pytest.importorskip("xdist")
    pytester.makepyfile(TEST)
    result = run("-n2")
    result.stdout.fnmatch_lines(["*embedding quality*", "ArguAna * pass"])


def test_wrong_marker_stops_the_run(pytester, run):
    """A usage error in the workers is a failed run that names the marker, not an empty success."""
    pytest.importorskip("xdist")
    pytester.makepyfile(TEST.replace('"ArguAna"', '"ArguAnna"'))
    result = run("-n2")
    assert result.ret != 0
    assert "ArguAnna" in result.stdout.str() + result.stderr.str()


def test_without_xdist(pytester, run):
    """The plugin does not need xdist."""
    pytester.makepyfile(TEST)
    run("-p", "no:xdist").assert_outcomes(passed=11)

"""Beside other plugins, without some of pytest's own, and in a run that has nothing to do with embeddings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

OURS = """
    from pytest_embedqa import mteb_task
    @mteb_task("ArguAna", min_ndcg_at_10=0.01)
    def test_task(): ...
    def test_encoder(encoder): assert encoder.dim == 64
"""
THEIRS = "import pytest\n@pytest.mark.parametrize('n', range(6))\ndef test_it(n, tmp_path): ..."


@pytest.mark.parametrize(
    "off",
    ["terminal", "cacheprovider", "junitxml", "logging", "warnings", "stepwise", "setuponly", "setupplan", "capture"],
)
def test_without_a_plugin_of_pytest(pytester, run, off):
    """Tests are judged, and the report is written, whichever of pytest's own plugins is off."""
    pytester.makepyfile(OURS)
    result = run("-p", f"no:{off}", "--embedqa-json=run.json")
    assert result.ret == 0
    assert '"passed"' in (pytester.path / "run.json").read_text(encoding="utf-8")


def test_with_plain_assertions(pytester, run):
    """The rewriting of assertions is not needed."""
    pytester.makepyfile(OURS)
    run("--assert=plain").assert_outcomes(passed=2)


@pytest.fixture
def unrelated(pytester, monkeypatch):
    """Run tests that have nothing to do with the plugin, with nothing of it said anywhere; gives the result."""
    for variable in ("CI", "EMBEDQA_DATASETS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(variable, raising=False)
    folder = pytester.mkdir("temporary")
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setenv("HOME", str(pytester.mkdir("home")))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    pytester.makepyfile(THEIRS)

    def run(*arguments):
        result = pytester.runpytest_subprocess("--strict-config", "--strict-markers", "-W", "error", *arguments)
        result.assert_outcomes(passed=6)
        text = result.stdout.str() + result.stderr.str()
        assert "embedqa" not in text.replace("embedqa-0", "")  # the list of plugins
        assert "warning" not in text.lower()
        left = [Path(folder, name) for folder, _, files in os.walk(pytester.path / "home") for name in files]
        assert (left, list(folder.iterdir())) == ([], [])
        return result

    return run


def test_an_unrelated_run(unrelated):
    """It has no header, no warning and no file of ours."""
    unrelated("-p", "no:cacheprovider")


@pytest.mark.slow
def test_an_unrelated_run_under_xdist(unrelated):
    """Nor has it under xdist, which schedules the tests itself."""
    pytest.importorskip("xdist")
    unrelated("-n2", "-v", "-p", "no:cacheprovider").stdout.fnmatch_lines(["scheduling tests via LoadScheduling"])


@pytest.mark.slow
def test_a_run_of_ours_under_xdist(pytester, run):
    """Where a test needs the encoder, the schedule is ours, and the header says what is under test."""
    pytest.importorskip("xdist")
    pytester.makepyfile(OURS)
    result = run("-n2", "-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["embedqa: python:bag:encode; *", "scheduling tests via EncoderScheduling"])

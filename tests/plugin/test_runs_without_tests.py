"""Runs that run no test: they load no model, start no server, and write or overwrite nothing."""

from __future__ import annotations

import pytest

SUITE = """
    import pytest
    from pytest_embedqa import mteb_task
    @mteb_task("ArguAna", min_ndcg_at_10=0.5)
    def test_task(): ...
    @pytest.fixture
    def vectors(encoder): return encoder.encode(["a"])
    @pytest.fixture
    def server(embedding_server): return embedding_server(["touch", "server-was-started", "{port}"])
    def test_fixtures(vectors, server): ...
"""
# Importing the model writes a file, so that any way of loading it is seen.
MODEL = "import pathlib\nfrom bag import encode as words\npathlib.Path('model-was-loaded').touch()\ndef encode(texts): return words(texts)"
FILES = ("b.json", "run.json", "run.html", "summary.md")
OPTIONS = (
    "--embedqa-save-baseline=b.json",
    "--embedqa-json=run.json",
    "--embedqa-html=run.html",
    "--embedqa-model=python:guest_model:encode?version=1",
)


@pytest.fixture
def listing(pytester, hub, monkeypatch):
    """Run pytest beside files of an earlier run; give the result, and what the run left behind or changed."""
    for variable in ("CI", "EMBEDQA_DATASETS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(pytester.path / "cache"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
    pytester.makepyfile(guest_model=MODEL, test_suite=SUITE)

    def run(*arguments, how=pytester.runpytest_inprocess):
        # The baseline is a file to come: one that exists must be a baseline to be accepted at all.
        for name in FILES[1:]:
            (pytester.path / name).write_text("as it was")
        result = how("-p", "no:cacheprovider", f"--embedqa-datasets={hub}", *OPTIONS, *arguments)
        changed = [name for name in FILES[1:] if (pytester.path / name).read_text() != "as it was"]
        made = ("b.json", "model-was-loaded", "server-was-started", "cache")
        return result, changed + [name for name in made if (pytester.path / name).exists()]

    return run


@pytest.mark.parametrize(
    "arguments",
    [
        ["--collect-only"],
        ["--collect-only", "-q"],
        ["--setup-plan"],
        ["--setup-only"],
        ["--setup-only", "--embedqa-budget=1h"],
        ["--setup-plan", "--embedqa-budget=1h"],
        ["--fixtures"],
        ["--fixtures-per-test"],
        ["--markers"],
        ["--help"],
        ["--version"],
        pytest.param(["--collect-only", "-n2"], marks=pytest.mark.slow),
        pytest.param(["--setup-only", "-n2"], marks=pytest.mark.slow),
    ],
    ids=" ".join,
)
def test_what_only_lists(listing, arguments):
    """It succeeds, and leaves everything as it was."""
    if "-n2" in arguments:
        pytest.importorskip("xdist")
    result, left = listing(*arguments)
    assert (result.ret, left) == (0, [])
    result.stdout.no_fnmatch_line("*embedding quality ===*")
    result.stdout.no_fnmatch_line("embedqa: *saved*")


def test_cache_show(listing):
    """It needs the cache of pytest, and nothing of ours."""
    result, left = listing("--cache-show", "-p", "cacheprovider")
    assert (result.ret, left) == (0, [])


def test_what_sets_up_and_runs(listing):
    """``--setup-show`` runs the tests: the model is loaded and all is written, so that this would be seen above."""
    _, left = listing("--setup-show")
    assert set(left) >= {"run.json", "run.html", "summary.md", "b.json", "model-was-loaded", "server-was-started"}


def test_a_file_that_cannot_be_collected(listing, pytester):
    """No test begins, so that no model is loaded; the reports say what was wrong with the file, as they must."""
    pytester.makepyfile(test_broken="import nothing_of_that_name")
    result, left = listing()
    assert (result.ret, left) == (pytest.ExitCode.INTERRUPTED, ["run.json", "run.html"])
    result.stdout.fnmatch_lines(
        ["*no baseline was saved: no test of a task or of a probe file ran; *b.json is as it was"]
    )


def test_a_file_that_cannot_be_collected_beside_a_list(listing, pytester):
    """A list of fixtures is no run, whatever else is wrong."""
    pytester.makepyfile(test_broken="import nothing_of_that_name")
    assert listing("--fixtures")[1] == []


@pytest.mark.slow
def test_a_run_interrupted_while_it_collects(listing, pytester):
    """Nobody knows yet what there is to report."""
    pytester.makepyfile(test_a_stop="raise KeyboardInterrupt")
    result, left = listing(how=pytester.runpytest_subprocess)
    assert (result.ret, left) == (pytest.ExitCode.INTERRUPTED, [])


def test_nothing_to_run(listing):
    """Where no test is chosen, the reports of the last run stay."""
    result, left = listing("-k", "nothing_of_that_name")
    assert left == []
    assert result.ret != 0

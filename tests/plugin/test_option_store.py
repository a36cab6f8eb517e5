"""``--embedqa-store``: nothing is encoded twice, and a damaged store is never trusted."""

from __future__ import annotations

import pytest

TEST = """
    from pytest_embedqa import mteb_task
    @mteb_task("ArguAna", min_ndcg_at_10=0.5)
    def test_it(task_result): print("encoded", task_result.details.encoded)
"""
VERSIONED = "python:bag:encode?version=1"


def test_second_run_encodes_nothing(pytester, run):
    """A warm run takes every vector from the store."""
    pytester.makepyfile(TEST)
    store = ("--embedqa-store", "vectors.sqlite")
    run("-s", *store, model=VERSIONED).stdout.fnmatch_lines(["*encoded 32*"])
    run("-s", *store, model=VERSIONED).stdout.fnmatch_lines(["*encoded 0*"])


@pytest.mark.parametrize("model", ["python:bag:encode?version=2", "python:bag:encode", "python:bag:other?version=1"])
def test_other_identity_shares_nothing(pytester, run, model):
    """Another version tag, another callable, or one nobody vouches for is encoded anew."""
    pytester.makepyfile(TEST)
    store = ("--embedqa-store", "vectors.sqlite")
    run("-s", *store, model=VERSIONED)
    run("-s", *store, model=model).stdout.fnmatch_lines(["*encoded 32*"])


@pytest.mark.parametrize("damage", [b"", b"SQLite format 3\0 and then nothing of the kind" * 100])
def test_damaged_store_is_set_aside(pytester, run, damage):
    """A store cut short or filled with garbage is moved away with a warning, and the run goes on."""
    pytester.makepyfile(TEST)
    store = pytester.path / "vectors.sqlite"
    run("--embedqa-store", str(store), model=VERSIONED)
    store.write_bytes(damage or store.read_bytes()[:5000])
    result = run("-s", "--embedqa-store", str(store), model=VERSIONED)
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*encoded 32*"])
    result.stdout.fnmatch_lines(["*vectors.sqlite is damaged (*); it was moved to *vectors.sqlite.damaged-0*"])
    assert (pytester.path / "vectors.sqlite.damaged-0").exists()


def test_off_keeps_nothing(pytester, run):
    """``off`` leaves no file behind."""
    pytester.makepyfile(TEST)
    run("--embedqa-store", "off", model=VERSIONED).assert_outcomes(passed=1)
    assert not list(pytester.path.rglob("*.sqlite"))


def test_default_is_the_users_cache(pytester, run):
    """Without the option the store lies in the user's cache folder."""
    pytester.makepyfile(TEST)
    run(model=VERSIONED).assert_outcomes(passed=1)
    assert (pytester.path / "cache" / "pytest-embedqa" / "vectors.sqlite").exists()


def test_place_that_cant_be_used(pytester, run):
    """A path that can't be a file is an error that names the option."""
    (pytester.path / "file").write_text("")
    pytester.makepyfile(TEST)
    result = run("--embedqa-store", str(pytester.path / "file" / "vectors.sqlite"))
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*can't be created*Choose another place with --embedqa-store*"])

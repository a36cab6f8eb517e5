"""``--embedqa-store``: nothing is encoded twice, and a damaged store is never trusted."""

from __future__ import annotations

import contextlib
import json
import sqlite3

import pytest

from pytest_embedqa.encoders import store

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
    """A store cut short or filled with garbage is moved away with a note, and the run goes on."""
    pytester.makepyfile(TEST)
    store = pytester.path / "vectors.sqlite"
    run("--embedqa-store", str(store), model=VERSIONED)
    store.write_bytes(damage or store.read_bytes()[:5000])
    result = run("-s", "--embedqa-store", str(store), model=VERSIONED)
    result.assert_outcomes(passed=1, warnings=0)
    result.stdout.fnmatch_lines(["*encoded 32*"])
    result.stdout.fnmatch_lines(["note: *vectors.sqlite is damaged (*); it was moved to *vectors.sqlite.damaged-0*"])
    assert (pytester.path / "vectors.sqlite.damaged-0").exists()


@pytest.mark.parametrize("content", ["a list of mine\n", "SQLite forma"])
@pytest.mark.parametrize("where", ["option", "ini"])
def test_a_file_of_another_kind_is_refused(pytester, run, content, where):
    """Nothing of the user's is moved aside for a store: the file is as it was, and the error names it."""
    pytester.makepyfile(TEST)
    mine = pytester.path / "notes.txt"
    mine.write_text(content)
    if where == "ini":
        pytester.makeini("[pytest]\nembedqa_store = notes.txt")
    option = "embedqa_store" if where == "ini" else "--embedqa-store"
    result = run(*(["--embedqa-store=notes.txt"] if where == "option" else []), model=VERSIONED)
    if "SQLite" in content:  # a store that was cut short
        result.stdout.fnmatch_lines(["note: *notes.txt is damaged (*); it was moved to *notes.txt.damaged-0*"])
        return
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    text = result.stdout.str() + result.stderr.str()
    assert f"{option}: notes.txt is no vector store: it does not begin as an SQLite database does" in text
    assert mine.read_text() == content
    assert not list(pytester.path.glob("*damaged*"))


@pytest.mark.parametrize("content", [b"", bytes(5000)])
def test_an_empty_file_becomes_a_store(pytester, run, content):
    """As ``mktemp`` makes it, or a crash of the machine leaves it."""
    pytester.makepyfile(TEST)
    (pytester.path / "empty.sqlite").write_bytes(content)
    run("--embedqa-store=empty.sqlite", model=VERSIONED).assert_outcomes(passed=1, warnings=0)
    assert (pytester.path / "empty.sqlite").read_bytes().startswith(b"SQLite format 3")


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


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        (
            "file/vectors.sqlite",
            "--embedqa-store: file/vectors.sqlite can't be written: */file does not allow it. Choose *",
        ),
        (
            "folder",
            "--embedqa-store: folder is a folder. Name a file; for instance --embedqa-store=folder/vectors.sqlite.",
        ),
    ],
)
def test_place_that_cant_be_used(pytester, run, monkeypatch, place, problem):
    """A path that was named and can't be a file is an error before anything runs."""
    monkeypatch.chdir(pytester.path)
    (pytester.path / "file").write_text("")
    (pytester.path / "folder").mkdir()
    pytester.makepyfile(TEST)
    result = run(f"--embedqa-store={place}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{problem}"])
    pytester.makeini(f"[pytest]\nembedqa_store = {place}")
    result = run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{problem.replace('--embedqa-store', 'embedqa_store')}"])


@pytest.fixture
def json_of(pytester):
    """What a run has written."""
    return lambda: json.loads((pytester.path / "run.json").read_text(encoding="utf-8"))


def notes_of(told):
    """The notes of a run, each once."""
    return list(dict.fromkeys(one["text"] for test in told["tests"] for one in test["facts"].get("note", ())))


@pytest.mark.parametrize("workers", [(), pytest.param(("-n2",), marks=pytest.mark.slow)], ids=["one process", "xdist"])
@pytest.mark.parametrize("user", ["a test on a task", "a test of the user's own"])
def test_home_that_cant_be_written(pytester, run, json_of, user, workers):
    """No failure of a model: vectors are kept for this run, and terminal, JSON and page say so once."""
    (pytester.path / "cache").write_text("")
    own = "def test_it(encoder): assert encoder.encode(['a']).shape == (1, 64)"
    pytester.makepyfile(TEST if user == "a test on a task" else own)
    result = run(*workers, "--embedqa-json=run.json", "--embedqa-html=run.html")
    result.assert_outcomes(passed=1)
    (line,) = [line for line in result.outlines if "vectors.sqlite can't be used" in line]
    assert line.startswith("note: The vector store ")
    assert line.endswith("Vectors are kept for this run only; --embedqa-store=FILE names another place.")
    assert notes_of(json_of()) == [line.removeprefix("note: ")]
    assert "Vectors are kept for this run only" in (pytester.path / "run.html").read_text(encoding="utf-8")


def test_store_that_another_process_locks(pytester, run, monkeypatch):
    """It is waited for for some seconds, not for a minute, and is no failure either; the note stands in a test that is run again."""
    pytester.makepyfile(TEST)
    run("--embedqa-store=vectors.sqlite", model=VERSIONED).assert_outcomes(passed=1)
    assert store._WAIT_SECONDS <= 15
    monkeypatch.setattr(store, "_WAIT_SECONDS", 0.1)
    with contextlib.closing(sqlite3.connect(pytester.path / "vectors.sqlite", isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        result = run("-s", "--embedqa-store=vectors.sqlite", model=VERSIONED)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*encoded 32*", "note: *vectors.sqlite can't be used: database is locked. *"])
    run("-s", "--embedqa-store=vectors.sqlite", model=VERSIONED).stdout.fnmatch_lines(["*encoded 0*"])


def test_store_of_a_newer_version_is_left(pytester, run):
    """A store beside it is used from then on."""
    pytester.makepyfile(TEST)
    with contextlib.closing(sqlite3.connect(pytester.path / "vectors.sqlite")) as newer:
        newer.execute("CREATE TABLE of_the_future (a)")
        newer.execute("PRAGMA user_version = 1000")
    before = (pytester.path / "vectors.sqlite").read_bytes()
    for encoded in (32, 0):
        result = run("-s", "--embedqa-store=vectors.sqlite", model=VERSIONED)
        result.assert_outcomes(passed=1)
        result.stdout.fnmatch_lines(
            [
                f"*encoded {encoded}*",
                "note: *is of a newer version of the plugin (*; it is left as it is, and *vectors.v3.sqlite is used.",
            ]
        )
    assert (pytester.path / "vectors.sqlite").read_bytes() == before

"""The store: what was put is found again, by several processes, after kill -9, and never from a damaged file."""

from __future__ import annotations

import contextlib
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders import store as store_module
from pytest_embedqa.encoders.store import Store

IDENTITY = Identity("org/model", "fake", full_dim=4)
TEXTS = [f"text {number}" for number in range(50)]
VECTORS = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)

# What the subprocesses below share: vectors that a reader can compute again.
WRITER = """
import sys
from pathlib import Path
import numpy as np
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.store import Store

path, who, batches = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
store = Store(path)
for batch in range(batches):
    texts = [f"{who} {batch} {row}" for row in range(16)]
    vectors = np.array([[batch, row, 0, 1] for row in range(16)], np.float32)
    store.put(Identity("org/model", "fake", full_dim=4), texts, vectors)
    print(batch, flush=True)
"""


def start_writer(path, who, batches):
    """A process that writes batches, once it is told to begin."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", WRITER, str(path), who, str(batches)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n", process.stderr.read()
    return process


def assert_batches_are_there(store, who, batches):
    """Every text of these batches has the vector that its writer put."""
    expected = {f"{who} {batch} {row}": [batch, row, 0, 1] for batch in batches for row in range(16)}
    found = store.get(IDENTITY, list(expected))
    assert {text: stored.row.tolist() for text, stored in found.items()} == expected


@pytest.fixture
def path(tmp_path):
    """A place for a store, in a folder that does not exist yet."""
    return tmp_path / "cache" / "vectors.sqlite"


@pytest.fixture
def filled(path):
    """The path of a closed store that holds ``TEXTS``."""
    with contextlib.closing(Store(path)) as store:
        store.put(IDENTITY, TEXTS, VECTORS)
    return path


def found_in(store, texts=TEXTS, identity=IDENTITY):
    """What is found, as lists."""
    return {text: stored.row.tolist() for text, stored in store.get(identity, texts).items()}


# Any Unicode text; st.text() would spend seconds on a table of categories first.
texts = st.lists(st.integers(0, 0xD7FF) | st.integers(0xE000, 0x10FFFF), max_size=8).map(
    lambda points: "".join(map(chr, points))
)
ALL = dict(zip(TEXTS, VECTORS.tolist(), strict=True))


@given(st.dictionaries(texts, st.lists(st.floats(width=32, allow_nan=False), min_size=3, max_size=3), max_size=20))
def test_get_after_put_for_any_texts(vectors):
    """Any texts, empty or exotic, come back with exactly their vectors, and no others do."""
    with contextlib.closing(Store(None)) as store:
        store.put(IDENTITY, list(vectors), np.array(list(vectors.values()), np.float32).reshape(-1, 3))
        assert found_in(store, [*vectors, "never put: \N{BLACK HEART SUIT}"]) == vectors


def test_texts_that_only_look_equal_are_kept_apart():
    """Composed and decomposed letters, and trailing blanks, are different texts to a tokenizer."""
    texts = ["\u00e9", "e\u0301", "é ", "É"]
    with contextlib.closing(Store(None)) as store:
        store.put(IDENTITY, texts, VECTORS[:4])
        assert found_in(store, texts) == dict(zip(texts, VECTORS[:4].tolist(), strict=True))


def test_vectors_are_float32_rows():
    """A vector comes back as a float32 array of shape (full_dim,), whatever precision was put."""
    with contextlib.closing(Store(None)) as store:
        store.put(IDENTITY, ["a"], np.array([[0.1, 0.2, 0.3]], np.float64))
        ((vector, tokens),) = store.get(IDENTITY, ["a"]).values()
    assert tokens is None
    assert vector.dtype == np.float32
    assert vector.tolist() == np.array([0.1, 0.2, 0.3], np.float32).tolist()


def test_lengths_are_kept_beside_vectors():
    """How many tokens a text has is known in later runs too; nobody counts again."""
    with contextlib.closing(Store(None)) as store:
        store.put(IDENTITY, ["a", "b"], VECTORS[:2], [7, 0])
        assert {text: stored.tokens for text, stored in store.get(IDENTITY, ["a", "b"]).items()} == {"a": 7, "b": 0}


@pytest.mark.parametrize("change", [{"weights": "0" * 64}, {"dtype": "bfloat16"}, {"options": {"version": "2"}}])
def test_identities_are_separate(filled, change):
    """A vector is never served to an encoder that would compute another."""
    other = replace(IDENTITY, **change)
    with contextlib.closing(Store(filled)) as store:
        assert store.get(other, TEXTS) == {}
        store.put(other, TEXTS[:1], VECTORS[1:2])
        assert found_in(store, TEXTS[:1], other) == {TEXTS[0]: VECTORS[1].tolist()}
        assert found_in(store) == ALL


def test_dimension_and_prompts_share_their_vectors(filled):
    """One encoding pass serves all dimensions: what is done outside the store makes no other identity."""
    with contextlib.closing(Store(filled)) as store:
        assert found_in(store, identity=replace(IDENTITY, dim=2, prompts={"query": "q: "})) == ALL


def test_vectors_outlive_the_process_that_stored_them(filled):
    """A store that is opened again has everything."""
    with contextlib.closing(Store(filled)) as store:
        assert found_in(store) == ALL


def test_put_again_replaces():
    """The last vector of a text is the one that is found."""
    with contextlib.closing(Store(None)) as store:
        store.put(IDENTITY, ["a"], VECTORS[:1])
        store.put(IDENTITY, ["a"], VECTORS[1:2])
        assert found_in(store, ["a"]) == {"a": VECTORS[1].tolist()}


def test_put_takes_one_vector_a_text():
    """Fewer vectors than texts are a mistake; nothing of them is stored."""
    with contextlib.closing(Store(None)) as store:
        with pytest.raises(ValueError, match="zip"):
            store.put(IDENTITY, ["a", "b"], VECTORS[:1])
        assert store.get(IDENTITY, ["a", "b"]) == {}


def test_more_texts_than_one_query_can_ask_for():
    """Look-ups are split below SQLite's limit of bound parameters, without losing a text at a seam."""
    texts = [str(number) for number in range(2 * store_module._VARIABLES + 1)]
    vectors = np.arange(len(texts), dtype=np.float32)[:, None]
    with contextlib.closing(Store(None)) as store:
        store.put(IDENTITY, texts, vectors)
        assert found_in(store, texts) == dict(zip(texts, vectors.tolist(), strict=True))


def test_file_is_hardly_larger_than_its_vectors(path):
    """A million vectors of 384 dimensions take 1.5 GB, and little more on disk: rows lie side by side, not in a tree of hashes."""
    with contextlib.closing(Store(path)) as store:
        vectors = np.random.default_rng(1).standard_normal((64, 384)).astype(np.float32)
        for batch in range(40):
            store.put(IDENTITY, [f"{batch} {row}" for row in range(64)], vectors)
    assert path.stat().st_size < 1.2 * 40 * vectors.nbytes


def test_texts_themselves_are_not_stored(path):
    """A user's documents do not end up in a cache folder."""
    with contextlib.closing(Store(path)) as store:
        store.put(IDENTITY, ["a most secret sentence"], VECTORS[:1])
    assert b"secret" not in path.read_bytes()


def test_temporary_store_leaves_no_file(tmp_path, monkeypatch):
    """Without a path vectors are kept for this process only, and apart from those of another temporary store."""
    monkeypatch.chdir(tmp_path)
    with contextlib.closing(Store(None)) as store, contextlib.closing(Store(None)) as other:
        store.put(IDENTITY, TEXTS, VECTORS)
        assert found_in(store) == ALL
        assert found_in(other) == {}
    assert list(tmp_path.iterdir()) == []


def test_two_processes_write_at_once(path):
    """Processes that write into one new store at once all succeed, and nothing is lost."""
    writers = [start_writer(path, who, 15) for who in ("left", "right")]
    for process in writers:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in writers:
        _, problems = process.communicate(timeout=60)
        assert process.returncode == 0, problems
    with contextlib.closing(Store(path)) as store:
        assert_batches_are_there(store, "left", range(15))
        assert_batches_are_there(store, "right", range(15))


def test_new_store_that_another_process_holds_is_waited_for(path):
    """SQLite itself does not wait when it turns on the write-ahead log; a worker that comes second must."""
    path.parent.mkdir()
    held = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    held.execute("BEGIN IMMEDIATE")
    held.execute("CREATE TABLE other (x)")
    release = threading.Timer(0.3, held.commit)
    release.start()
    try:
        with contextlib.closing(Store(path)) as store:
            store.put(IDENTITY, TEXTS, VECTORS)
            assert found_in(store) == ALL
    finally:
        release.join()
        held.close()


def test_new_store_that_stays_locked_is_not_waited_for_for_ever(path, monkeypatch):
    """The wait ends; vectors are kept for this run, and a note says why."""
    monkeypatch.setattr(store_module, "_WAIT_SECONDS", 0.05)
    path.parent.mkdir()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as held:
        held.execute("BEGIN IMMEDIATE")
        held.execute("CREATE TABLE other (x)")
        assert_kept_for_this_run(Store(path), "database is locked")


def assert_kept_for_this_run(store, reason):
    """Vectors that are put are found again, in no file, and one note says why and what would help."""
    with contextlib.closing(store):
        (note,) = store.notes
        assert re.fullmatch(
            rf"The vector store .* can't be used: .*({reason}).* Vectors are kept for this run only; --embedqa-store=FILE names another place\.",
            note,
        )
        assert store.path is None
        store.put(IDENTITY, TEXTS, VECTORS)
        assert found_in(store) == ALL
        assert store.notes == [note]


def test_killed_process_leaves_all_it_has_committed(path):
    """After SIGKILL in mid-writing the file is sound and has every batch that was reported as stored."""
    process = start_writer(path, "victim", 1_000_000)
    process.stdin.write("go\n")
    process.stdin.flush()
    for _ in range(5):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    # A line may itself have been cut off by the kill.
    committed = 5 + rest.count("\n")
    with contextlib.closing(Store(path)) as store:
        assert_batches_are_there(store, "victim", range(committed))
        assert store._connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        store.put(IDENTITY, TEXTS, VECTORS)
        assert found_in(store) == ALL
        assert store.notes == []


def _truncate(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2 + 100])


def _garbage(path):
    path.write_bytes(b"not a database at all " * 1000)


def _flip_a_byte_of_a_vector(path):
    content = bytearray(path.read_bytes())
    place = content.index(VECTORS[7].tobytes())
    content[place + 2] ^= 0x01
    path.write_bytes(content)


DAMAGES = {
    "truncated": (_truncate, "malformed|not a database"),
    "garbage": (_garbage, "not a database"),
    "flipped byte": (_flip_a_byte_of_a_vector, "a stored vector does not match its checksum"),
}


def open_and_look(path):
    """Some damage shows when a file is opened, other when a vector is read."""
    store = Store(path)
    return store, store.get(IDENTITY, TEXTS)


@pytest.mark.parametrize(("damage", "reason"), DAMAGES.values(), ids=DAMAGES)
def test_damaged_file_is_set_aside_and_work_goes_on(filled, damage, reason):
    """No vector comes from a damaged file; a note says why and where it went, and a new store takes its place."""
    damage(filled)
    damaged = filled.read_bytes()
    aside = filled.with_name("vectors.sqlite.damaged-0")
    store, found = open_and_look(filled)
    assert found == {}
    (note,) = store.notes
    assert re.fullmatch(
        rf"The vector store {filled} is damaged \(.*({reason}).*\); it was moved to {aside} and a new one begun\.", note
    )
    assert aside.read_bytes() == damaged
    with contextlib.closing(store):
        store.put(IDENTITY, TEXTS, VECTORS)
    with contextlib.closing(Store(filled)) as again:
        assert found_in(again) == ALL


@pytest.mark.parametrize(
    ("found", "word"), [(store_module._VERSION + 1, "a newer"), (store_module._VERSION - 1, "an older")]
)
def test_store_of_another_version_is_left_as_it_is(filled, found, word):
    """Its version may still use it, not a byte changes; a store beside it is used, by the next run too, with a note."""
    with contextlib.closing(sqlite3.connect(filled)) as connection:
        connection.execute(f"PRAGMA user_version = {found}")
        connection.execute("ALTER TABLE vectors RENAME TO vectors_of_another_form")
    before = filled.read_bytes()
    beside = filled.with_name(f"vectors.v{store_module._VERSION}.sqlite")
    for expected in ({}, ALL):
        with contextlib.closing(Store(filled)) as store:
            assert found_in(store) == expected
            store.put(IDENTITY, TEXTS, VECTORS)
            (note,) = store.notes
            assert note == (
                f"The vector store {filled} is of {word} version of the plugin (format {found}; this version has format "
                f"{store_module._VERSION}); it is left as it is, and {beside} is used."
            )
        assert filled.read_bytes() == before
        assert {path.name for path in filled.parent.iterdir()} == {beside.name, filled.name}


def test_damage_that_shows_while_writing_loses_nothing_of_the_batch(filled):
    """A batch that hits the damage goes into the new store."""
    with contextlib.closing(Store(filled)) as store:
        store._connection.execute("DROP TABLE vectors")
        store.put(IDENTITY, TEXTS, VECTORS)
        assert "is damaged (no such table: vectors); it was moved to" in store.notes[0]
        assert found_in(store) == ALL


def test_second_damaged_file_does_not_replace_the_first(filled):
    """Each damaged file is kept under a name of its own."""
    for number in range(2):
        _garbage(filled)
        with contextlib.closing(Store(filled)) as store:
            assert f"moved to {filled}.damaged-{number} " in store.notes[0]
    assert sorted(path.name for path in filled.parent.glob("*.damaged-?")) == [
        "vectors.sqlite.damaged-0",
        "vectors.sqlite.damaged-1",
    ]


def test_damaged_file_that_cant_be_moved_stays(filled, monkeypatch):
    """In a folder that can't be written it is left, and vectors are kept for this run."""
    _garbage(filled)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.replace", refuse)
    assert_kept_for_this_run(Store(filled), "Permission denied")
    assert filled.read_bytes().startswith(b"not a database")


def test_empty_file_is_a_new_store(path):
    """A file of no bytes, as a full disk or touch leave it, is begun without ado."""
    path.parent.mkdir()
    path.touch()
    with contextlib.closing(Store(path)) as store:
        store.put(IDENTITY, TEXTS, VECTORS)
        assert found_in(store) == ALL
        assert store.notes == []


@pytest.mark.parametrize("place", ["file/vectors.sqlite", "folder"])
def test_place_that_can_hold_no_store(tmp_path, place):
    """Below a file, or at a folder, nothing can be kept but for this run."""
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    assert_kept_for_this_run(Store(tmp_path / place), "Not a directory|File exists|unable to open database file")


def test_locked_while_opening(filled, monkeypatch):
    """A store that another process has locked for good stays where it is with all that it holds."""
    monkeypatch.setattr(store_module, "_WAIT_SECONDS", 0.01)
    with contextlib.closing(sqlite3.connect(filled, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        assert_kept_for_this_run(Store(filled), "database is locked")
    assert [path.name for path in filled.parent.iterdir()] == [filled.name]
    with contextlib.closing(Store(filled)) as again:
        assert found_in(again) == ALL


@pytest.mark.parametrize("said", ["locking protocol", "disk I/O error"])
def test_file_system_without_locks(filled, monkeypatch, said):
    """What SQLite says on one is no damage: the file stays."""

    def refuse(connection):
        (_, _, file) = connection.execute("PRAGMA database_list").fetchone()
        if file:
            raise sqlite3.OperationalError(said)

    monkeypatch.setattr(store_module, "_write_ahead", refuse)
    assert_kept_for_this_run(Store(filled), said)
    assert [path.name for path in filled.parent.iterdir()] == [filled.name]


def _lock(connection, filled):
    other = sqlite3.connect(filled, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return other


def _forbid_writing(connection, filled):
    connection.execute("PRAGMA query_only = 1")


def _fill_the_disk(connection, filled):
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [(_lock, "database is locked"), (_forbid_writing, "readonly database"), (_fill_the_disk, "disk is full")],
    ids=["locked", "read-only", "full"],
)
def test_trouble_of_the_moment_is_no_damage(filled, monkeypatch, trouble, reason):
    """Locked, read-only or full: the batch is kept for this run, and the sound file stays where it is with all its vectors."""
    monkeypatch.setattr(store_module, "_WAIT_SECONDS", 0.01)
    with contextlib.ExitStack() as stack:
        store = Store(filled)
        other = trouble(store._connection, filled)
        stack.callback(lambda: other and other.close())
        many = [f"new {number}" for number in range(2000)]
        store.put(IDENTITY, many, np.ones((2000, 4), np.float32))
        assert len(store.get(IDENTITY, many)) == len(many)
        assert_kept_for_this_run(store, reason)
    assert [path.name for path in filled.parent.glob("*damaged*")] == []
    with contextlib.closing(Store(filled)) as again:
        assert found_in(again) == ALL
        assert again.get(IDENTITY, many) == {}


def test_disk_without_room_for_a_temporary_file_either():
    """Then no vector is kept, all are computed, and a note says so."""
    with contextlib.closing(Store(None)) as store:
        store.put(IDENTITY, TEXTS, VECTORS)
        _fill_the_disk(store._connection, None)
        many = [f"new {number}" for number in range(2000)]
        for _ in range(2):
            store.put(IDENTITY, many, np.ones((2000, 4), np.float32))
            assert store.get(IDENTITY, [*TEXTS, *many]) == {}
        assert store.notes == [
            "No vectors are kept: the temporary store of this run failed (database or disk is full)."
        ]


@pytest.mark.parametrize("path_given", [True, False])
def test_faults_of_our_own_are_not_taken_for_damage(filled, path_given):
    """A call that is wrong raises, and the file stays."""
    store = Store(filled if path_given else None)
    store.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        store.get(IDENTITY, TEXTS)
    assert filled.exists()


def test_batch_is_stored_whole_or_not_at_all(filled):
    """A batch that fails in the middle leaves nothing behind and the store usable."""
    with contextlib.closing(Store(filled)) as store:
        key = store._identity(IDENTITY)
        rows = [(b"a", 5, 1, b"fine"), (b"b", 5, 1, None)]
        with pytest.raises(sqlite3.IntegrityError):
            store._put(IDENTITY, rows)
        assert store._connection.execute("SELECT count(*) FROM vectors WHERE identity = ?", (key,)).fetchone() == (50,)
        store.put(IDENTITY, ["after"], VECTORS[:1])
        assert found_in(store, ["after"]) == {"after": VECTORS[0].tolist()}


@pytest.mark.parametrize("version", [0, 3])
def test_database_of_another_program_stays_as_it_is(tmp_path, version):
    """Nothing is written into it, whatever format it says; a store beside it is used, with a note."""
    path = tmp_path / "app.db"
    connection = sqlite3.connect(path)
    connection.executescript(f"CREATE TABLE users (name TEXT); PRAGMA user_version = {version};")
    connection.close()
    before = path.read_bytes()
    store = Store(path)
    store.close()
    assert path.read_bytes() == before
    assert store.path == tmp_path / "app.v3.db"
    assert f"{path} is a database of another program (with a table 'users'); it is left as it is" in store.notes[0]

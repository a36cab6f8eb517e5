"""The vector store, by which every text is encoded once per model, also across killed runs and several processes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import time
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from pytest_embedqa.core.identity import Identity
from pytest_embedqa.core.secrets import redacted
from pytest_embedqa.core.showing import shown
from pytest_embedqa.encoders.cache import require_home, users_folder
from pytest_embedqa.encoders.representations import DENSE, Representation, Row

_SCHEMA = """
CREATE TABLE IF NOT EXISTS identities (
    id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, facts TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS vectors (
    identity INTEGER NOT NULL, text BLOB NOT NULL, tokens INTEGER, checksum INTEGER NOT NULL, vector BLOB NOT NULL,
    UNIQUE (identity, text));
"""
_VERSION = 3
# Vectors lie in the order in which they came; only the index is in the order of the hashes. With pages of this size, a
# cache that holds the inner pages of the index of millions of texts, and a log that takes the changes of many batches,
# a million vectors are written hardly slower than the first thousand.
_LAYOUT = """
PRAGMA page_size = 8192; PRAGMA cache_size = -65536; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 8000;
"""
# Another process holds the file for as long as a batch takes; a longer wait is reported.
_WAIT_SECONDS = 15
_RETRY_SECONDS = 0.01
_VARIABLES = 500  # bound parameters per SELECT; old SQLite allows 999


def default_path() -> Path:
    """Return the default path of the store, in the user's cache folder."""
    return users_folder() / "vectors.sqlite"


class Stored(NamedTuple):
    """The stored facts of a prepared text.

    Attributes:
        row: What the model made of it: of a dense model all dimensions of the vector, shape (full_dim,).
        tokens: Length of the text before any cut, or ``None`` where the engine does not count tokens.
    """

    row: Row
    tokens: int | None


class _DamagedError(Exception):
    """A row that is not as it was written."""


class _OtherFormatError(Exception):
    """A store that another version of the plugin wrote."""

    def __init__(self, found: int) -> None:
        """Say which version, and which of the two is newer."""
        version = "a newer" if found > _VERSION else "an older"
        super().__init__(f"of {version} version of the plugin (format {found}; this version has format {_VERSION})")


class _ForeignError(_OtherFormatError):
    """A database that is no store, whatever format its own program gives it."""

    def __init__(self, table: str) -> None:
        """Say by what that shows."""
        Exception.__init__(self, f"a database of another program (with a table '{table}')")


class Store:
    """Vectors by (identity, prepared text), in SQLite.

    Write-ahead logging makes it safe under several processes and under ``kill -9``: a batch is in it or
    it is not. Texts are stored as hashes only. A broken store fails no test and changes no score: a damaged file is
    set aside and a new file begun, a file of another version stays beside a new file, and where no file can be
    written, vectors are kept for this process only.

    Attributes:
        path: The file; ``None`` where vectors are kept for this process only.
        notes: Notes for the user: why vectors are not kept in the file that was asked for.
    """

    def __init__(self, path: Path | None) -> None:
        """Open or create the store at ``path``; ``None`` keeps it in a temporary file of this process."""
        self.path = path
        self.notes: list[str] = []
        self._identities: dict[str, int] = {}
        # False once there is no room for vectors at all.
        self._keeps = True
        self._connection = self._open()

    def _open(self) -> sqlite3.Connection:
        while self.path is not None:
            try:
                require_home(self.path)
                self.path.parent.mkdir(parents=True, exist_ok=True)
                return self._connect(str(self.path))
            except (OSError, sqlite3.DatabaseError, _OtherFormatError) as error:  # noqa: PERF203  once, almost always
                self._move_on(error)
        return self._connect("")

    @staticmethod
    def _connect(path: str) -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)
        try:
            version = _version(connection)  # read before any write: another version's store is left as it is
            connection.executescript(_LAYOUT)
            _write_ahead(connection)
            connection.executescript(_SCHEMA)
            if version == 0:
                connection.execute(f"PRAGMA user_version = {_VERSION}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _move_on(self, error: Exception) -> None:
        """Choose the next place for vectors after the file could not be used, and note it."""
        assert self.path is not None  # noqa: S101  a temporary store has no other place
        self._identities.clear()
        if isinstance(error, _OtherFormatError):
            beside = self.path.with_name(f"{self.path.stem}.v{_VERSION}{self.path.suffix}")
            self.notes.append(f"The vector store {self.path} is {error}; it is left as it is, and {beside} is used.")
            self.path = beside
            return
        if _is_damage(error):
            try:
                aside = self._set_aside()
            except OSError as problem:
                error = problem
            else:
                self.notes.append(
                    f"The vector store {self.path} is damaged ({error}); it was moved to {aside} and a new one begun."
                )
                return
        elif not isinstance(error, OSError | sqlite3.OperationalError):
            raise error
        self.notes.append(
            f"The vector store {self.path} can't be used: {error}. Vectors are kept for this run only; --embedqa-store=FILE "
            "names another place."
        )
        self.path = None

    def _set_aside(self) -> Path:
        aside = next(
            candidate for number in range(10_000) if not (candidate := Path(f"{self.path}.damaged-{number}")).exists()
        )
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{self.path}{suffix}").replace(f"{aside}{suffix}")
        return aside

    def get(
        self, identity: Identity, texts: Sequence[str], representation: Representation = DENSE
    ) -> dict[str, Stored]:
        """Return what is stored, by text; texts that are not in the store are left out."""
        if self._keeps:
            try:
                return self._get(identity, texts, representation)
            except (sqlite3.DatabaseError, _DamagedError) as error:
                self._begin_anew(error)
        return {}

    def put(
        self,
        identity: Identity,
        texts: Sequence[str],
        vectors: Iterable[Row],
        tokens: Sequence[int] | None = None,
        representation: Representation = DENSE,
    ) -> None:
        """Add the rows and lengths in tokens of these texts in a single transaction."""
        rows = []
        for row, (text, vector) in enumerate(zip(texts, vectors, strict=True)):
            blob = representation.pack(vector)
            rows.append((_hash(text), tokens[row] if tokens else None, zlib.crc32(blob), blob))
        while self._keeps:
            try:
                return self._put(identity, rows)
            except sqlite3.DatabaseError as error:  # noqa: PERF203  once, almost always
                self._begin_anew(error)
        return None

    def _get(self, identity: Identity, texts: Sequence[str], representation: Representation) -> dict[str, Stored]:
        found: dict[str, Stored] = {}
        key = self._identity(identity)
        by_hash = {_hash(text): text for text in texts}
        hashes = list(by_hash)
        for start in range(0, len(hashes), _VARIABLES):
            block = hashes[start : start + _VARIABLES]
            holes = ",".join("?" * len(block))
            query = f"SELECT text, tokens, checksum, vector FROM vectors WHERE identity = ? AND text IN ({holes})"  # noqa: S608
            for digest, tokens, checksum, vector in self._connection.execute(query, (key, *block)):
                if zlib.crc32(vector) != checksum:
                    raise _DamagedError("a stored vector does not match its checksum")
                found[by_hash[digest]] = Stored(representation.unpack(vector, identity), tokens)
        return found

    def _put(self, identity: Identity, rows: list[tuple[bytes, int | None, int, bytes]]) -> None:
        key = self._identity(identity)
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._connection.executemany(
                "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?, ?)", [(key, *row) for row in rows]
            )
        except BaseException:
            if self._connection.in_transaction:  # SQLite itself rolls back when the disk is full
                self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def _begin_anew(self, error: Exception) -> None:
        """Go on with a temporary file; if that fails too, as its disk is full, keep no vectors."""
        self._connection.close()
        if self.path is None:
            if not isinstance(error, sqlite3.OperationalError):
                raise error
            self._keeps = False
            self.notes.append(f"No vectors are kept: the temporary store of this run failed ({error}).")
        else:
            self._move_on(error)
            self._connection = self._open()

    def _identity(self, identity: Identity) -> int:
        digest = identity.store_digest
        if digest not in self._identities:
            facts = redacted(json.dumps(identity.as_dict(), sort_keys=True))
            self._connection.execute("INSERT OR IGNORE INTO identities (digest, facts) VALUES (?, ?)", (digest, facts))
            (row,) = self._connection.execute("SELECT id FROM identities WHERE digest = ?", (digest,)).fetchone()
            self._identities[digest] = row
        return self._identities[digest]

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:20]


def _version(connection: sqlite3.Connection) -> int:
    """Return the format of a file; 0 for a new file, or one whose making was cut short."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version not in {0, _VERSION}:
        raise _OtherFormatError(version)
    others = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('identities', 'vectors')"
    if other := connection.execute(others).fetchone():
        raise _ForeignError(shown(other[0]))
    return int(version)


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Turn on the write-ahead log, which the file then keeps.

    SQLite waits for a lock anywhere but here: of processes that open a new file at once, all but one would fail.
    """
    end = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:  # noqa: PERF203  it is tried once, almost always
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(_RETRY_SECONDS)
        else:
            return


def _is_damage(error: Exception) -> bool:
    """Return whether an error means a damaged file; all others (locked, read-only, full, no locks) leave it sound."""
    if isinstance(error, sqlite3.OperationalError):
        return "no such table" in str(error) or "no such column" in str(error) or "has no column" in str(error)
    return type(error) in {sqlite3.DatabaseError, _DamagedError}

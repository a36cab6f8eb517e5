"""sqlite-vec: a vec0 table in a file of SQLite, searched row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from importlib import import_module
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np

from pytest_embedqa.core.errors import MissingExtraError
from pytest_embedqa.core.measures import Floats
from pytest_embedqa.core.vector_index import Hits
from pytest_embedqa.encoders.scratch import scratch_folder
from pytest_embedqa.encoders.values import Parser, choice
from pytest_embedqa.index.client import Client

# How each type of vector is made of float32.
_STORED = {"float": "?", "int8": "vec_quantize_int8(?, 'unit')", "bit": "vec_quantize_binary(?)"}


class SqliteVecIndex(Client):
    """``sqlite-vec[:float|int8|bit][?distance_metric=]``, e.g. ``sqlite-vec:int8?distance_metric=cosine``.

    A vec0 table has no index: it compares a query with all rows, whatever their number. It loses neighbours by the type
    of its vectors, by its metric (L2 unless it is given), and by its limit of 4,096 rows a search. The types int8 and bit
    are made by ``vec_quantize_int8(?, 'unit')`` and ``vec_quantize_binary(?)``.
    """

    name, package, extra = "sqlite-vec", "sqlite_vec", "sqlite-vec"
    kinds = ("float", "int8", "bit")
    build_settings: ClassVar = {"distance_metric": choice("l2", "l1", "cosine")}

    @classmethod
    def settings_of(cls, kind: str) -> Mapping[str, Parser]:
        """Return the parsers of settings: bits are compared by Hamming distance alone."""
        return {} if kind == "bit" else super().settings_of(kind)

    def __init__(self, kind: str, settings: Mapping[str, Any], similarity: str) -> None:
        """Keep the settings.

        Raises:
            MissingExtraError: If sqlite-vec is missing, or a SQLite that loads extensions.
        """
        super().__init__(kind, settings, similarity)
        self._driver = _driver()

    def build(self, vectors: Floats, ids: Sequence[str]) -> None:
        """Insert all rows into a new table in a new file."""
        self._build(vectors, ids, None)

    def build_with_slots(self, vectors: Floats, ids: Sequence[str], slots: Sequence[int]) -> None:
        """Insert rows with their slots as a metadata column."""
        self._build(vectors, ids, dict(zip(ids, slots, strict=True)))

    def _build(self, vectors: Floats, ids: Sequence[str], slots: Mapping[str, int] | None) -> None:
        self.close()
        self._slots = slots
        self._cut = float((np.abs(vectors) > 1).mean()) if self.kind == "int8" else 0.0
        self._path = self.held.enter_context(scratch_folder("sqlitevec")) / "vectors.db"
        self._connect()
        metric = " ".join(f"{name}={value}" for name, value in self.settings.items())
        slot = "" if slots is None else ", slot integer"
        with self.telling(f"execute a statement on its {self.kind} table"):
            self._connection.execute(
                f"create virtual table rows using vec0(id text primary key, embedding {self.kind}[{vectors.shape[1]}] {metric}{slot})"
            )
        self.add(vectors, ids)

    def add(self, vectors: Floats, ids: Sequence[str]) -> None:
        """Insert rows; a row that is inserted again has its old slot."""
        rows: list[tuple[Any, ...]] = [
            (id_, vector.tobytes()) for id_, vector in zip(ids, np.ascontiguousarray(vectors), strict=True)
        ]
        columns, marks = "id, embedding", f"?, {_STORED[self.kind]}"
        if self._slots is not None:
            rows = [(*row, self._slots[row[0]]) for row in rows]
            columns, marks = f"{columns}, slot", f"{marks}, ?"
        with self.telling(f"execute a statement on its {self.kind} table"), self._connection:
            self._connection.executemany(f"insert into rows({columns}) values ({marks})", rows)  # noqa: S608  no user's text

    def remove(self, ids: Sequence[str]) -> None:
        """Delete rows."""
        with self.telling(f"execute a statement on its {self.kind} table"), self._connection:
            self._connection.executemany("delete from rows where id = ?", [(id_,) for id_ in ids])

    def search(self, queries: Floats, k: int) -> Hits:
        """Search as sqlite-vec's documentation does."""
        return self._found(queries, k, "")

    def search_below(self, queries: Floats, k: int, slot: int) -> Hits:
        """Search with a condition on the metadata column."""
        return self._found(queries, k, f" and slot < {int(slot)}")

    def reopen(self) -> None:
        """Close the file, and open it."""
        self._connection.close()
        self._connect()

    def size(self) -> int:
        """Return the bytes of the file."""
        pages, size = (self._connection.execute(f"pragma {name}").fetchone()[0] for name in ("page_count", "page_size"))
        return int(pages * size)

    def proof(self, queries: Floats, k: int) -> str:
        """Say that there is no index that could answer, and what the type of the vectors cuts off."""
        self.search(queries[:1], k)
        (version,) = self._connection.execute("select vec_version()").fetchone()
        cut = (
            f"; {self._cut:.1%} of all components are outside of -1 to 1, and vec_quantize_int8 cuts them off"
            if self._cut
            else ""
        )
        return f"sqlite-vec {version}: a vec0 table compares each query with all rows, by design, as {self.kind}{cut}."

    def raised(self) -> tuple[type[Exception], ...]:
        """Return SQLite's exceptions."""
        error: type[Exception] = self._driver.Error
        return (error,)

    def _found(self, queries: Floats, k: int, condition: str) -> Hits:
        ask = f"select id from rows where embedding match {_STORED[self.kind]} and k = ?{condition} order by distance"  # noqa: S608
        with self.telling(f"execute a statement on its {self.kind} table"):
            return [[id_ for (id_,) in self._connection.execute(ask, (query.tobytes(), k))] for query in queries]

    def _connect(self) -> None:
        import sqlite_vec

        self._connection = self.held.enter_context(closing(self._driver.connect(self._path)))
        self._connection.enable_load_extension(True)  # noqa: FBT003  positional only
        sqlite_vec.load(self._connection)
        self._connection.enable_load_extension(False)  # noqa: FBT003


def _driver() -> Any:
    """Return Python's own SQLite, or another build of it where that one loads no extensions."""
    for name in ("sqlite3", "pysqlite3"):
        if find_spec(name) and hasattr((module := import_module(f"{name}.dbapi2")).Connection, "enable_load_extension"):
            return module
    raise MissingExtraError(
        "pysqlite3", "sqlite-vec", "The index 'sqlite-vec', where Python's own sqlite3 was built without extensions,"
    )

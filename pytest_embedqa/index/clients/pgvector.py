"""pgvector: an index in PostgreSQL, on a server of the user's or on one that the run starts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from pytest_embedqa.core.errors import IndexFaultError, NotTheIndexError
from pytest_embedqa.core.measures import Floats
from pytest_embedqa.core.secrets import hide, hide_given
from pytest_embedqa.core.vector_index import Hits
from pytest_embedqa.encoders.values import Parser, amount, boolean, choice, positive
from pytest_embedqa.index.client import TableClient
from pytest_embedqa.index.clients.postgres import EXTRA, Database, own_postgres

# Operator of each metric, and the metrics of the models' similarities.
_OPERATORS = {"l2": "<->", "ip": "<#>", "cosine": "<=>"}
_METRICS = {"cosine": "cosine", "dot": "ip"}
_OPCLASSES = [f"{of}_{metric}_ops" for of in ("vector", "halfvec") for metric in _OPERATORS]
# Settings that one type of index alone has, and those that count only in a scan that goes on until it has enough rows.
_OF_ONE_TYPE = {
    "hnsw": {"m", "ef_construction", "ef_search", "max_scan_tuples", "scan_mem_multiplier"},
    "ivfflat": {"lists", "probes", "max_probes"},
}
# The default of IVFFlat.
_LISTS = 100
_OF_ITERATION = ("max_scan_tuples", "scan_mem_multiplier", "max_probes")


def address(raw: str) -> str:
    """Parse the address of a server; from now on no text shows its password."""
    parts = urlsplit(raw)
    hide(unquote(parts.password or ""))
    hide_given(parts.query)
    if not raw.startswith(("postgresql://", "postgres://")):
        raise ValueError("postgresql://USER:PASSWORD@HOST:PORT/DATABASE is expected, with %26 for an & in it")
    return raw


class PgvectorIndex(TableClient):
    """``pgvector:hnsw?m=&ef_construction=&ef_search=&url=`` or ``pgvector:ivfflat?lists=&probes=&url=``.

    ``opclass`` is that of the model's similarity, and for IVFFlat PostgreSQL's default, L2. ``halfvec_cosine_ops`` and its
    kin index ``embedding::halfvec(n)``. ``operator`` asks by another distance than the index was made for. ``index_first``
    creates the index before there are rows, as migrations do. ``iterative_scan``, ``max_scan_tuples``,
    ``scan_mem_multiplier`` and ``max_probes`` are pgvector's, ``maintenance_work_mem`` is PostgreSQL's.

    The table is in a schema of its own, which ``close`` drops. Autovacuum is off for it: what changes cost until it comes is
    measured, and is the same each time.
    """

    name = "pgvector"
    package, extra, kinds = "psycopg", EXTRA, ("hnsw", "ivfflat")
    serves = True
    build_settings: ClassVar[Mapping[str, Parser]] = {
        "m": positive,
        "ef_construction": positive,
        "lists": positive,
        "opclass": choice(*_OPCLASSES),
        "operator": choice(*_OPERATORS.values()),
        "index_first": boolean,
        "maintenance_work_mem": str,
        "url": address,
    }
    search_settings: ClassVar[Mapping[str, Parser]] = {
        "ef_search": positive,
        "probes": positive,
        "iterative_scan": choice("off", "strict_order", "relaxed_order"),
        "max_scan_tuples": positive,
        "scan_mem_multiplier": amount,
        "max_probes": positive,
    }
    _db: Database | None = None

    @classmethod
    def settings_of(cls, kind: str) -> Mapping[str, Parser]:
        """Return the parsers of the settings of a type."""
        (others,) = (names for one, names in _OF_ONE_TYPE.items() if one != kind)
        return {name: parser for name, parser in super().settings_of(kind).items() if name not in others}

    def start(self) -> None:
        """Import psycopg, and start the run's own server unless a server is given."""
        super().start()
        if "url" not in self.settings:
            own_postgres()

    def build_with_slots(self, vectors: Floats, ids: Sequence[str], slots: Sequence[int]) -> None:
        """Load a table with a column of slots, and create the index."""
        self._slots = dict(zip(ids, slots, strict=True))
        self._planned: set[str] = set()
        self._db = db = Database(self.settings.get("url"))
        self._table = f"{db.schema}.passages"
        metric = "l2" if self.kind == "ivfflat" else _METRICS[self.similarity]
        self._opclass: str = self.settings.get("opclass", f"vector_{metric}_ops")
        of, metric, _ = self._opclass.split("_")
        dim = vectors.shape[1]
        cast = "" if of == "vector" else f"::{of}({dim})"
        self._order = f"embedding{cast} {self.settings.get('operator', _OPERATORS[metric])} %s{cast}"
        self._set(self.given("maintenance_work_mem", *self.search_settings))
        db.do(f"CREATE TABLE {self._table} (id text PRIMARY KEY, slot int, embedding vector({dim}))")
        db.do(f"ALTER TABLE {self._table} SET (autovacuum_enabled = off)")
        options = ", ".join(f"{name} = {value}" for name, value in self.given("m", "ef_construction", "lists").items())
        create = f"CREATE INDEX nearest ON {self._table} USING {self.kind} ((embedding{cast}) {self._opclass})"
        steps = [lambda: self.add(vectors, ids), lambda: db.do(f"{create} WITH ({options})" if options else create)]
        for step in reversed(steps) if self.settings.get("index_first") else steps:
            step()
        if not self.settings.get("index_first"):
            self._require_all(len(ids))
        db.do(f"ANALYZE {self._table}")

    def search(self, queries: Floats, k: int) -> Hits:
        """Search; after each change the planner is asked first whether it takes the index."""
        return self._search(queries, k, "")

    def search_below(self, queries: Floats, k: int, slot: int) -> Hits:
        """Search with a condition in WHERE."""
        return self._search(queries, k, f"WHERE slot < {slot}")

    def add(self, vectors: Floats, ids: Sequence[str]) -> None:
        """Insert rows."""
        rows = ((id_, self._slots.get(id_, 0), vector) for id_, vector in zip(ids, vectors, strict=True))
        self._database.copy(self._table, ["text", "int4", "vector"], rows)
        self._planned.clear()

    def remove(self, ids: Sequence[str]) -> None:
        """Delete rows; the index keeps their vectors until VACUUM."""
        self._database.do(f"DELETE FROM {self._table} WHERE id = ANY(%s)", list(ids))  # noqa: S608  a name of our own
        self._planned.clear()

    def reopen(self) -> None:
        """Connect anew."""
        self._database.reconnect()
        self._set(self.given(*self.search_settings))

    def tune(self, settings: Mapping[str, Any]) -> None:
        """Search with these settings from now on."""
        self.settings.update(settings)
        self._set(settings)

    def size(self) -> int:
        """Return the bytes of the index on disk, vectors included; the table has them once more."""
        ((size,),) = self._database.do("SELECT pg_relation_size(%s::regclass)", f"{self._database.schema}.nearest")
        return int(size)

    def proof(self, queries: Floats, k: int) -> str:
        """Say what EXPLAIN shows, with which settings, and what the server said while it built the index."""
        self._search(queries[:1], k, "")
        db = self._database
        if self.kind == "ivfflat":
            ((probes,),) = db.do("SELECT current_setting('ivfflat.probes')::int")
            if probes >= (lists := self.settings.get("lists", _LISTS)):
                raise NotTheIndexError(
                    f"pgvector: exact search, not the index: probes={probes} reads all {lists} lists."
                )
        ((server, extension),) = db.do(
            "SELECT current_setting('server_version'), extversion FROM pg_extension WHERE extname = 'vector'"
        )
        settings = db.do(
            "SELECT name || '=' || setting FROM pg_settings WHERE name LIKE %s ORDER BY 1", f"{self.kind}.%"
        )
        shown = f"EXPLAIN shows an Index Scan of the {self.kind} index ({self._opclass}), with {', '.join(one for (one,) in settings)}."
        return " ".join([f"pgvector {extension} on PostgreSQL {server.split()[0]}: {shown}", *db.said])

    def close(self) -> None:
        """Drop what was made, and disconnect."""
        if self._db:
            self._db.close()
            self._db = None

    @property
    def _database(self) -> Database:
        assert self._db  # noqa: S101  built before all else
        return self._db

    def _set(self, settings: Mapping[str, Any]) -> None:
        """Set what the server knows by name; it checks names and values."""
        self._planned.clear()
        for name, value in settings.items():
            prefix = "" if name in self.build_settings else f"{self.kind}."
            self._database.do("SELECT set_config(%s, %s, false)", f"{prefix}{name}", str(value))
        if not (idle := list(self.given(*_OF_ITERATION))):
            return
        ((mode,),) = self._database.do("SELECT current_setting(%s)", f"{self.kind}.iterative_scan")
        if mode == "off":
            raise NotTheIndexError(f"pgvector: {idle[0]} has no effect without iterative_scan. Give both, or neither.")

    def _require_all(self, rows: int) -> None:
        """Require that all rows are in the index: once it is built, the server knows their number."""
        ((indexed,),) = self._database.do(
            "SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass", f"{self._database.schema}.nearest"
        )
        if indexed != rows:
            raise IndexFaultError(
                f"pgvector leaves {rows - indexed:,} of {rows:,} vectors out of the index ({self._opclass}): vectors of zeros have no "
                "direction. Leave these texts out."
            )

    def _search(self, queries: Floats, k: int, where: str) -> Hits:
        text = f"SELECT id FROM {self._table} {where} ORDER BY {self._order} LIMIT {k}"  # noqa: S608
        if text not in self._planned:
            self._require_index(text, queries[0])
            self._planned.add(text)
        return [[id_ for (id_,) in self._database.do(text, query)] for query in queries]

    def _require_index(self, text: str, query: Floats) -> None:
        """Require that the planner answers a query from the index.

        Raises:
            NotTheIndexError: If it does not; the text says whether it can't, or finds another way cheaper.
        """
        if self._uses_index(text, query):
            return
        self._database.do("SET enable_seqscan = off")
        could = self._uses_index(text, query)
        self._database.do("RESET enable_seqscan")
        asked = text.partition(self._table)[2].strip()
        why = (
            "would be answered from the index, but PostgreSQL's planner finds a scan of all rows cheaper, as it does in a small table, "
            "where few rows pass a filter, or where ef_search= or probes= reads most of the index. rows= grows the data."
            if could
            else f"can't be answered from an index of {self._opclass}: it needs the operator of that class."
        )
        raise NotTheIndexError(f"pgvector: exact search, not the index: a query with  {asked}  {why}")

    def _uses_index(self, text: str, query: Floats) -> bool:
        ((plan,),) = self._database.do(f"EXPLAIN (FORMAT JSON) {text}", query)
        return '"Index Name": "nearest"' in json.dumps(plan)

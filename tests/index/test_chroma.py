"""Chroma: a real collection in a folder and on a real server, and the settings that it ignores."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
from made import made_unlike, measured, recalls
from server_process import running

from pytest_embedqa.core.errors import IndexFaultError, MissingExtraError, NotTheIndexError, SpecError
from pytest_embedqa.index.causes import find_causes
from pytest_embedqa.index.spec import parse_index

chromadb = pytest.importorskip("chromadb", reason="needs the extra chroma")
POOR = "max_neighbors=4&ef_construction=10&ef_search=10"
PROGRAM = shutil.which("chroma", path=Path(sys.executable).parent) or "chroma"


@pytest.fixture(scope="module")
def data():
    """Few rows, and more than a search looks at."""
    return made_unlike()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Yield the address of a running ``chroma run``."""
    folder = tmp_path_factory.mktemp("chroma")
    with running(
        [PROGRAM, "run", "--path", str(folder / "data"), "--host", "127.0.0.1", "--port", "{port}"], folder
    ) as url:
        yield url


@pytest.fixture
def client(server):
    """Yield a client of the server, and remove its collections in the end."""
    with chromadb.HttpClient(host=server) as opened:
        yield opened
        for collection in opened.list_collections():
            opened.delete_collection(collection.name)


def test_the_defaults_are_chromas(data, scratch):
    """Without settings a collection compares by L2 distance, with 16 neighbours and ef_search=100."""
    result = measured("chroma", data)
    assert result["recall_at_10"] > 0.9
    assert "space=l2, ef_construction=100, ef_search=100, max_neighbors=16," in result.notes[0]
    assert result["bytes_per_vector"] > 128
    assert not [*scratch.iterdir()]


def test_settings_count_after_changes_and_when_reopened(data):
    """A collection keeps its settings; it is searched after changes, from its folder, and under a filter."""
    result = measured(f"chroma?{POOR}&space=cosine&sync_threshold=500", data, churn=2, reopen=True, filter=0.05)
    found = recalls(result)
    assert set(found) == {"", "after 2 rounds of changes", "reopened", "filter 5.0%"}
    assert all(0.05 < recall < 0.9 for recall in found.values())
    assert "space=cosine, ef_construction=10, ef_search=10, max_neighbors=4" in result.notes[0]
    assert re.search(r"a wider search changes what [1-9]\d* of 32 queries find", result.notes[0])


def test_each_value_of_a_sweep_is_built(data):
    """Chroma reads ef_search when it opens a collection, and modify() changes nothing before: each value is a collection."""
    curve = measured(f"chroma?{POOR}", data, sweep={"ef_search": [10, 200]}).curve
    assert curve[0].recall + 0.2 < curve[1].recall


def test_a_search_is_as_wide_as_what_is_asked_for(data):
    """An ef_search below the number of rows asked for changes nothing."""
    with pytest.raises(NotTheIndexError, match="ef_search=5 has no effect where 10 rows are asked for"):
        measured("chroma?ef_search=5", data)


def test_few_rows_are_searched_whole(scratch):
    """A search that looks at 100 rows looks at all of 90."""
    with pytest.raises(
        NotTheIndexError, match=r"exact search, not the index: ef_search=100 looks at all of the 90 rows"
    ):
        measured("chroma", made_unlike(90))
    assert not [*scratch.iterdir()]


def test_the_metric_is_not_the_models():
    """Chroma's default, L2, is not the cosine of a model whose vectors are of different lengths; space=cosine is."""
    data = made_unlike(longest=3.0)
    result, right = measured("chroma", data), measured("chroma?space=cosine", data)
    assert "by L2 distance, the model by cosine" in find_causes(result)[0]
    assert right["recall_at_10"] > 0.9 > result["recall_at_10"]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("chroma?ef=10", "there is no setting 'ef'"),
        ("chroma?space=dot", "space=dot is wrong: one of l2, ip, cosine is expected"),
        ("chroma?ef_search=0", "ef_search=0 is wrong: a whole number from 1 up is expected"),
        ("chroma:spann", "there is no type 'spann'"),
    ],
)
def test_what_chroma_would_take_or_drop_is_an_error_at_collection(spec, said):
    """Chroma itself takes ef_search=0, and makes an hnsw index where a spann index is asked for."""
    with pytest.raises(SpecError, match=re.escape(said)):
        parse_index(spec)


def test_a_server(data, server, client):
    """A collection on a running server is measured, changed, opened anew and removed."""
    result = measured(f"chroma?url={server}&{POOR}", data, delete_nearest=5, reopen=True, filter=0.05)
    assert len(result.states) == 4
    assert all(0.05 < recall < 0.9 for recall in recalls(result).values())
    assert result.size is None
    assert not client.list_collections()


def test_get_or_create_keeps_the_settings_that_are_there(data, server, client):
    """A collection that exists keeps its settings when others are given: a test of it says so, and leaves its rows alone."""
    client.create_collection("docs", embedding_function=None).add(ids=["a"], embeddings=[[1.0, 0.0]])
    wanted = {"hnsw": {"ef_search": 200}}
    kept = client.get_or_create_collection("docs", configuration=wanted, embedding_function=None)
    assert kept.configuration_json["hnsw"]["ef_search"] == 100
    said = "ef_search=200 has no effect: the collection 'docs' has ef_search=100. get_or_create_collection keeps the settings of a collection that exists, and ignores those given"
    with pytest.raises(NotTheIndexError, match=re.escape(said)):
        measured(f"chroma?url={server}&collection=docs&ef_search=200", data)
    assert [(one.name, one.count()) for one in client.list_collections()] == [("docs", 1)]


def test_the_settings_of_a_collection_that_is_there(data, server, client):
    """An index is built with the settings of a collection that is named."""
    poor = {"hnsw": {"max_neighbors": 4, "ef_construction": 10, "ef_search": 10, "space": "cosine"}}
    client.create_collection("docs", configuration=poor, embedding_function=None)
    result = measured(f"chroma?url={server}&collection=docs&ef_search=10", data)
    assert result["recall_at_10"] < 0.6
    assert "space=cosine, ef_construction=10, ef_search=10, max_neighbors=4" in result.notes[0]


def test_a_collection_that_is_not_there(data, server, client):
    """The error is Chroma's, once; nothing is left on the server."""
    with pytest.raises(
        IndexFaultError, match=r"Chroma can't build a collection of 3,000 vectors: .*docs.* does not exist"
    ):
        measured(f"chroma?url={server}&collection=docs", data)
    assert not client.list_collections()


def test_nobody_answers(data):
    """Without a server there is one error."""
    with pytest.raises(
        IndexFaultError, match=r"Chroma can't build a collection .* Could not connect to a Chroma server"
    ):
        measured("chroma?url=http://127.0.0.1:1", data)


def test_a_search_that_fails(data, monkeypatch):
    """What Chroma says while it is searched is one error."""

    def fails(*_, **__):
        raise chromadb.errors.InternalError("nobody answers")

    monkeypatch.setattr(chromadb.Collection, "query", fails)
    with pytest.raises(IndexFaultError, match=r"Chroma can't search: .*nobody answers"):
        measured("chroma", data)


def test_a_new_collection_without_the_settings_given(data, monkeypatch):
    """A setting that does not arrive is an error, whoever drops it."""
    client = type(chromadb.EphemeralClient(chromadb.Settings(anonymized_telemetry=False)))
    create = client.create_collection
    monkeypatch.setattr(
        client, "create_collection", lambda self, name, **more: create(self, name, **{**more, "configuration": None})
    )
    with pytest.raises(
        NotTheIndexError, match="max_neighbors=4 has no effect: the new collection has max_neighbors=16"
    ):
        measured("chroma?max_neighbors=4", data)


def test_without_the_package(data, monkeypatch):
    """The error names the extra to install."""
    monkeypatch.setattr("pytest_embedqa.index.client.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"(?s)needs the package 'chromadb'.*pytest-embedqa\[chroma\]"):
        measured("chroma", data)

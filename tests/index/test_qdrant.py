"""Qdrant: its client against its own engine, and the thresholds below which it searches exactly without a word."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from made import made_unlike, measured, recalls
from server_process import running

from pytest_embedqa.core.errors import IndexFaultError, MissingExtraError, NotTheIndexError, SpecError
from pytest_embedqa.index.spec import parse_index

qdrant_client = pytest.importorskip("qdrant_client", reason="needs the extra qdrant")
pytest.importorskip("qdrant_edge", reason="needs the package qdrant-edge-py")
# Thresholds in kB that let a graph be built and searched of so few rows.
GRAPH = "indexing_threshold=10&full_scan_threshold=10&m=4&ef_construct=10"


@pytest.fixture(scope="module")
def data():
    """384 kB of vectors."""
    return made_unlike()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Yield the address of a running server."""
    folder = tmp_path_factory.mktemp("qdrant")
    with running(
        [sys.executable, str(Path(__file__).with_name("qdrant_server.py")), "{port}", str(folder)], folder
    ) as url:
        yield url
    assert [path.name for path in folder.iterdir()] == ["log"]


def test_the_graph_answers_with_the_settings_given(data, server):
    """A collection is built with settings of its graph and storage, filtered, changed, and searched more and less widely."""
    spec = f"qdrant?url={server}&{GRAPH}&datatype=float16&distance=Cosine"
    result = measured(spec, data, delete_nearest=5, filter=0.05)
    found = recalls(result)
    assert set(found) == {"", "after deleting the nearest 5", "filter 5.0%"}
    assert 0.05 < found[""] < 0.7
    assert "3,000 of 3,000 vectors are indexed, and hnsw_ef changes what is found." in result.notes[0]


def test_a_wider_search_finds_more(data, server):
    """One collection is searched with each value of hnsw_ef."""
    curve = measured(f"qdrant?url={server}&{GRAPH}", data, sweep={"hnsw_ef": [10, 100, 1000]}).curve
    assert curve[0].recall + 0.1 < curve[1].recall < curve[2].recall


def test_rows_come_and_go(data, server):
    """After rounds of changes the graph still answers, and is shown to."""
    result = measured(f"qdrant?url={server}&{GRAPH}", data, churn=1)
    assert recalls(result)["after 1 rounds of changes"] < 0.9
    assert re.search(r"[23],\d\d\d of 3,000 vectors are indexed", result.notes[-1])


def test_a_search_is_as_wide_as_what_is_asked_for(data, server):
    """An hnsw_ef below the number of rows asked for changes nothing."""
    with pytest.raises(NotTheIndexError, match="hnsw_ef=5 has no effect where 10 rows are asked for"):
        measured(f"qdrant?url={server}&{GRAPH}&hnsw_ef=5", data)


def test_a_small_collection_is_not_indexed(data, server):
    """Below 10,000 kB a segment has no index by default."""
    with pytest.raises(
        NotTheIndexError, match=r"not the index: none of the 3000 vectors .* indexing_threshold=10000 kB"
    ):
        measured(f"qdrant?url={server}", data)


def test_an_index_that_is_not_searched(data, server):
    """Vectors count as indexed and are scanned all the same, below full_scan_threshold."""
    with pytest.raises(
        NotTheIndexError, match=r"hnsw_ef=1 and hnsw_ef=4096 find the same.* full_scan_threshold=10000 kB"
    ):
        measured(f"qdrant?url={server}&indexing_threshold=10", data)


def test_local_mode_is_exact(data):
    """Without a server qdrant-client compares with all rows."""
    with pytest.raises(NotTheIndexError, match="exact search, not the index: the local mode of qdrant-client has none"):
        measured("qdrant", data)


def test_a_setting_that_the_collection_does_not_have(data, server, monkeypatch):
    """A setting that does not arrive is an error."""
    create = qdrant_client.QdrantClient.create_collection
    monkeypatch.setattr(
        qdrant_client.QdrantClient,
        "create_collection",
        lambda self, name, **more: create(self, name, **{**more, "hnsw_config": None}),
    )
    with pytest.raises(NotTheIndexError, match="Qdrant: m=4 has no effect: the collection has m=16"):
        measured(f"qdrant?url={server}&{GRAPH}", data)


def test_optimizers_that_fail(data, server, monkeypatch):
    """A collection whose optimizers failed is an error, and is removed."""
    look = qdrant_client.QdrantClient.get_collection

    def red(self, name):
        info = look(self, name)
        info.status = qdrant_client.models.CollectionStatus.RED
        return info

    monkeypatch.setattr(qdrant_client.QdrantClient, "get_collection", red)
    with pytest.raises(IndexFaultError, match="Qdrant: the optimizers of the collection ended red"):
        measured(f"qdrant?url={server}&{GRAPH}", data)


def test_a_search_that_fails(data, server, monkeypatch):
    """What Qdrant says while it is searched is one error."""

    def fails(*_, **__):
        raise qdrant_client.http.exceptions.ApiException("nobody answers")

    monkeypatch.setattr(qdrant_client.QdrantClient, "query_batch_points", fails)
    with pytest.raises(IndexFaultError, match=r"Qdrant can't search: .*nobody answers"):
        measured(f"qdrant?url={server}&{GRAPH}", data)


def test_a_server_that_is_gone(data, server, monkeypatch):
    """What went wrong is told, and a collection that can't be removed is a warning beside it."""

    def gone(self, name, **_):
        raise ValueError(f"no answer about {name}")

    delete = qdrant_client.QdrantClient.delete_collection
    monkeypatch.setattr(qdrant_client.QdrantClient, "upsert", gone)
    monkeypatch.setattr(qdrant_client.QdrantClient, "delete_collection", gone)
    with (
        pytest.warns(UserWarning, match="could not be removed from its server: no answer"),
        pytest.raises(IndexFaultError, match=r"Qdrant can't build .*: no answer about embedqa-"),
    ):
        measured(f"qdrant?url={server}", data)
    monkeypatch.setattr(qdrant_client.QdrantClient, "delete_collection", delete)
    client = qdrant_client.QdrantClient(url=server)
    [left] = client.get_collections().collections
    client.delete_collection(left.name)
    client.close()


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("qdrant?ef=10", "there is no setting 'ef'"),
        ("qdrant?distance=cosine", "distance=cosine is wrong: one of Cosine, Dot, Euclid, Manhattan is expected"),
        ("qdrant?exact=true", "there is no setting 'exact'"),
        ("qdrant:flat", "there is no type 'flat'"),
    ],
)
def test_what_qdrant_lacks_is_an_error_at_collection(spec, said):
    """Settings have Qdrant's names."""
    with pytest.raises(SpecError, match=re.escape(said)):
        parse_index(spec)


@pytest.mark.filterwarnings("ignore:Failed to obtain server version")
def test_nobody_answers(data):
    """Without a server at the address there is one error."""
    with pytest.raises(IndexFaultError, match=r"Qdrant can't build a collection of 3,000 vectors: .*refused"):
        measured("qdrant?url=http://127.0.0.1:1", data)


def test_without_the_package(data, monkeypatch):
    """The error names the extra to install."""
    monkeypatch.setattr("pytest_embedqa.index.client.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"(?s)needs the package 'qdrant_client'.*pytest-embedqa\[qdrant\]"):
        measured("qdrant", data)

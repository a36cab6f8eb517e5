"""Milvus Lite, in a folder and as a server: what it leaves out, drops and does not raise without a word."""

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
from pytest_embedqa.index.clients import milvus
from pytest_embedqa.index.spec import parse_index

pymilvus = pytest.importorskip("pymilvus", reason="needs the extra milvus")
milvus_lite = pytest.importorskip("milvus_lite", reason="needs the extra milvus")
PROGRAM = shutil.which("milvus-lite", path=Path(sys.executable).parent) or "milvus-lite"


@pytest.fixture(scope="module")
def data():
    """Few rows, and enough for a search to miss some."""
    return made_unlike()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Yield the address of a running ``milvus-lite server``."""
    folder = tmp_path_factory.mktemp("milvus")
    with running(
        [PROGRAM, "server", "--data-dir", str(folder / "data"), "--host", "127.0.0.1", "--port", "{port}"], folder
    ) as url:
        yield url


@pytest.mark.parametrize("spec", ["HNSW?ef=10", "HNSW_SQ?ef=10", "IVF_FLAT?nprobe=10", "IVF_SQ8", "AUTOINDEX?ef=10"])
def test_each_type_answers(data, spec, scratch):
    """Each type is built of flushed rows, and its search setting changes what it finds."""
    result = measured(f"milvus:{spec}&metric_type=COSINE" if "?" in spec else f"milvus:{spec}", data)
    assert 0.1 < result["recall_at_10"] < 0.95
    assert re.search(r"Milvus: (ef|nprobe) changes what ", result.notes[0])
    assert result["bytes_per_vector"] > 128
    assert not [*scratch.iterdir()]


def test_rows_are_changed_filtered_and_kept(data):
    """An index is searched after changes, from its folder by a new server, and under a filter; no server goes on."""
    result = measured("milvus:IVF_FLAT", data, churn=2, reopen=True, filter=0.05)
    found = recalls(result)
    assert set(found) == {"", "after 2 rounds of changes", "reopened", "filter 5.0%"}
    assert all(0.2 < recall < 0.95 for recall in found.values())
    assert not milvus_lite.server_manager_instance._servers


@pytest.mark.parametrize("step", ["flush", "create_index"])
def test_exact_until_flushed_and_built(data, monkeypatch, step):
    """Rows that were not flushed are searched exactly, while Milvus Lite says that their index is finished."""
    monkeypatch.setattr(pymilvus.MilvusClient, step, lambda *_, **__: None)
    said = "not the index: ef=10 and ef=4096 find the same. Rows without a built index are searched exactly, as all are before"
    with pytest.raises(NotTheIndexError, match=re.escape(said)):
        measured("milvus:HNSW", data)


@pytest.mark.parametrize("setting", ["HNSW?M=4", "HNSW?efConstruction=10", "IVF_FLAT?nlist=8"])
def test_settings_of_building_are_dropped(data, setting):
    """Milvus Lite builds with its own settings, whatever MilvusClient gives: describe_index() shows none."""
    kind, name, value = re.split(r"\?|=", setting)
    said = f"Milvus: {name}={value} has no effect: describe_index() shows {name}=None. Milvus Lite drops what add_index"
    with pytest.raises(NotTheIndexError, match=re.escape(said)):
        measured(f"milvus:{kind}?{name}={value}", data)


def test_a_long_list_is_asked_of_a_narrow_search(data):
    """The ef of 64 is not raised for 1,000 rows, so that a third of them is wrong."""
    assert measured("milvus:HNSW", data, k=1000)["recall_at_1000"] < 0.9


def test_a_narrow_filter_loses_what_is_there():
    """A graph is searched past the rows that pass a filter: fewer come back than there are, and count as lost."""
    result = measured("milvus:HNSW", made_unlike(6000), filter=0.004)
    assert result.states[-1].short > 20
    assert result.states[-1].recall < 0.6
    assert "too few documents came back" in find_causes(result)[-1]


def test_few_rows_are_searched_exactly():
    """On so few rows a narrow search finds what a wide one does."""
    with pytest.raises(
        NotTheIndexError, match=r"not the index: ef=10 and ef=4096 find the same.* rows= grows the data"
    ):
        measured("milvus:HNSW", made_unlike(12))


def test_a_sweep_searches_one_index(data):
    """More lists find more."""
    curve = measured("milvus:IVF_FLAT", data, sweep={"nprobe": [1, 10, 100]}).curve
    assert curve[0].recall + 0.1 < curve[1].recall < curve[2].recall


def test_the_metric_is_not_the_models():
    """The metric must be named: it is the model's, and a wrong one is found out."""
    data = made_unlike(longest=3.0)
    wrong = measured("milvus:IVF_FLAT?metric_type=L2&nprobe=100", data)
    assert "by L2 distance, the model by cosine" in find_causes(wrong)[0]
    assert measured("milvus:IVF_FLAT?nprobe=100", data)["recall_at_10"] > 0.9


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("milvus:DISKANN", "there is no type 'DISKANN'"),
        ("milvus:IVF_FLAT?ef=10", "there is no setting 'ef'"),
        ("milvus:HNSW?nlist=10", "there is no setting 'nlist'"),
        ("milvus:HNSW?m=10", "there is no setting 'm'"),
        ("milvus:AUTOINDEX?M=10", "there is no setting 'M'"),
        ("milvus?metric_type=cosine", "metric_type=cosine is wrong: one of COSINE, IP, L2 is expected"),
    ],
)
def test_what_milvus_would_take_without_a_word_is_an_error_at_collection(spec, said):
    """Milvus Lite takes any name of a type until it loads, and ignores settings that a type lacks."""
    with pytest.raises(SpecError, match=re.escape(said)):
        parse_index(spec)


def test_a_server(data, server):
    """A collection on a running server is measured, opened anew and dropped."""
    result = measured(f"milvus:IVF_FLAT?uri={server}", data, delete_nearest=5, reopen=True)
    assert all(0.2 < recall < 0.95 for recall in recalls(result).values())
    assert result.size is None
    left = pymilvus.MilvusClient(server)
    assert left.list_collections() == []
    left.close()


def test_what_milvus_refuses(data, monkeypatch, scratch):
    """What Milvus refuses is one error, and the folder is gone."""
    monkeypatch.setitem(milvus._KINDS, "IVF_PQ", ((), "nprobe"))
    monkeypatch.setattr(milvus.MilvusIndex, "kinds", ("IVF_PQ",))
    with pytest.raises(IndexFaultError, match=r"Milvus can't build IVF_PQ of 3,000 vectors: .*reserved"):
        measured("milvus:IVF_PQ", data)
    assert not [*scratch.iterdir()]


def test_a_search_that_fails(data, monkeypatch):
    """What Milvus says while it is searched is one error."""

    def fails(*_, **__):
        raise pymilvus.MilvusException(message="nobody answers")

    monkeypatch.setattr(pymilvus.MilvusClient, "search", fails)
    with pytest.raises(IndexFaultError, match=r"Milvus can't search: .*nobody answers"):
        measured("milvus", data)


def test_without_the_package(data, monkeypatch):
    """The error names the extra to install."""
    monkeypatch.setattr("pytest_embedqa.index.client.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"(?s)needs the package 'pymilvus'.*pytest-embedqa\[milvus\]"):
        measured("milvus", data)

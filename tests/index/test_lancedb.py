"""LanceDB: its indexes on real tables, and what it leaves out of them without a word."""

from __future__ import annotations

import re

import numpy as np
import pytest
from made import made_unlike, measured, recalls

from pytest_embedqa.core.errors import IndexFaultError, MissingExtraError, NotTheIndexError, SpecError
from pytest_embedqa.index.causes import find_causes
from pytest_embedqa.index.spec import parse_index

pytest.importorskip("lancedb", reason="needs the extra lancedb")
LISTS = "num_partitions=10&nprobes=4"


@pytest.fixture(scope="module")
def data():
    """Few rows, and enough to train on."""
    return made_unlike()


def test_the_default_is_that_of_create_index(data, scratch):
    """Without a type or settings the index is IVF_PQ by L2 distance: coarse, and smaller than two copies of the vectors."""
    result = measured("lancedb", data)
    assert 0.1 < result["recall_at_10"] < 0.5
    assert result.notes == ("LanceDB: 3,000 of 3,000 rows are in IVF_PQ with num_partitions=1.",)
    assert 128 < result["bytes_per_vector"] < 256
    assert not [*scratch.iterdir()]


@pytest.mark.parametrize(
    ("spec", "least", "most"),
    [
        (
            f"IVF_PQ?{LISTS}&num_sub_vectors=8&num_bits=8&max_iterations=20&sample_rate=100&distance_type=cosine",
            0.3,
            0.7,
        ),
        (f"IVF_FLAT?{LISTS}", 0.3, 0.9),
        (f"IVF_SQ?{LISTS}", 0.3, 0.9),
        (f"IVF_RQ?{LISTS}", 0.1, 0.6),
        ("IVF_FLAT?target_partition_size=300&nprobes=4", 0.2, 0.9),
        ("IVF_HNSW_SQ?m=4&ef_construction=20&ef=20", 0.1, 0.8),
        ("IVF_HNSW_PQ?num_sub_vectors=8&ef=100", 0.2, 0.8),
        ("IVF_HNSW_FLAT?m=4&ef_construction=20&ef=20", 0.1, 0.9),
    ],
)
def test_each_type_is_built_with_the_settings_given(data, spec, least, most):
    """Each type takes the settings of create_index and of a search under LanceDB's names, and the index answers."""
    result = measured(f"lancedb:{spec}", data)
    assert least < result["recall_at_10"] < most
    assert f"3,000 of 3,000 rows are in {spec.partition('?')[0]} with " in result.notes[0]


@pytest.mark.parametrize("kind", ["IVF_PQ", "IVF_HNSW_PQ"])
def test_fewer_than_256_rows_are_not_indexed(kind, scratch):
    """LanceDB trains product quantisation on 256 rows or more, and searches fewer exactly without a word."""
    with pytest.raises(
        NotTheIndexError, match=rf"not the index: {kind} holds 0 of 255 rows\. It trains on 256 rows or more: rows="
    ):
        measured(f"lancedb:{kind}", made_unlike(255))
    assert not [*scratch.iterdir()]


@pytest.mark.parametrize("spec", ["lancedb:IVF_FLAT", "lancedb:IVF_FLAT?num_partitions=10&nprobes=10"])
def test_all_partitions_of_whole_vectors_are_an_exact_search(data, spec):
    """With 20 probes by default, and one partition for 4,096 rows, IVF_FLAT compares each query with all rows."""
    with pytest.raises(NotTheIndexError, match=r"IVF_FLAT searches all of its \d+ partitions\. Give a higher num_part"):
        measured(spec, data)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("num_partitions=16", "num_partitions=16 (11 were made)"),
        ("num_partitions=10&nprobes=11", "nprobes=11 (there are 10 partitions)"),
    ],
)
def test_partitions_that_are_not_made(data, settings, said):
    """LanceDB makes no more partitions than it can train on 256 rows each, and tells a log; more probes change nothing."""
    with pytest.raises(
        NotTheIndexError,
        match=re.escape(f"LanceDB: {said} has no effect on IVF_PQ of 3,000 rows. Leave it out, or grow"),
    ):
        measured(f"lancedb:IVF_PQ?{settings}", data)


def test_ef_counts_only_where_a_search_can_miss():
    """On so few rows that any ef finds the same, ef has no effect."""
    with pytest.raises(NotTheIndexError, match="ef=100 has no effect on IVF_HNSW_FLAT of 40 rows"):
        measured("lancedb:IVF_HNSW_FLAT?ef=100", made_unlike(40))


def test_a_setting_that_the_index_does_not_have(data, monkeypatch):
    """A setting that LanceDB would drop is seen in the details of the index."""
    from lancedb.index import HnswSq
    from lancedb.table import LanceTable

    create = LanceTable.create_index
    monkeypatch.setattr(LanceTable, "create_index", lambda self, column, **_: create(self, column, config=HnswSq()))
    with pytest.raises(NotTheIndexError, match="m=4 has no effect"):
        measured("lancedb:IVF_HNSW_SQ?m=4", data)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("lancedb:IVF_PQ?ef=10", "there is no setting 'ef'"),
        ("lancedb:IVF_FLAT?refine_factor=2", "there is no setting 'refine_factor'"),
        ("lancedb:IVF_HNSW_SQ?num_sub_vectors=8", "there is no setting 'num_sub_vectors'"),
        ("lancedb:IVF_FLAT?m=8", "there is no setting 'm'"),
        ("lancedb:IVF_PQ?nprobe=8", "there is no setting 'nprobe'. Did you mean 'nprobes'?"),
        ("lancedb:HNSW", "there is no type 'HNSW'"),
    ],
)
def test_what_a_type_lacks_is_an_error_at_collection(spec, said):
    """LanceDB ignores ef of an index without a graph; here it is no setting of that type."""
    with pytest.raises(SpecError, match=re.escape(said)):
        parse_index(spec)


def test_new_rows_are_searched_exactly_until_optimize(data):
    """Rows that were added are outside the index, which flatters it; optimize() puts them in."""
    spec = f"lancedb:IVF_PQ?{LISTS}&num_sub_vectors=8"
    without, optimised = measured(spec, data, churn=3), measured(f"{spec}&optimize=true", data, churn=3)
    after = "after 3 rounds of changes"
    assert recalls(without)[after] > recalls(without)[""] + 0.1
    assert abs(recalls(optimised)[after] - recalls(optimised)[""]) < 0.1
    assert re.search(
        r"1,\d\d\d of 3,000 rows are in IVF_PQ with num_partitions=10, and the others are searched exactly",
        without.notes[1],
    )
    assert optimised.notes[1].startswith("LanceDB: 3,000 of 3,000 rows are in IVF_PQ with ")


def test_rows_are_deleted_filtered_and_kept(data):
    """An index of a table is searched after a deletion, under a filter, and from the folder where it is kept."""
    result = measured(f"lancedb:IVF_FLAT?{LISTS}", data, delete_nearest=5, reopen=True, filter=0.05)
    found = recalls(result)
    assert set(found) == {"", "after deleting the nearest 5", "reopened", "filter 5.0%"}
    assert all(0.3 < recall < 1 for recall in found.values())
    assert found["reopened"] == found["after deleting the nearest 5"]


def test_a_sweep_searches_one_index(data):
    """More probes find more, and a longer list to refine does."""
    sweep = {"nprobes": [1, 4, 9], "refine_factor": [1, 20]}
    curve = measured(f"lancedb:IVF_PQ?{LISTS}", data, sweep=sweep).curve
    assert [point.setting for point in curve] == ["nprobes"] * 3 + ["refine_factor"] * 2
    assert curve[0].recall < curve[1].recall < curve[2].recall + 0.05
    assert curve[3].recall + 0.2 < curve[4].recall


def test_the_metric_is_not_the_models():
    """On vectors of different lengths LanceDB's default, L2, is not the cosine of the model: the cause says so."""
    data = made_unlike(longest=3.0)
    result = measured("lancedb:IVF_FLAT?num_partitions=10&nprobes=9", data)
    assert "by L2 distance, the model by cosine" in find_causes(result)[0]
    right = measured("lancedb:IVF_FLAT?num_partitions=10&nprobes=9&distance_type=cosine", data)
    assert result["recall_at_10"] + 0.2 < right["recall_at_10"]


def test_a_search_that_lancedb_refuses(data):
    """LanceDB takes no ef below the number of rows asked for; its own sources are left out of what it says."""
    with pytest.raises(IndexFaultError, match=r"LanceDB can't search: .*ef must be") as refused:
        measured("lancedb:IVF_HNSW_SQ?ef=5", data)
    assert str(refused.value).endswith("greater than or equal to k")


def test_any_text_is_an_id(data):
    """Ids with quotes are found and deleted as they are."""
    from dataclasses import replace

    quoted = replace(data, ids=[f"it's \"{row}\" \\ 'or 1=1" for row in range(len(data.ids))])
    state = measured(f"lancedb:IVF_FLAT?{LISTS}", quoted, delete_nearest=3).states[-1]
    assert state.recall > 0.3


def test_a_build_that_fails_leaves_nothing(data, scratch):
    """What LanceDB refuses is one error, and the folder is gone."""
    with pytest.raises(IndexFaultError, match=r"LanceDB can't build IVF_PQ of 3,000 vectors: .*must divide"):
        measured("lancedb:IVF_PQ?num_sub_vectors=7", data)
    assert not [*scratch.iterdir()]


def test_without_the_package(data, monkeypatch):
    """The error names the extra to install."""
    monkeypatch.setattr("pytest_embedqa.index.client.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"(?s)needs the package 'lancedb'.*pytest-embedqa\[lancedb\]"):
        measured("lancedb", data)


def test_numbers_of_a_plan():
    """Plans write large numbers short."""
    from pytest_embedqa.index.clients.lancedb import _number

    plan = "ANNSubIndex: partitions_searched=20, x=1\n ANNIvfPartition: partitions_ranked=1.02 K, partitions_searched=0"
    assert (_number("partitions_searched", plan), _number("partitions_ranked", plan)) == (20, 1020)
    assert np.isclose(_number("other", plan), 0)

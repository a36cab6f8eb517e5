"""Indexes of faiss, and what faiss does without a word."""

from __future__ import annotations

import numpy as np
import pytest
from made import made, measured, recalls

from pytest_embedqa.core.errors import IndexFaultError, NotTheIndexError, SpecError
from pytest_embedqa.index.causes import find_causes
from pytest_embedqa.index.spec import parse_index

faiss = pytest.importorskip("faiss", reason="needs the package faiss-cpu")
DATA = made()
UNEVEN = made(lengths=(0.3, 3))


@pytest.fixture(autouse=True)
def one_thread():
    """Graphs are built alike each time."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    yield
    faiss.omp_set_num_threads(before)


def test_hnsw_is_measured_and_shown_to_answer():
    """A graph loses neighbours, more under a filter; faiss' statistics show how few rows it compares."""
    result = measured("faiss:HNSW8?efSearch=12&efConstruction=20", DATA, filter=0.05, reopen=True)
    found = recalls(result)
    assert 0.5 < found[""] < 0.99
    assert found["filter 5.0%"] < found[""] == found["reopened"]
    assert result.size > DATA.vectors.nbytes
    note = result.notes[0]
    assert note.startswith("faiss: 'HNSW8' compares each query with ")
    assert note.endswith(" of 2,000 rows.")


@pytest.mark.parametrize(
    "index", ["faiss:IVF16,Flat?nprobe=8", "faiss:L2norm,Flat", "faiss:IDMap,L2norm,SQ8", "faiss:L2norm,IDMap,Flat"]
)
def test_rows_keep_their_ids(index):
    """After rows were removed and added, under a filter and from a file, each id stands for its row."""
    result = measured(index, DATA, delete_nearest=3, churn=3, reopen=True, filter=0.05)
    found = recalls(result)
    assert found.pop("filter 5.0%") > 0.7
    assert min(found.values()) > 0.85
    assert [state.own for state in result.states if "filter" not in state.name] == [1, 1, 1, 1]


def test_a_filter_keeps_the_settings():
    """Parameters of a search that name a filter alone would set nprobe to 1 and efSearch to 16."""
    every = measured("faiss:IVF16,Flat?nprobe=14", DATA, filter=0.2)
    assert recalls(every)["filter 20.0%"] > 0.97
    graph = measured("faiss:HNSW8?efSearch=300", DATA, filter=0.2)
    assert recalls(graph)["filter 20.0%"] > 0.97


def test_its_idmap_over_ivf_shifts_ids():
    """One remove_ids of faiss, and nearly all ids stand for the row before or after; so removal is refused there."""
    index = faiss.index_factory(32, "IDMap,IVF1,Flat")
    index.train(DATA.vectors)
    index.add_with_ids(DATA.vectors, np.arange(2000))
    index.remove_ids(np.array([5]))
    _, found = index.search(DATA.vectors[6:], 1)
    assert (found.ravel() == np.arange(6, 2000)).mean() < 0.01
    with pytest.raises(
        SpecError, match="after its IDMap removed a row, ids stand for other rows; IVF takes ids itself"
    ):
        measured("faiss:IDMap,IVF16,Flat", DATA, delete_nearest=1)


@pytest.mark.parametrize(
    ("index", "arguments", "said"),
    [
        (
            "faiss:HNSW32",
            {"churn": 1},
            "churn= needs an index with the method remove, and faiss:HNSW32 has none: faiss removes nothing from a graph",
        ),
        ("faiss:PCA16,NSG16", {"delete_nearest": 1}, "faiss removes nothing from a graph; build it again instead"),
        ("faiss:IVF16,PQ8,RFlat", {"churn": 1}, "faiss removes nothing from a refined index"),
        ("faiss:OPQ8,PQ8", {"filter": 0.1}, "faiss takes no selector of rows for it"),
        ("faiss:HNSW32?nprobe=4", {}, "there is no setting 'nprobe'. It has: metric, efConstruction, efSearch"),
        ("faiss:IVF16,Flat?efSearch=4", {}, "there is no setting 'efSearch'. It has: metric, nprobe"),
        ("faiss:HNSW32?efSearch=16&efSearch=64", {}, "gives the setting 'efSearch' twice"),
        ("faiss", {}, "names no index of faiss. Give a text for its index_factory"),
    ],
)
def test_what_a_type_can_not_do_is_said_at_collection(index, arguments, said):
    """An argument or a setting that means nothing to the type of index is an error before anything is built."""
    with pytest.raises(SpecError) as caught:
        measured(index, None, **arguments)
    assert said in str(caught.value)


def test_the_text_of_the_factory_is_taken_as_it_is():
    """A plus sign is a plus sign, as in faiss' own texts."""
    assert parse_index("faiss:HNSW16_4+PQ8?efSearch=64").kind == "HNSW16_4+PQ8"
    with pytest.raises(SpecError, match="faiss takes no selector of rows for it"):
        measured("faiss:HNSW16_4+PQ8", None, filter=0.1)


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ("faiss:Nonsense", "faiss can't build 'Nonsense' of"),
        ("faiss:Nonsense", "2,000 vectors: could not parse index string Nonsense"),
        ("faiss:IVF4096,Flat", "should be at least as large as number of clusters"),
        ("faiss:PQ7", "should be a multiple of the number of subquantizers"),
    ],
)
def test_faiss_says_why_it_can_not_build(index, said):
    """Its words stand in the error, without its C++."""
    with pytest.raises(IndexFaultError) as caught:
        measured(index, DATA)
    assert said in str(caught.value)


def test_a_setting_that_faiss_refuses_has_no_effect():
    """Where the text promises what the index does not have, the setting is refused when it is set."""
    with pytest.raises(
        NotTheIndexError, match=r"faiss: a setting of 'k_factor_rf=4' has no effect on the index 'RR16,SQ8'"
    ):
        _refused()


def _refused():
    from pytest_embedqa.index.clients.faiss import FaissIndex

    FaissIndex("RR16,SQ8", {"k_factor_rf": 4}, "cosine").build(DATA.vectors, DATA.ids)


@pytest.mark.parametrize("index", ["faiss:IVF16,Flat?nprobe=16", "faiss:HNSW16?efSearch=2000"])
def test_a_search_of_all_rows_is_not_the_index(index):
    """All lists, or as many candidates as there are rows, are exact search: recall 1 would say nothing of production."""
    with pytest.raises(
        NotTheIndexError, match=r"of 2,000 rows: exact search, not the index. Take as many rows as production has"
    ):
        measured(index, DATA)


def test_fewer_candidates_than_neighbours_have_no_effect():
    """faiss searches with efSearch=10 where ten are asked for, whatever is set below."""
    with pytest.raises(
        NotTheIndexError, match="efSearch=4 has no effect where 10 rows are asked for: it searches as with"
    ):
        measured("faiss:HNSW16?efSearch=4", DATA)


def test_flat_is_exact_by_design_and_its_metric_is_not_the_models():
    """IndexFlatL2 over vectors of all lengths: whatever its size it compares all rows, and ranks them by L2."""
    result = measured("faiss:Flat", UNEVEN)
    assert result.notes[0] == "faiss: 'Flat' compares each query with all rows, by design."
    assert result["recall_at_10"] < 0.9
    assert find_causes(result)[0].startswith("the index ranks by L2 distance, the model by cosine: 1.00")
    assert measured("faiss:L2norm,Flat", UNEVEN)["recall_at_10"] == 1
    assert find_causes(measured("faiss:Flat?metric=ip", UNEVEN))[0].startswith("the index ranks by dot product")


def test_stored_types_cost_what_they_save():
    """float16, 8 bits and 4 bits a component: fewer bytes, and fewer neighbours."""
    results = [measured(f"faiss:{kind}", DATA) for kind in ("Flat", "SQfp16", "SQ8", "SQ4")]
    sizes = [result["bytes_per_vector"] for result in results]
    assert sizes == pytest.approx([128, 64, 32, 16], abs=1)
    found = [result["recall_at_10"] for result in results]
    assert found[0] == 1
    assert found[1] > 0.98
    assert found[2] > found[3]
    assert found[3] < 0.95


def test_training_on_few_rows_is_noted():
    """faiss only prints that it wants more rows to train on."""
    note = measured("faiss:IVF64,Flat?nprobe=8", DATA).notes[0]
    assert note.endswith("; trained on 2,000 rows, for which faiss asks for 2,496.")
    assert measured("faiss:PQ1", DATA).notes[0].endswith("for which faiss asks for 9,984.")
    assert "trained" not in measured("faiss:IVF16,Flat?nprobe=8", DATA).notes[0]


def test_a_refined_search_refines():
    """k_factor_rf ranks more candidates exactly."""
    result = measured("faiss:IVF16,PQ4x4,RFlat?nprobe=8", DATA, sweep={"k_factor_rf": [1, 20]})
    assert [point.recall > 0.8 for point in result.curve] == [False, True]


def test_a_graph_without_statistics_says_so():
    """faiss counts nothing in NSG."""
    assert (
        measured("faiss:NSG16", made(600)).notes[0] == "faiss: 'NSG16' is a graph of which faiss keeps no statistics."
    )


def test_each_curve_starts_from_the_given_settings():
    """A second setting is swept with the first as the user gave it, not as the first curve left it."""
    result = measured("faiss:IVF16_HNSW8,Flat?nprobe=2", DATA, sweep={"nprobe": [1, 8], "quantizer_efSearch": [40, 50]})
    one, eight, *others = (point.recall for point in result.curve)
    assert one < result["recall_at_10"] < eight
    assert others == [result["recall_at_10"]] * 2

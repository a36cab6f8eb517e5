"""Indexes of usearch, and what usearch does without a word."""

from __future__ import annotations

import pytest
from made import made, measured, recalls

from pytest_embedqa.core.errors import IndexFaultError, NotTheIndexError, SpecError
from pytest_embedqa.index.causes import find_causes

pytest.importorskip("usearch", reason="needs the package usearch")
DATA = made()


def test_hnsw_is_measured_and_shown_to_answer():
    """Through removals, additions and a file, each id stands for its row; usearch counts the distances it computes."""
    result = measured("usearch?expansion_search=12&dtype=f32", DATA, churn=2, reopen=True)
    found = recalls(result)
    assert 0.5 < found[""] < 0.99
    assert found["reopened"] == found["after 2 rounds of changes"] > found[""] - 0.1
    assert min(state.own for state in result.states) > 0.9
    assert result.notes[0].startswith("usearch: HNSW compares each query with ")
    assert result.notes[0].endswith(" of 2,000 rows, stored as f32.")
    assert result.size > DATA.vectors.nbytes


def test_a_loaded_index_keeps_its_settings():
    """usearch's file holds no expansion_search, so it is given again: a wide search stays wide."""
    found = recalls(measured("usearch?connectivity=4&expansion_search=300&dtype=f32", DATA, reopen=True))
    assert found["reopened"] == found[""]


def test_the_type_that_usearch_chooses_is_named():
    """Without dtype, the processor decides how vectors are stored."""
    assert measured("usearch", DATA).notes[0].endswith(", chosen for this processor.")


def test_types_cost_what_they_save():
    """A byte or a bit a component: fewer bytes, and fewer neighbours."""
    results = [measured(f"usearch?dtype={dtype}", DATA) for dtype in ("f32", "i8", "u8")]
    results.append(measured("usearch?dtype=b1&metric=hamming", DATA))
    found = [result["recall_at_10"] for result in results]
    sizes = [result["bytes_per_vector"] for result in results]
    assert found[0] > 0.98
    assert found[0] > found[1] > 0.9
    assert max(found[2:]) < 0.5
    assert sizes[0] - sizes[1] == pytest.approx(96)
    assert sizes[1] - sizes[3] == pytest.approx(28)


def test_bytes_are_compared_by_cosine():
    """With i8, usearch makes all vectors equally long, and an inner product becomes a cosine without a word."""
    data = made(lengths=(0.3, 3), similarity="dot")
    assert measured("usearch?metric=ip&dtype=f32", data)["recall_at_10"] > 0.98
    result = measured("usearch?metric=ip&dtype=i8", data)
    assert result["recall_at_10"] < 0.8
    assert find_causes(result)[0].startswith("the index ranks by cosine, the model by dot product")


def test_the_metric_is_usearchs_own_unless_it_is_given():
    """Its default is the cosine; L2 over vectors of all lengths is named."""
    data = made(lengths=(0.3, 3))
    assert measured("usearch?dtype=f32", data)["recall_at_10"] > 0.98
    cause = find_causes(measured("usearch?dtype=f32&metric=l2sq", data))[0]
    assert cause.startswith("the index ranks by L2 distance, the model by cosine")


@pytest.mark.parametrize("settings", ["dtype=b1", "dtype=b1&metric=cos", "dtype=f32&metric=hamming"])
def test_bits_go_with_metrics_of_bits(settings):
    """usearch itself takes them, and returns any rows."""
    with pytest.raises(
        IndexFaultError, match=r"usearch can't compare vectors of the type \w+ by \w+, and returns wrong rows"
    ):
        measured(f"usearch?{settings}", DATA)


def test_usearch_says_why_it_can_not_build():
    """Its words stand in the error."""
    with pytest.raises(IndexFaultError, match="usearch can't build an index: Connectivity must be at least 2"):
        measured("usearch?connectivity=1", DATA)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("expansion_search=2000", "of 2,000 rows: exact search, not the index"),
        ("expansion_search=4", "expansion_search=4 has no effect where 10 rows are asked for"),
    ],
)
def test_the_search_must_be_that_of_the_index(setting, said):
    """All rows as candidates are exact search, and fewer than the neighbours have no effect."""
    with pytest.raises(NotTheIndexError) as caught:
        measured(f"usearch?{setting}", DATA)
    assert said in str(caught.value)


def test_a_setting_that_usearch_does_not_hold_is_an_error(monkeypatch):
    """Settings are read back from the index."""
    import usearch.index

    class Deaf(usearch.index.Index):
        def __init__(self, **settings):
            super().__init__(**settings | {"connectivity": 16})

    monkeypatch.setattr(usearch.index, "Index", Deaf)
    with pytest.raises(NotTheIndexError, match="usearch: connectivity=8 has no effect; it holds 16"):
        measured("usearch?connectivity=8", DATA)


@pytest.mark.parametrize(
    ("index", "arguments", "said"),
    [
        ("usearch", {"filter": 0.1}, "filter= needs an index with the method search_below, and usearch has none"),
        (
            "usearch?ef=10",
            {},
            "there is no setting 'ef'. It has: metric, dtype, connectivity, expansion_add, expansion_search",
        ),
        ("usearch?dtype=float16", {}, "the value in dtype=float16 is wrong: one of f64, f32"),
        ("usearch:flat", {}, "there is no type 'flat'. It has: hnsw"),
    ],
)
def test_what_usearch_lacks_is_said_at_collection(index, arguments, said):
    """Its Python package has no filter, and its settings have their own names."""
    with pytest.raises(SpecError) as caught:
        measured(index, None, **arguments)
    assert said in str(caught.value)


def test_a_curve_is_drawn_of_searching_and_of_building():
    """A setting of the search needs one index, a setting of the building one for each value."""
    sweep = {"expansion_search": [10, 100], "connectivity": [2, 16]}
    result = measured("usearch?dtype=f32&expansion_search=20", DATA, sweep=sweep)
    narrow, wide, few, many = (point.recall for point in result.curve)
    assert narrow < result["recall_at_10"] < wide
    assert few < many == pytest.approx(result["recall_at_10"], abs=0.05)

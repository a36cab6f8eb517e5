"""Indexes of hnswlib, and what hnswlib does without a word."""

from __future__ import annotations

import pytest
from made import made, measured, recalls

from pytest_embedqa.core.errors import IndexFaultError, NotTheIndexError, SpecError
from pytest_embedqa.index.causes import find_causes

hnswlib = pytest.importorskip("hnswlib", reason="needs the package hnswlib")
DATA = made()


@pytest.mark.parametrize(("replaces", "lost"), [("", 0.1), ("&allow_replace_deleted=true", 0.3)])
def test_hnsw_is_measured_and_shown_to_answer(replaces, lost):
    """Through removals, additions and a file, each id stands for its row; rows in the places of others are found less."""
    result = measured(f"hnswlib?M=8&ef=20{replaces}", DATA, delete_nearest=2, churn=3, reopen=True, filter=0.1)
    found = recalls(result)
    assert 0.5 < found[""] < 0.99
    assert min(found.values()) > found[""] - lost
    assert found["reopened"] == found["after 3 rounds of changes"]
    assert min(state.own for state in result.states if state.own is not None) > 0.7
    assert result.notes[0].startswith("hnswlib: HNSW takes ")
    assert result.notes[0].endswith(" of 2,000 rows as candidates for a query, with ef=20.")
    assert result.size > DATA.vectors.nbytes


def test_removed_places_are_taken_again():
    """With allow_replace_deleted an index does not grow by rounds of changes; without, a row is written over its old place."""
    sizes = set()
    for replaces in ("false", "true"):
        result = measured(f"hnswlib?allow_replace_deleted={replaces}", made(600), churn=3)
        sizes.add(result.size)
        assert recalls(result)["after 3 rounds of changes"] > 0.8
    assert len(sizes) == 1


def test_its_labels_are_lost_when_they_are_used_again():
    """hnswlib forgets a label that is added again in another's place, so rows that are added get new labels here."""
    index = hnswlib.Index("l2", 32)
    index.init_index(max_elements=100, allow_replace_deleted=True)
    index.set_num_threads(1)
    index.add_items(DATA.vectors[:100], range(100))
    for label in range(100):
        index.mark_deleted(label)
    index.add_items(DATA.vectors[:100], range(99, -1, -1), replace_deleted=True)
    assert len(index.get_ids_list()) < 100
    with pytest.raises(RuntimeError, match="Label not found"):
        list(map(index.mark_deleted, range(100)))


def test_a_loaded_index_searches_as_before():
    """hnswlib's file does not keep ef, and goes back to 10 without a word; it is set again here."""
    found = recalls(measured("hnswlib?M=4&ef=300", DATA, reopen=True))
    assert found["reopened"] == found[""] > 0.9


def test_the_space_is_the_models_unless_it_is_given():
    """It has no default; L2 over vectors of all lengths is named."""
    uneven = made(lengths=(0.3, 3))
    assert measured("hnswlib?ef=100", uneven)["recall_at_10"] > 0.97
    assert measured("hnswlib?ef=100&M=32", made(lengths=(0.3, 3), similarity="dot"))["recall_at_10"] > 0.9
    result = measured("hnswlib?ef=100&space=l2", uneven)
    assert find_causes(result)[0].startswith("the index ranks by L2 distance, the model by cosine")


def test_a_search_that_finds_too_few_fails_as_it_does_for_users():
    """hnswlib returns nothing where its graph leads to fewer rows than a query asks for."""
    with pytest.raises(
        IndexFaultError, match="hnswlib finds fewer than the 500 rows that a query asks for, and returns none"
    ):
        measured("hnswlib?M=2&ef_construction=2", DATA, k=500)


def test_fewer_rows_than_neighbours_are_no_fault():
    """Where a filter lets through fewer than k rows, all of them can come back."""
    result = measured("hnswlib?ef=100", DATA, filter=0.003)
    assert result.states[1].wanted < 10
    assert recalls(result)["filter 0.3%"] > 0.5


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("ef=2000", "of 2,000 rows: exact search, not the index"),
        ("ef=4", "ef=4 has no effect where 10 rows are asked for"),
        ("ef_construction=4", "ef_construction=4 has no effect; it takes 16 instead"),
    ],
)
def test_the_search_must_be_that_of_the_index(setting, said):
    """All rows as candidates are exact search; what hnswlib overrides has no effect."""
    with pytest.raises(NotTheIndexError) as caught:
        measured(f"hnswlib?{setting}", DATA)
    assert said in str(caught.value)


def test_hnswlib_says_why_it_can_not_build():
    """Its words stand in the error."""
    with pytest.raises(IndexFaultError, match="hnswlib can't build an index of 2,000 vectors: Not enough memory"):
        measured("hnswlib?M=1", DATA)


def test_an_unknown_setting_is_an_error_at_collection():
    """Settings have hnswlib's own names."""
    with pytest.raises(SpecError, match=r"there is no setting 'efSearch'. It has: space, M, ef_construction"):
        measured("hnswlib?efSearch=10", None)


def test_a_curve_is_drawn_of_ef():
    """Wider searches find more."""
    points = measured("hnswlib?M=4", DATA, sweep={"ef": [10, 40, 200]}).curve
    assert [point.value for point in points] == ["10", "40", "200"]
    assert points[0].recall < points[1].recall < points[2].recall

"""Tables of sqlite-vec: exact, but for the types of their vectors, their metric and their limit."""

from __future__ import annotations

import sqlite3

import pytest
from made import made, measured, recalls

from pytest_embedqa.core.errors import IndexFaultError, MissingExtraError, SpecError
from pytest_embedqa.index.causes import find_causes
from pytest_embedqa.index.clients import sqlite_vec
from pytest_embedqa.index.load import load_index

pytest.importorskip("sqlite_vec", reason="needs the package sqlite-vec")
DATA = made()


@pytest.mark.parametrize("kind", ["float", "int8", "bit"])
def test_rows_keep_their_ids(kind):
    """Through removals, additions, a filter and a closed file, each type finds what it found at first."""
    result = measured(f"sqlite-vec:{kind}", DATA, delete_nearest=2, churn=2, reopen=True, filter=0.1)
    found = recalls(result)
    assert found["reopened"] == found["after 2 rounds of changes"]
    assert [state.own for state in result.states if "filter" not in state.name] == [1, 1, 1, 1]
    assert result.states[-1].exact.among.sum() < 2000
    assert found[""] == 1 if kind == "float" else found[""] < 0.99
    assert f"compares each query with all rows, by design, as {kind}." in result.notes[0]


def test_types_cost_what_they_save():
    """A byte or a bit a component: smaller files, and fewer neighbours."""
    results = [measured(f"sqlite-vec:{kind}", DATA) for kind in ("float", "int8", "bit")]
    found = [result["recall_at_10"] for result in results]
    sizes = [result["bytes_per_vector"] for result in results]
    assert found == sorted(found, reverse=True)
    assert found[2] < 0.5
    assert sizes[0] - 96 == pytest.approx(sizes[1], abs=10)
    assert sizes[1] > sizes[2]


def test_the_metric_is_l2_unless_it_is_given():
    """L2 over vectors of all lengths is named."""
    uneven = made(lengths=(0.3, 3))
    result = measured("sqlite-vec", uneven)
    assert find_causes(result)[0].startswith("the index ranks by L2 distance, the model by cosine: 1.00")
    assert measured("sqlite-vec?distance_metric=cosine", uneven)["recall_at_10"] == 1


def test_components_that_are_cut_off_are_noted():
    """vec_quantize_int8 takes what lies outside of -1 to 1 for -1 or 1, without a word."""
    result = measured("sqlite-vec:int8?distance_metric=cosine", made(lengths=(20, 30)))
    assert result["recall_at_10"] < 0.8
    assert "% of all components are outside of -1 to 1, and vec_quantize_int8 cuts them off" in result.notes[0]
    assert "outside" not in measured("sqlite-vec:int8", DATA).notes[0]


def test_its_limit_of_rows_is_an_error():
    """A search for more than 4,096 rows is refused in its words."""
    with pytest.raises(
        IndexFaultError,
        match="sqlite-vec can't execute a statement on its float table: k value in knn query too large, provided 4097",
    ):
        measured("sqlite-vec", DATA, k=4097)


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ("sqlite-vec:float16", "there is no type 'float16'. Did you mean 'float'? It has: float, int8, bit"),
        (
            "sqlite-vec?distance_metric=ip",
            "the value in distance_metric=ip is wrong: one of l2, l1, cosine is expected",
        ),
        ("sqlite-vec:bit?distance_metric=cosine", "there is no setting 'distance_metric'. It has: none"),
    ],
)
def test_wrong_specs_are_errors_at_collection(index, said):
    """sqlite-vec itself reads float16 as float."""
    with pytest.raises(SpecError) as caught:
        measured(index, None)
    assert said in str(caught.value)


def test_a_python_without_extensions_needs_another_sqlite(monkeypatch):
    """Where Python's own sqlite3 loads no extensions and no other is installed, the extra is named."""
    monkeypatch.setattr(sqlite_vec, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError) as caught:
        measured("sqlite-vec", DATA)
    assert (
        "The index 'sqlite-vec', where Python's own sqlite3 was built without extensions, needs the package 'pysqlite3'"
        in str(caught.value)
    )
    assert 'pip install "pytest-embedqa[sqlite-vec]"' in str(caught.value)


def test_pythons_own_sqlite_is_used_where_it_can():
    """pysqlite3 stands in only where it must."""
    own = hasattr(sqlite3.Connection, "enable_load_extension")
    assert sqlite_vec._driver().__name__ == ("sqlite3.dbapi2" if own else "pysqlite3.dbapi2")


def test_the_file_is_removed(monkeypatch, tmp_path):
    """Closing removes it, and building again leaves one."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    index = load_index("sqlite-vec", "cosine")
    for _ in range(2):
        index.build(DATA.vectors, DATA.ids)
        assert len(list(tmp_path.iterdir())) == 1
    index.close()
    assert not list(tmp_path.iterdir())

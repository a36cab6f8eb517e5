"""Vector indexes: exact, the same in memory and on disk."""

from __future__ import annotations

import gc
import importlib.util
import subprocess
import sys
import weakref

import numpy as np
import pytest

from pytest_embedqa.core.errors import DataError, MissingExtraError
from pytest_embedqa.core.measures import paired_cosine
from pytest_embedqa.encoders.representations import MULTI_VECTOR
from pytest_embedqa.encoders.retrievers.passage import Passage
from pytest_embedqa.rag.index import LanceIndex, MemoryIndex
from pytest_embedqa.rag.metric import Metric

DIM = 24


@pytest.fixture(params=["memory", "lancedb"])
def index(request, tmp_path):
    """An empty index of each kind."""
    made = MemoryIndex() if request.param == "memory" else LanceIndex(tmp_path)
    made.column(Metric())
    return made


def passages(count, start=0):
    """Different passages, some without a page."""
    return [Passage(f"text '{i}'", f"folder/{i}.md", page=i if i % 2 else None) for i in range(start, start + count)]


def vectors(count, seed=0):
    """Random vectors of different lengths."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, DIM)) * rng.uniform(0.1, 9, size=(count, 1))).astype(np.float32)


def test_nearest_are_those_of_a_plain_computation(index):
    """Positions and scores are those of all cosines in float64, whatever the vectors' lengths, over several slices."""
    rows = vectors(500)
    index.add(passages(300), [rows[:300]])
    index.add(passages(200, 300), [rows[300:]])
    for query in vectors(20, seed=1):
        cosines = paired_cosine(rows, np.broadcast_to(query, rows.shape))
        hits = index.nearest(query[None], 7)
        assert [position for position, _ in hits] == np.argsort(-cosines)[:7].tolist()
        assert [score for _, score in hits] == pytest.approx(np.sort(cosines)[::-1][:7], abs=1e-5)


def test_both_give_the_same(tmp_path):
    """Memory and disk return the same passages with the same scores."""
    memory, disk, rows = MemoryIndex(), LanceIndex(tmp_path), vectors(2000)
    for one in (memory, disk):
        one.column(Metric())
        one.add(passages(2000), [rows])
    for query in vectors(20, seed=1):
        hits = memory.nearest(query[None], 50)
        assert disk.nearest(query[None], 50) == [(position, pytest.approx(score, abs=1e-5)) for position, score in hits]
        assert disk.passages(hits) == memory.passages(hits)


@pytest.mark.parametrize("by", ["maxsim", "meanmaxsim"])
def test_multi_vectors_of_any_length_are_alike_in_memory_and_on_disk(tmp_path, by):
    """Sum or mean of each query token's best dot product, of vectors that are not of length 1, too."""
    documents, query = [vectors(1 + number % 7, seed=number) for number in range(60)], vectors(5, seed=99)
    expected = np.array([(query @ document.T).max(axis=1).sum() for document in documents])
    expected = expected / len(query) if by == "meanmaxsim" else expected
    for index in (MemoryIndex(), LanceIndex(tmp_path)):
        index.column(Metric(MULTI_VECTOR, by))
        index.add(passages(60), [documents])
        hits = index.nearest([query], 7)
        assert [position for position, _ in hits] == np.argsort(-expected)[:7].tolist()
        assert [score for _, score in hits] == pytest.approx(np.sort(expected)[::-1][:7], rel=1e-4)
        assert index.scores([query], [3, 1]) == pytest.approx(expected[[3, 1]], rel=1e-4)


@pytest.mark.parametrize("k", [1, 3, 50])
def test_equal_vectors_come_by_position(index, k):
    """Passages with one vector, but for rounding, come in the order of the corpus, and none is lost where ``k`` cuts."""
    rows = vectors(200)
    rows[20:120] = rows[7] * (1 + 1e-5 * vectors(100, seed=1))
    index.add(passages(200), [rows])
    assert [position for position, _ in index.nearest(rows[7:8], k)] == [7, *range(20, 120)][:k]


def test_equal_passages_of_a_large_corpus_tie():
    """Equal vectors have equal scores, though threads share out the sums of a large corpus in different ways."""
    index, rows = MemoryIndex(), np.random.default_rng(0).normal(size=(30_007, 384)).astype(np.float32)
    rows[::3] = rows[0]
    index.column(Metric())
    index.add(passages(len(rows)), [rows])
    query = rows[0] + 0.5 * rows[1]
    assert len(set(index.scores(query[None], range(len(rows)))[::3].tolist())) == 1
    assert [position for position, _ in index.nearest(query[None], 99)] == [*range(0, 99 * 3, 3)]


def test_more_than_there_are(index):
    """A ``k`` beyond the corpus gives the whole corpus."""
    index.add(passages(3), [vectors(3)])
    assert sorted(position for position, _ in index.nearest(vectors(1), 10)) == [0, 1, 2]
    assert index.size == 3


@pytest.mark.parametrize("positions", [[5, 0, 9], [5], [], list(range(9, -1, -1))])
def test_cosines_are_in_the_order_asked(index, positions):
    """Cosines of some passages come in the order of their positions, also for all of them in another order."""
    rows, query = vectors(10), vectors(1, seed=1)[0]
    index.add(passages(10), [rows])
    expected = paired_cosine(rows[positions], np.broadcast_to(query, (len(positions), DIM)))
    assert index.scores(query[None], positions) == pytest.approx(expected, abs=1e-5)


def test_passages_come_back_as_they_went_in(index):
    """Text, source and pages survive, in the order of the hits, with their scores."""
    given = [
        Passage('"quoted", 图书馆\n\x00', "a/ü.pdf", page=3, last_page=5, page_starts=(2, 9)),
        Passage("", None),
        Passage("c", "c.md"),
    ]
    index.add(given, [vectors(3)])
    assert index.passages([(2, 0.5), (0, 0.25)]) == [
        Passage("c", "c.md", score=0.5),
        Passage('"quoted", 图书馆\n\x00', "a/ü.pdf", page=3, last_page=5, page_starts=(2, 9), score=0.25),
    ]
    assert index.passages([(1, 0.0)]) == [Passage("", score=0.0)]
    assert index.passages([]) == []


def test_zero_vector_has_cosine_0(index):
    """A zero vector is neither near nor an error."""
    rows = vectors(2)
    rows[1] = 0
    index.add(passages(2), [rows])
    assert index.nearest(rows[:1], 2) == [(0, pytest.approx(1, abs=1e-5)), (1, 0)]


@pytest.mark.parametrize(
    "ask", [lambda index, query: index.nearest(query[None], 1), lambda index, query: index.scores(query[None], [0])]
)
def test_query_of_another_model(index, ask):
    """A vector of other dimensions is refused with both dimensions named."""
    index.add(passages(2), [vectors(2)])
    with pytest.raises(DataError, match=r"24 dimensions.* 8: they do not belong together"):
        ask(index, np.ones(8, dtype=np.float32))


def test_new_table_replaces_the_old_one(tmp_path):
    """An index in a used folder holds only what is added to it."""
    old, index = LanceIndex(tmp_path), LanceIndex(tmp_path)
    for one in (old, index):
        one.column(Metric())
    old.add(passages(5), [vectors(5)])
    index.add(passages(2, 7), [vectors(2)])
    assert [one.source for one in index.passages(index.nearest(vectors(1), 9))] == ["folder/7.md", "folder/8.md"]


def test_lancedb_is_silent(tmp_path):
    """Building and searching prints nothing."""
    # Not in 5 dimensions: there OpenBLAS reads past the vector on CPUs with AVX-512, and numpy may warn of what it read.
    code = """
import sys
from pathlib import Path
import numpy as np
from pytest_embedqa.rag.metric import Metric
from pytest_embedqa.rag.index import LanceIndex
from pytest_embedqa.encoders.retrievers.passage import Passage
index, query = LanceIndex(Path(sys.argv[1])), np.ones((1, 4), dtype=np.float32)
index.column(Metric())
for _ in range(2):
    index.add([Passage("a")] * 4, [np.eye(4, dtype=np.float32)])
index.passages(index.nearest(query, 3))
index.scores(query, [1, 2])
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_missing_lancedb_is_named(tmp_path, monkeypatch):
    """Without LanceDB, the error says how to install it."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"'lancedb'[^\n]*\n.*pytest-embedqa\[lancedb\]"):
        LanceIndex(tmp_path)


def test_close_frees_what_is_held(index):
    """After ``close`` nothing holds on to the vectors, or to the table that reads them."""
    index.add(passages(2), [vectors(2)])
    held = weakref.ref(index._vectors[0] if isinstance(index, MemoryIndex) else index._table)
    index.close()
    gc.collect()
    assert held() is None

"""Growing data by ``rows=``: made rows stand among the real ones as further real ones would."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_embedqa.core.errors import SpecError
from pytest_embedqa.index.data import Data
from pytest_embedqa.index.growth import grown

QUERIES, DIM = 300, 96


def real(count, seed=0):
    """Vectors that, as those of texts, spread in few directions far and in many a little."""
    spread = (1 + np.arange(DIM)) ** -0.7
    return (np.random.default_rng(seed).normal(size=(count, DIM)) * spread).astype(np.float32)


def data_of(vectors):
    """Data with queries of the same kind, which are none of its rows."""
    ids = [f"d{number}" for number in range(len(vectors))]
    queries = real(QUERIES, seed=9)
    return Data("made", ids, vectors, [f"q{number}" for number in range(QUERIES)], queries, {}, "cosine")


def nearest(data):
    """Mean similarities of the queries with their first and tenth neighbour, and which neighbours are real."""
    exact = data.exact(10)
    return exact.scores[:, 0].mean(), exact.scores[:, -1].mean(), exact.rows


def test_the_documents_stay_and_made_rows_follow():
    """Ids are distinct, the first rows are those of the task, lengths are those of real rows, and a note says how many are made."""
    vectors = real(50) * np.linspace(1, 3, 50, dtype=np.float32)[:, None]
    found = grown(data_of(vectors), 1_000)
    assert len(set(found.ids)) == len(found.vectors) == 1_000
    assert found.vectors.dtype == np.float32
    np.testing.assert_array_equal(found.vectors[:50], vectors)
    lengths = np.linalg.norm(vectors, axis=1)
    assert np.abs(np.linalg.norm(found.vectors, axis=1)[:, None] - lengths).min(axis=1).max() < 1e-4
    (note,) = found.notes
    assert note.startswith("950 of 1,000 rows are made: drawn around documents, as far as their neighbours are.")
    np.testing.assert_array_equal(found.vectors, grown(data_of(vectors), 1_000).vectors)


def test_made_rows_are_as_near_as_real_ones_would_be():
    """Grown from 500 to 4,000, queries find their neighbours about as near as among 4,000 real rows, and most are made."""
    small, large = data_of(real(500)), data_of(real(4_000, seed=2))
    few, many, made = (nearest(one) for one in (small, large, grown(small, 4_000)))
    for place in (0, 1):
        assert few[place] < many[place] - 0.02
        assert abs(made[place] - many[place]) < (many[place] - few[place]) / 2
    assert np.mean(made[2] >= 500) > 0.5


def test_an_index_loses_on_made_rows_about_what_it_loses_on_real_ones():
    """Grown from 500 to 4,000, recall of a graph is nearer than half-way to that on 4,000 real rows: here mixtures are not."""
    faiss = pytest.importorskip("faiss")
    recalls = []
    for one in (data_of(real(500)), data_of(real(4_000, seed=2)), grown(data_of(real(500)), 4_000)):
        index = faiss.index_factory(DIM, "HNSW4")
        index.add(one.comparable(one.vectors))
        hits = index.search(one.comparable(one.queries), 10)[1].tolist()
        recalls.append(one.exact(10).recalls([[row for row in rows if row >= 0] for rows in hits]).mean())
    few, many, made = recalls
    assert many < few - 0.1
    assert abs(made - many) < (few - many) / 2


def test_made_rows_stay_within_their_subject():
    """Of documents on two subjects none is drawn between the two, as a mixture would be."""
    vectors = real(200) + np.where(np.arange(200) % 2, 20, -20)[:, None] * np.eye(1, DIM, dtype=np.float32)
    made = grown(data_of(vectors), 1_000).vectors[200:, 0]
    assert np.abs(made).min() > 10
    assert 0.4 < np.mean(made > 0) < 0.6


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_documents_can_be_grown(count):
    """However few there are: copies of a single document, since nothing says how others would differ."""
    found = grown(data_of(real(count)), 20)
    assert np.isfinite(found.vectors).all()
    assert len(found.vectors) == 20


def test_data_is_never_made_smaller():
    """Fewer rows than documents is an error; as many change nothing."""
    data = data_of(real(30))
    assert grown(data, None) is grown(data, 30) is data
    with pytest.raises(
        SpecError, match=r"rows=29 is less than the 30 documents of made\. Leave it out, or take more\."
    ):
        grown(data, 29)

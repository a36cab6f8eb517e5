"""Rescoring inside the search for mteb: against a search written out."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from mteb.types import PromptType

from pytest_embedqa.core.identity import Identity
from pytest_embedqa.core.measures import normalised
from pytest_embedqa.encoders.quantization import Quantization
from pytest_embedqa.encoders.representations import DENSE
from pytest_embedqa.quality.mteb import exact_search as module
from pytest_embedqa.quality.mteb.exact_search import CorpusSearch, Similarity
from pytest_embedqa.quality.mteb.model import MtebModel

RNG = np.random.default_rng(1)
DOCUMENTS = normalised(RNG.standard_normal((500, 32)).astype(np.float32))
QUERIES = normalised(DOCUMENTS[:40] + 0.15 * RNG.standard_normal((40, 32)).astype(np.float32))
RANGES = np.stack([DOCUMENTS.min(axis=0), DOCUMENTS.max(axis=0)])
PRECISIONS = pytest.mark.parametrize("precision", ["int8", "ubinary"])
SIMILARITIES = pytest.mark.parametrize("similarity", ["cosine", "dot"])


class Numbers:
    """A corpus whose texts are the numbers of its documents."""

    def __init__(self, count):
        """With so many documents."""
        self.count = count

    def __len__(self):
        """Documents in it."""
        return self.count

    def texts(self, numbers):
        """The numbers themselves."""
        return numbers


def searching(coarser, similarity="cosine", documents=DOCUMENTS, count=500):
    """A search of documents that are held coarsely."""
    held = coarser(documents)
    rescored = coarser if coarser.rescore else None
    return CorpusSearch(Numbers(count), lambda rows: held[rows], Similarity(DENSE, similarity), rescored=rescored)


def compared(similarity, first, second):
    """Similarity of each row with each row."""
    return first @ second.T if similarity == "dot" else normalised(first) @ normalised(second).T


@pytest.fixture(params=[64, 1 << 14])
def _blocks(request, monkeypatch):
    """Documents come in small blocks, or in one."""
    monkeypatch.setattr(module, "_DOCUMENTS", request.param)


@pytest.mark.usefixtures("_blocks")
@SIMILARITIES
@PRECISIONS
def test_best_candidates_are_ordered_by_the_float_query(precision, similarity):
    """The first stage chooses 20 of the whole corpus, the float query orders them, and the rest follows in its order."""
    coarser = Quantization(precision, RANGES, rescore=2)
    held = coarser(DOCUMENTS)
    first = compared(similarity, coarser(QUERIES), held)
    tie = 1e-6 * np.abs(first).max()
    for query, ranking in enumerate(searching(coarser, similarity).whole(QUERIES, 500)):
        assert sorted(ranking.places) == list(range(500))
        assert (np.diff(ranking.scores) <= tie).all()
        bound = np.sort(first[query])[-20]
        assert (first[query][ranking.places[:20]] >= bound - tie).all()
        again = compared(similarity, QUERIES[query : query + 1], coarser.restored(held[ranking.places[:20]]))[0]
        assert (np.diff(again) <= 1e-6).all()
        np.testing.assert_allclose(ranking.scores[:20], again, atol=1e-5)
        assert (np.diff(first[query][ranking.places[20:]]) <= tie).all()


@SIMILARITIES
def test_rescoring_finds_what_the_first_stage_misses(similarity):
    """What it is for: whole vectors find every document, and their signs alone seven of ten."""
    plain, rescored = Quantization("ubinary"), Quantization("ubinary", rescore=4)

    def found(search, queries):
        """Share of the queries whose own document is the first."""
        return np.mean([ranking.places[0] == query for query, ranking in enumerate(search.whole(queries, 10))])

    before = found(searching(plain, similarity), plain(QUERIES))
    assert before < 0.75
    assert found(searching(rescored, similarity), QUERIES) > before + 0.1


@PRECISIONS
def test_lengths_that_are_not_one(precision):
    """However negative a rescored product of long vectors is, it stands before what was not rescored."""
    queries, documents = QUERIES * 50, DOCUMENTS * 50
    coarser = Quantization(precision, RANGES * 50, rescore=40)
    again = queries @ coarser.restored(coarser(documents)).T
    for query, ranking in enumerate(searching(coarser, "dot", documents).whole(queries, 500)):
        assert again[query][ranking.places[:400]].min() < -10
        assert (np.diff(again[query][ranking.places[:400]]) <= 1e-3).all()
        assert (np.diff(ranking.scores) <= 1e-3).all()


def test_fewer_documents_than_candidates():
    """A short list to rank again is rescored whole."""
    coarser = Quantization("ubinary", rescore=4)
    expected = np.argsort(-compared("cosine", QUERIES, coarser(DOCUMENTS[:3])), axis=1, kind="stable")
    rankings = searching(coarser, count=3).whole(QUERIES, 10)
    np.testing.assert_array_equal([ranking.places for ranking in rankings], expected)


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("rescore", [None, 2])
def test_candidates_of_each_query(rescore):
    """Of candidates alone, the ranking is that of the whole corpus without all others; no others are encoded."""
    coarser = Quantization("int8", RANGES, rescore=rescore)
    queries = QUERIES if rescore else coarser(QUERIES)
    candidates = [np.sort(RNG.choice(400, size=count, replace=False)) for count in range(40)]
    search = searching(coarser)
    encoded = []
    own = search._encode
    search._encode = lambda rows: encoded.extend(rows) or own(rows)
    rankings = search.among(queries, candidates, 15)
    assert set(encoded) == set(np.concatenate(candidates).tolist())
    scores = compared("cosine", coarser(QUERIES), coarser(DOCUMENTS))
    again = compared("cosine", QUERIES, coarser.restored(coarser(DOCUMENTS)))
    for query, ranking in enumerate(rankings):
        ordered = candidates[query][np.argsort(-scores[query][candidates[query]], kind="stable")][:15]
        if rescore:
            ordered = ordered[np.argsort(-again[query][ordered], kind="stable")]
        np.testing.assert_array_equal(ranking.places, ordered)


def test_ranges_are_those_of_the_documents():
    """What an index would calibrate on: over all calls, and not the queries where there are documents."""

    class Fixed:
        identity = Identity("m", "e")
        representation = DENSE

        def encode(self, texts, *_):
            return np.array([[float(text), -float(text)] for text in texts], dtype=np.float32)

    def encode(texts, prompt_type):
        rows = SimpleNamespace(dataset={"text": texts})
        model.encode(rows, task_metadata=SimpleNamespace(name="t"), prompt_type=prompt_type)

    model = MtebModel(Fixed())
    assert model.ranges is None
    encode(["9", "-9"], PromptType.query)
    np.testing.assert_array_equal(model.ranges, [[-9, -9], [9, 9]])
    encode(["1", "3"], PromptType.document)
    encode(["2", "4"], PromptType.document)
    np.testing.assert_array_equal(model.ranges, [[1, -4], [4, -1]])

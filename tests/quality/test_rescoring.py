"""Rescoring inside mteb's search: against a search of our own, written out."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from mteb.types import PromptType

from pytest_embedqa.core.identity import Identity
from pytest_embedqa.core.measures import normalised
from pytest_embedqa.encoders.quantization import Quantization
from pytest_embedqa.quality.mteb.evaluation import MtebModel

RNG = np.random.default_rng(1)
DOCUMENTS = normalised(RNG.standard_normal((500, 32)).astype(np.float32))
QUERIES = normalised(DOCUMENTS[:40] + 0.15 * RNG.standard_normal((40, 32)).astype(np.float32))
RANGES = np.stack([DOCUMENTS.min(axis=0), DOCUMENTS.max(axis=0)])
PRECISIONS = pytest.mark.parametrize("precision", ["int8", "ubinary"])
SIMILARITIES = pytest.mark.parametrize("similarity", ["cosine", "dot"])


class Coarse:
    """What the adapter needs of an encoder."""

    def __init__(self, quantization, similarity="cosine"):
        """With this quantisation, for a model trained for this similarity."""
        self.quantization = quantization
        self.identity = Identity("m", "e", similarity=similarity)


def compared(similarity, first, second):
    """Similarity of each row with each row."""
    return first @ second.T if similarity == "dot" else normalised(first) @ normalised(second).T


def found(similarities):
    """Share of the queries whose own document is the first."""
    return (np.argmax(similarities, axis=1) == np.arange(len(similarities))).mean()


@SIMILARITIES
@PRECISIONS
def test_best_candidates_are_ordered_by_the_float_query(precision, similarity):
    """The first stage chooses 20, the float query orders them, and the rest follows in the first stage's order."""
    coarser = Quantization(precision, RANGES, rescore=2)
    held = coarser(DOCUMENTS)
    ranks = np.argsort(-MtebModel(Coarse(coarser, similarity)).similarity(QUERIES, held), axis=1)
    first = compared(similarity, coarser(QUERIES), held)
    tie = 1e-6 * np.abs(first).max()
    for query, ranking in enumerate(ranks):
        bound = np.sort(first[query])[-20]
        assert (first[query][ranking[:20]] >= bound - tie).all()
        again = compared(similarity, QUERIES[query : query + 1], coarser.restored(held[ranking[:20]]))[0]
        assert (np.diff(again) <= 1e-6).all()
        assert (np.diff(first[query][ranking[20:]]) <= tie).all()


@SIMILARITIES
def test_rescoring_finds_what_the_first_stage_misses(similarity):
    """What it is for: whole vectors find every document, and their signs alone seven of ten."""
    plain, rescored = Quantization("ubinary"), Quantization("ubinary", rescore=4)
    held = plain(DOCUMENTS)
    before = found(MtebModel(Coarse(plain, similarity)).similarity(plain(QUERIES), held))
    after = found(MtebModel(Coarse(rescored, similarity)).similarity(QUERIES, held))
    assert found(QUERIES @ DOCUMENTS.T) == 1
    assert before < 0.75
    assert after > before + 0.15


@SIMILARITIES
@PRECISIONS
def test_corpus_searched_in_parts(precision, similarity):
    """Each part brings its own candidates, and those of all parts stand in one order above all other documents."""
    coarser = Quantization(precision, RANGES, rescore=1)
    held = coarser(DOCUMENTS)
    model = MtebModel(Coarse(coarser, similarity))
    parts = [model.similarity(QUERIES, part) for part in (held[:200], held[200:])]
    candidates = [np.argsort(-part, axis=1)[:, :10] + start for part, start in zip(parts, (0, 200), strict=True)]
    ranks = np.argsort(-np.concatenate(parts, axis=1), axis=1)
    first = compared(similarity, coarser(QUERIES), held)
    for query, ranking in enumerate(ranks):
        assert set(ranking[:20]) == {*candidates[0][query], *candidates[1][query]}
        again = compared(similarity, QUERIES[query : query + 1], coarser.restored(held[ranking[:20]]))[0]
        assert (np.diff(again) <= 1e-6).all()
        assert (np.diff(first[query][ranking[20:]]) <= 1e-6 * np.abs(first).max()).all()


@PRECISIONS
def test_lengths_that_are_not_one(precision):
    """However negative a rescored product of long vectors is, it stands before what was not rescored."""
    queries, documents = QUERIES * 50, DOCUMENTS * 50
    coarser = Quantization(precision, RANGES * 50, rescore=40)
    held = coarser(documents)
    scores = MtebModel(Coarse(coarser, "dot")).similarity(queries, held)
    again = queries @ coarser.restored(held).T
    for query, ranking in enumerate(np.argsort(-scores, axis=1)):
        assert again[query][ranking[:400]].min() < -10
        assert (np.diff(again[query][ranking[:400]]) <= 1e-3).all()


def test_fewer_documents_than_candidates():
    """A short list to rank again is rescored whole."""
    coarser = Quantization("ubinary", rescore=4)
    scores = MtebModel(Coarse(coarser)).similarity(QUERIES, coarser(DOCUMENTS[:3]))
    assert scores.shape == (40, 3)
    np.testing.assert_array_equal(
        np.argsort(scores, axis=1), np.argsort(compared("cosine", QUERIES, coarser(DOCUMENTS[:3])), axis=1)
    )


def test_ranges_are_those_of_the_documents():
    """What an index would calibrate on: over all calls, and not the queries where there are documents."""

    class Fixed(Coarse):
        def encode(self, texts, *_):
            return np.array([[float(text), -float(text)] for text in texts], dtype=np.float32)

    def encode(texts, prompt_type):
        rows = SimpleNamespace(dataset={"text": texts})
        model.encode(rows, task_metadata=SimpleNamespace(name="t"), prompt_type=prompt_type)

    model = MtebModel(Fixed(None))
    assert model.ranges is None
    encode(["9", "-9"], PromptType.query)
    np.testing.assert_array_equal(model.ranges, [[-9, -9], [9, 9]])
    encode(["1", "3"], PromptType.document)
    encode(["2", "4"], PromptType.document)
    np.testing.assert_array_equal(model.ranges, [[1, -4], [4, -1]])

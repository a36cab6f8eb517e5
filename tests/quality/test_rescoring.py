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
QUERIES = normalised(DOCUMENTS[:40] + 0.6 * RNG.standard_normal((40, 32)).astype(np.float32))
RANGES = np.stack([DOCUMENTS.min(axis=0), DOCUMENTS.max(axis=0)])


class Coarse:
    """What the adapter needs of an encoder."""

    identity = Identity("m", "e")

    def __init__(self, quantization):
        """With this quantisation."""
        self.quantization = quantization


def cosines(first, second):
    """Cosine of each row with each row."""
    return normalised(first) @ normalised(second).T


@pytest.mark.parametrize("precision", ["int8", "ubinary"])
def test_best_candidates_are_ordered_by_the_float_query(precision):
    """The first stage chooses 20, the float query orders them, and the rest follows in the first stage's order."""
    coarser = Quantization(precision, RANGES, rescore=2)
    held = coarser(DOCUMENTS)
    ranks = np.argsort(-MtebModel(Coarse(coarser)).similarity(QUERIES, held), axis=1)
    first = cosines(coarser(QUERIES), held)
    for query, ranking in enumerate(ranks):
        order = np.argsort(-first[query], kind="stable")
        bound = first[query][order[19]]
        assert (first[query][ranking[:20]] >= bound - 1e-6).all()
        again = cosines(QUERIES[query : query + 1], coarser.restored(held[ranking[:20]]))[0]
        assert (np.diff(again) <= 1e-6).all()
        assert (np.diff(first[query][ranking[20:]]) <= 1e-6).all()


def test_rescoring_brings_ranks_nearer_to_those_of_whole_vectors():
    """What it is for."""

    def found(similarities):
        return (np.argmax(similarities, axis=1) == np.arange(40)).mean()

    plain, rescored = Quantization("ubinary"), Quantization("ubinary", rescore=4)
    held = plain(DOCUMENTS)
    assert found(MtebModel(Coarse(rescored)).similarity(QUERIES, held)) > found(cosines(plain(QUERIES), held))


def test_fewer_documents_than_candidates():
    """A short list to rank again is rescored whole."""
    coarser = Quantization("ubinary", rescore=4)
    scores = MtebModel(Coarse(coarser)).similarity(QUERIES, coarser(DOCUMENTS[:3]))
    assert scores.shape == (40, 3)
    np.testing.assert_array_equal(
        np.argsort(scores, axis=1), np.argsort(cosines(QUERIES, coarser(DOCUMENTS[:3])), axis=1)
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

"""Parity of rankings: models of two kinds, and rerankers, whose vectors can't be compared."""

from __future__ import annotations

import zlib
from typing import ClassVar

import numpy as np
import pytest

from pytest_embedqa.core.errors import SpecError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.core.measures import kendall
from pytest_embedqa.encoders.composites import Bm25
from pytest_embedqa.encoders.engine import Limits
from pytest_embedqa.encoders.pairs import split
from pytest_embedqa.encoders.representations import SCORES
from pytest_embedqa.encoders.reranker import Reranker
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.engine_parity.causes import find_causes, norms_apart
from pytest_embedqa.engine_parity.comparison import compare
from pytest_embedqa.engine_parity.ranking import compare_ranks


class Overlap:
    """Scores a pair by the words that both texts share, on any scale."""

    options: ClassVar = {}
    counts_tokens = False
    limits = Limits()
    prompts = None
    representation = SCORES

    def __init__(self, scale=lambda score, *_: score):
        """Change scores by ``scale``, which also gets the pair and the size of its batch."""
        self.identity = Identity("words", "words", similarity="score", options={"kind": "reranker"})
        self._scale = scale

    def embed(self, texts):
        """Scores of a batch of pairs."""
        return np.array([self._scale(self._shared(text), text, len(texts)) for text in texts], dtype=np.float32)

    def _shared(self, pair):
        query, document = (set(text.lower().split()) for text in split(pair))
        return len(query & document) + len(query & document) / (3 + len(document))

    def lengths(self, texts):
        """Characters."""
        return list(map(len, texts))

    def close(self):
        """Nothing to free."""


def reranker(**changes):
    """A reranker by words."""
    return Reranker(Overlap(**changes), None, spec=parse_spec("builtin"))


def by_pair(text):
    """A number from 0 to 1 that depends on a pair alone."""
    return zlib.crc32(text.encode()) % 1000 / 1000


def test_kendall_is_scipys():
    """Tau-b, with ties; two constant rankings agree, and one of them agrees with nothing."""
    from scipy.stats import kendalltau

    numbers = np.random.default_rng(0)
    for _ in range(20):
        first, second = numbers.integers(0, 6, 15), numbers.integers(0, 6, 15)
        assert kendall(first, second) == pytest.approx(kendalltau(first, second).statistic)
    assert kendall(np.ones(4), np.ones(4)) == 1
    assert kendall(np.ones(4), np.arange(4.0)) == 0


def test_scale_does_not_matter():
    """Logits and probabilities of the same model rank alike."""
    found = compare_ranks(reranker(scale=lambda score, *_: 1 / (1 + np.exp(-score))), reranker(), (1, 16))
    assert found.kendall == pytest.approx(1, abs=0.01)
    assert found.overlap == pytest.approx(1, abs=0.02)
    assert {stratum.name for stratum in found.strata} == {"question", "sentence"}
    assert list(norms_apart(found)) == []


@pytest.mark.parametrize(
    ("fault", "most"),
    [
        (lambda score, *_: -score, -0.9),
        (lambda _, pair, __: by_pair(pair), 0.4),
        (lambda score, pair, size: by_pair(pair) if size == 2 else score, 0.8),
    ],
    ids=["upside down", "another model", "depends on the batch"],
)
def test_other_ranking_is_seen(fault, most):
    """Kendall's tau falls, and the worst batch size is named."""
    found = compare_ranks(reranker(scale=fault), reranker(), (2, 16))
    assert found.kendall < most
    assert found.strata[0].worst <= found.strata[1].worst
    assert min(found.worst_by_batch_size.values()) == found.strata[0].worst


def test_causes_are_the_facts_that_differ():
    """No experiment is possible without vectors; what both say of themselves is compared."""
    spoilt = reranker(scale=lambda score, *_: -score)
    spoilt._engine.identity = Identity(
        "words", "words", similarity="score", options={"activation": "none"}, clean="none"
    )
    causes = find_causes(spoilt, reranker(), compare_ranks(spoilt, reranker(), (16,)), load=None)
    assert causes == ["set up differently: activation is none here."]


def test_encoder_and_reranker_are_compared_by_ranks_alone(words):
    """Their vectors can't be; the error says which bound to ask for."""
    with pytest.raises(SpecError, match=r"\(reranker\) and of the reference .* can't be compared\. .*min_kendall="):
        compare(reranker(), words())
    found = compare_ranks(words(), reranker(), (4,))
    assert 0.1 < found.kendall < 1


def test_system_of_several_models_is_refused(words):
    """It ranks a whole corpus, not the documents that it is given."""
    with pytest.raises(SpecError, match=r"'bm25' is no single model, but bm25: .*Compare the models"):
        compare_ranks(Bm25(parse_spec("bm25"), tuple, {}), words(), (1,))

"""Faults of multi-vector and sparse encoders, and of two stages: the diagnosis names what was put in."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from pipeline_faults import CODE, ask, data, load

from pytest_embedqa.diagnosis.stages import by_stage
from pytest_embedqa.encoders.spec import parse_spec

# The model and its fault, by the keys of its spec; what the first cause must contain.
FAULTS = {
    "query cut short": ("minilm-multi-vector?query_length=5", "queries are cut, or expanded, to another length"),
    "document cut short": ("minilm-multi-vector?document_length=8", "documents are cut at another length"),
    "wrong prompt": (
        f"minilm-colbert?query_prompt={'weather%20football%20music%20money%20queen%20' * 6}",
        "prompts are wrong",
    ),
    "few active dimensions": ("tiny-sparse?max_active_dims=2", "sparse vectors are cut to their largest weights"),
    "sparse text cut short": ("tiny-sparse?max_length=8", "of the texts are cut at 8 tokens"),
}


@pytest.fixture
def encoder_of():
    """An encoder of one of the models that ``make models`` makes."""

    def loaded(text):
        folder = Path(os.environ.get("EMBEDQA_MODELS", "build/models"))
        if not (folder / text.partition("?")[0]).is_dir():
            pytest.skip("needs the models of make models, and EMBEDQA_MODELS=build/models")
        return load(parse_spec(f"st:{folder}/{text}"))

    return loaded


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_cause_of_a_kind_is_named_first(datasets_folder, encoder_of, name):
    """The fault costs points, and undoing it gives most of them back; the sound model has no cause."""
    text, cause = FAULTS[name]
    given = data(datasets_folder, CODE, 40)
    sound = ask(encoder_of(text.partition("?")[0]), given)
    assert sound.findings == (), sound.lines
    found = ask(encoder_of(text), given)
    assert cause in found.findings[0].cause, found.lines
    assert found.score < sound.score - 0.03
    assert found.findings[0].recovered > 0.5 * (sound.score - found.score)


@pytest.mark.slow
@pytest.mark.parametrize("key", ["query_expansion=false", "pool_factor=12"])
def test_what_costs_nothing_here_is_tried_and_no_cause(datasets_folder, encoder_of, key):
    """A model that was not trained with expansion loses nothing without it, nor this one by pooled tokens: no cause is named."""
    found = ask(encoder_of(f"minilm-colbert?{key}"), data(datasets_folder, CODE, 40))
    assert f"without {key}" in found.tried
    assert not [one for one in found.findings if key in one.cause]


@pytest.mark.parametrize(
    ("ceiling", "score", "cause", "advice"),
    [
        (0.5, 0.45, "the first stage loses most", "Raise top_k="),
        (0.95, 0.40, "the reranker loses most", "embedqa doctor 'st:reranker'"),
    ],
)
def test_stage_that_lost_the_score_is_named(ceiling, score, cause, advice):
    """What is not among the candidates no reranker brings back; what is among them the reranker has put too low."""
    stages = SimpleNamespace(first_stage="bm25", reranker="st:reranker", top_k=50, queries=20)
    (found,) = by_stage(stages, ceiling, score, "ndcg_at_10").findings
    assert found.cause == cause
    assert advice in found.advice
    assert f"the first stage bm25 loses {1 - ceiling:.3f}" in found.evidence
    assert f"the reranker st:reranker loses {ceiling - score:.3f}" in found.evidence

"""``rerank-api:`` on vLLM's real server, whose command ``EMBEDQA_VLLM_SERVER`` holds: the model's own scores."""

from __future__ import annotations

import os
import shlex

import numpy as np
import pytest
from tiny_rerankers import MAX_LENGTH, PAIRS, cross_encoder, scores

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.load import load_model
from pytest_embedqa.encoders.servers import Server
from pytest_embedqa.encoders.spec import parse_spec

VLLM = os.environ.get("EMBEDQA_VLLM_SERVER")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not VLLM, reason="needs vLLM's server: make engines")]
# vLLM makes no pair of an empty document: it leaves out the closing token.
WHOLE = [place for place, (query, document) in enumerate(PAIRS) if query and document]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny cross-encoder."""
    return cross_encoder(tmp_path_factory.mktemp("model") / "model")


@pytest.fixture(scope="module")
def server(folder):
    """vLLM's server on it."""
    with Server(shlex.split(VLLM.format(model=folder, port="{port}")), timeout=300) as running:
        yield running


def connect(server, **options):
    """A reranker on the server."""
    given = "&".join(f"{key}={value}" for key, value in {"url": server.url, "retries": 1, **options}.items())
    return load_model(parse_spec(f"rerank-api:minilm?{given}"), None)


@pytest.mark.parametrize("api", ["score", "rerank"])
def test_scores_are_those_of_sentence_transformers(server, folder, api):
    """Sigmoids by both endpoints, of pairs cut here; logits where they are asked for."""
    pairs = [PAIRS[place] for place in WHOLE]
    expected = np.asarray(scores(folder, pairs), np.float32)
    options = {"api": api, "tokenizer": folder, "truncate": "text", "max_length": MAX_LENGTH}
    reranker = connect(server, **options)
    np.testing.assert_allclose(reranker.score(pairs), expected, atol=1e-5)
    assert reranker.identity.options["api"] == api
    assert reranker.identity.libraries["vllm"] not in {"", "unknown"}
    reranker.close()
    reranker = connect(server, raw="true", **options)
    np.testing.assert_allclose(reranker.score(pairs), np.log(expected / (1 - expected)), atol=1e-4)
    reranker.close()


def test_best_api_is_found_and_the_limit_is_told(server):
    """``/score`` takes pairs of any queries in one request; the limit is the model's positions."""
    reranker = connect(server)
    assert reranker.identity.options["api"] == "score"
    assert reranker.identity.max_length == 64
    reranker.close()


@pytest.mark.parametrize("api", ["score", "rerank"])
def test_pair_that_is_too_long_is_named(server, api):
    """vLLM says 400 for it, with its limit."""
    reranker = connect(server, api=api)
    with pytest.raises(
        EngineError, match=r"(?s)answered 400 .*maximum context length is 64 tokens.*'many words.*truncate=text"
    ):
        reranker.score(PAIRS[:5])
    reranker.close()


def test_empty_document_is_no_pair_for_this_server(server, folder):
    """Its score is another than the model's own: the table of servers in the docs says so."""
    reranker = connect(server)
    difference = abs(reranker.score([PAIRS[2]])[0] - scores(folder, [PAIRS[2]])[0])
    assert 1e-4 < difference < 0.01
    reranker.close()

"""Texts of an exact length, for real tokenizers."""

from __future__ import annotations

import pytest
import tiny_qwen3

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.exact_length import text_of_length
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.prompts import QUERY
from pytest_embedqa.encoders.spec import parse_spec


@pytest.fixture(scope="module", params=["builtin?query_prompt=query: ", "qwen"])
def encoder(request, tmp_path_factory):
    """A WordPiece vocabulary of words, and a small one of pieces."""
    spec = f"st:{tiny_qwen3.make(tmp_path_factory.mktemp('qwen'))}" if request.param == "qwen" else request.param
    return load_encoder(parse_spec(spec), None)


@pytest.mark.parametrize("tokens", [33, 64, 100, 255, 512, 1000])
def test_text_has_exactly_the_tokens(encoder, tokens):
    """Counted by the model's own tokenizer, with special tokens, and with the prompt of a query."""
    texts = [text_of_length(encoder, tokens, seed=seed) for seed in range(4)]
    assert encoder.count_tokens(texts) == [tokens] * 4
    assert len(set(texts)) == 4
    assert encoder.count_tokens([text_of_length(encoder, tokens, QUERY)], QUERY) == [tokens]


def test_what_can_not_be_made_is_an_error(encoder):
    """Fewer tokens than the special ones."""
    with pytest.raises(EngineError, match=r"No text of words has exactly 0 tokens"):
        text_of_length(encoder, 0)
    bare = load_encoder(parse_spec("python:suites.multilingual:universal?version=0.2.1"), None)
    with pytest.raises(
        EngineError, match=r"The engine of .* does not count tokens, so no text of an exact length can be made"
    ):
        text_of_length(bare, 20)

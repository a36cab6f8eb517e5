"""Instruction on queries only, last-token pooling, EOS appended: the whole path of Qwen3-Embedding, on each engine."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
import tiny_qwen3
from sentence_transformers import SentenceTransformer

from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.prompts import DOCUMENT, QUERY, SYMMETRIC, TaskContext
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.engine_parity.comparison import compare
from pytest_embedqa.quality.evaluator import mteb_prompts

TEXTS = ["where is the harbour", "The ferry leaves at seven.", "港口在哪里?", "x", "word " * 200]
ENGINES = [
    "st:{}",
    pytest.param(
        "vllm:{}?dtype=float32&enforce_eager=true",
        marks=[pytest.mark.slow, pytest.mark.skipif(find_spec("vllm") is None, reason="needs vLLM: make engines")],
    ),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The model."""
    return tiny_qwen3.make(tmp_path_factory.mktemp("qwen3") / "model")


@pytest.fixture(scope="module")
def plain(folder):
    """The same model in plain sentence-transformers."""
    return SentenceTransformer(str(folder), device="cpu")


@pytest.fixture(scope="module", params=ENGINES, ids=["st", "vllm"])
def encoder(request, folder):
    """The model in one of our engines."""
    loaded = load_encoder(parse_spec(request.param.format(folder)), None)
    yield loaded
    loaded.close()


@pytest.mark.parametrize(("kind", "prompt"), [(QUERY, "query"), (DOCUMENT, None), (SYMMETRIC, None)])
def test_instruction_is_on_queries_only(encoder, plain, kind, prompt):
    """As sentence-transformers does it with the model's own prompts."""
    expected = plain.encode(TEXTS, prompt_name=prompt)
    np.testing.assert_allclose(encoder.encode(TEXTS, kind), expected, atol=1e-4)


def test_instruction_matters(encoder):
    """A query and a document of the same text have vectors of their own."""
    queries, documents = encoder.encode(TEXTS[:4], QUERY), encoder.encode(TEXTS[:4], DOCUMENT)
    assert np.sum(queries * documents, axis=1).max() < 0.99


def test_identity_is_that_of_the_model(encoder):
    """Pooling, normalisation, maximum length and prompts come from the model's own files."""
    identity = encoder.identity
    assert (identity.pooling, identity.normalize, identity.max_length) == ("lasttoken", True, tiny_qwen3.MAX_LENGTH)
    assert identity.prompts == {"query": tiny_qwen3.INSTRUCTION}
    assert encoder.prompts.source == "model"


def test_end_of_text_is_appended_and_pooled(encoder, plain):
    """A text has one token more than its own: the one whose vector is the text's."""
    ids = plain.tokenizer("x y")["input_ids"]
    assert ids[-1] == plain.tokenizer.eos_token_id
    assert encoder._engine.lengths(["x y"]) == [len(ids)]


def test_text_at_the_limit_keeps_its_end_of_text(encoder, plain):
    """What is cut is the text: the token that is pooled stays."""
    long = ["harbour " * 600, "harbour " * 600 + "and another end"]
    vectors = encoder.encode(long)
    np.testing.assert_allclose(vectors, plain.encode(long), atol=1e-4)
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)


def test_mteb_templates_work_on_any_engine(folder, encoder):
    """Under the real model's name, mteb's instruction for the task goes in front of a query, on every engine."""
    spec = parse_spec(f"st:{folder}?name=Qwen/Qwen3-Embedding-0.6B")
    named = load_encoder(spec, None, mteb_prompts=mteb_prompts)
    task = TaskContext("ArguAna", "Retrieval", {QUERY: "Find the counterargument"})
    prompt = named.prompts.resolve(QUERY, task)
    assert prompt == "Instruct: Find the counterargument\nQuery:"
    same = encoder.with_prompts(named.prompts)
    np.testing.assert_allclose(same.encode(TEXTS, QUERY, task), named.encode(TEXTS, QUERY, task), atol=1e-4)
    np.testing.assert_allclose(
        same.encode(TEXTS, QUERY, task), encoder.encode([prompt + text for text in TEXTS], DOCUMENT), atol=1e-4
    )


def test_missing_end_of_text_breaks_parity(folder, tmp_path):
    """A tokenizer that appends nothing, as in a conversion without EOS, is far off at every sort of text."""
    faulty = load_encoder(parse_spec(f"st:{tiny_qwen3.make(tmp_path / 'faulty', eos=False)}"), None)
    reference = load_encoder(parse_spec(f"st:{folder}"), None)
    comparison = compare(faulty, reference, batch_sizes=(1, 8), only=["short", "query", "long", "cjk"])
    assert comparison.mean_cosine < 0.6
    assert compare(reference, reference, batch_sizes=(1, 8), only=["short", "query"]).cosine > 0.99999

"""Specs that stand in a file: which are loaded, and what is said of the others."""

from __future__ import annotations

import pytest

from pytest_embedqa.encoders.from_files import _LOADS_FILES, why_refused
from pytest_embedqa.encoders.load import engine_class
from pytest_embedqa.encoders.spec import Spec, parse_spec

# Keys that name code, each looked at: a new key of an engine is to be put here, or among those that a file may set.
REFUSED = {
    "builtin": {"trust_remote_code"},
    "st": {"trust_remote_code"},
    "vllm": {"distributed_executor_backend", "hf_overrides", "load_format", "trust_remote_code"},
}


@pytest.mark.parametrize("engine", _LOADS_FILES)
def test_every_key_was_looked_at(engine):
    """A key that is new to an engine may run code: nobody may overlook it."""
    allowed, refused = _LOADS_FILES[engine], REFUSED.get(engine, set())
    assert not allowed & refused
    assert set(engine_class(Spec(engine, engine, "")).options) == allowed | refused


def test_a_key_that_nobody_has_looked_at_is_refused():
    """What is not known to be harmless is refused, whatever it is."""
    assert why_refused(parse_spec("vllm:m?worker_cls=a.B&dim=64")) == "it sets worker_cls"


@pytest.mark.parametrize(
    "text",
    [
        "builtin?dim=64",
        "st:org/model@main?dtype=half&name=m&query_prompt=q: ",
        "onnx:models/mine?file=onnx/model.onnx&tokenizer=org/model",
        "llamacpp:models/mine.gguf?threads=2",
        "vllm:org/model?dtype=half&dim=256",
        "org/model",
    ],
)
def test_a_model_is_loaded(text):
    """From a folder or the Hub, however it is set up."""
    assert why_refused(parse_spec(text)) == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("python:module:encode", "the engine 'python' imports a module"),
        ("openai:m?url=http://127.0.0.1:1/v1", "the engine 'openai' asks a server"),
        ("openai:m?start=serve+{port}", "start= runs a command"),
        ("ollama:m", "the engine 'ollama' asks a server"),
        ("rerank-api:m?url=http://127.0.0.1:1", "the engine 'rerank-api' asks a server"),
        ("ray+builtin?replicas=2", "the engine 'ray+builtin' may do more than load a model from files"),
        ("st:org/model?trust_remote_code=true", "it sets trust_remote_code"),
        (
            "vllm:m?hf_overrides={}&load_format=x&distributed_executor_backend=a.B",
            "it sets distributed_executor_backend, hf_overrides, load_format",
        ),
        ("vllm:s3://bucket/model", "its model is at an address"),
    ],
)
def test_whatever_does_more_is_refused(text, reason):
    """With what it does."""
    assert why_refused(parse_spec(text)) == reason

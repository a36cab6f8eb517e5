"""Specs that stand in a file: which are loaded, and what is said of the others."""

from __future__ import annotations

import pytest

from pytest_embedqa.encoders.from_files import _LOADS_FILES, why_refused
from pytest_embedqa.encoders.load import engine_class
from pytest_embedqa.encoders.spec import Spec, parse_spec

# All keys of these engines, each looked at: a new one is to be put here, or among those that are refused.
HARMLESS = {
    "builtin": "attention device dtype max_length normalize pooling threads",
    "st": "attention device dtype max_length normalize pooling threads",
    "onnx": "device dtype file max_length normalize output pooling threads tokenizer",
    "llamacpp": "max_length n_gpu_layers normalize pooling threads",
    "vllm": "data_parallel_size dtype enforce_eager gpu_memory_utilization kv_cache_memory_bytes max_length max_model_len "
    "max_num_batched_tokens max_num_seqs normalize pipeline_parallel_size pooling quantization tensor_parallel_size",
}


@pytest.mark.parametrize("engine", _LOADS_FILES)
def test_every_key_was_looked_at(engine):
    """A key that is new to an engine may run code: nobody may overlook it."""
    known = {*HARMLESS[engine].split(), *_LOADS_FILES[engine]}
    assert set(engine_class(Spec(engine, engine, "")).options) == known


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

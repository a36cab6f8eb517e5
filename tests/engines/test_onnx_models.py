"""``onnx:`` against plain sentence-transformers: every architecture and way of pooling, sort of text by sort of text."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tiny_models
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling
from tiny_models import DIM, TEXTS

from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.spec import parse_spec

POOLING = (
    "cls",
    "max",
    "mean",
    "mean_sqrt_len_tokens",
    "weightedmean",
    "lasttoken",
    ("cls", "mean"),
    ("max", "weightedmean", "lasttoken"),
)


def same(folder, *, spec="onnx:{}"):
    """Assert that an engine gives sentence-transformers' vectors, lengths included; the encoder."""
    expected = SentenceTransformer(str(folder), device="cpu").encode(list(TEXTS.values()), batch_size=1)
    encoder = load_encoder(parse_spec(spec.format(folder)), None)
    found = encoder.encode(list(TEXTS.values()))
    assert found.shape == expected.shape
    far = {
        sort: float(np.abs(one - other).max() / np.abs(other).max())
        for sort, one, other in zip(TEXTS, found, expected, strict=True)
    }
    assert {sort: difference for sort, difference in far.items() if difference > 1e-4} == {}
    return encoder


@pytest.mark.parametrize("architecture", tiny_models.ARCHITECTURES)
def test_architecture(tmp_path, architecture):
    """Tokens, positions, padding and limit as the model wants them."""
    causal = architecture in {"qwen3", "llama", "mistral"}
    modules = (Pooling(DIM, "lasttoken"), Normalize()) if causal else ()
    encoder = same(tiny_models.export(tiny_models.save(tmp_path / "model", architecture, *modules)))
    assert (encoder.identity.pooling, encoder.identity.max_length) == ("lasttoken" if causal else "mean", 48)


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """A folder with the graph of a transformer, for any pooling behind it."""
    return tiny_models.export(
        tiny_models.save(tmp_path_factory.mktemp("graph") / "model"), ("input_ids", "attention_mask", "token_type_ids")
    )


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("pooling", POOLING, ids=str)
def test_pooling(tmp_path, graph, pooling, normalize):
    """Each way, and several joined, with their lengths where nothing normalises them."""
    folder = tiny_models.save(tmp_path / "model", "bert", Pooling(DIM, pooling), *([Normalize()] if normalize else []))
    (folder / "model.onnx").symlink_to(graph / "model.onnx")
    encoder = same(folder)
    assert encoder.identity.pooling == (pooling if isinstance(pooling, str) else "+".join(pooling))
    assert encoder.identity.normalize is normalize


def test_graph_of_the_whole_model(tmp_path):
    """What holds a module Dense gives the vectors of the text as they are."""
    torch.manual_seed(1)
    folder = tiny_models.save(tmp_path / "model", "bert", Pooling(DIM, "mean"), Dense(DIM, 32), Normalize())
    encoder = same(
        tiny_models.export(folder, token_embeddings=tiny_models.tokens, sentence_embedding=tiny_models.whole)
    )
    assert (encoder.identity.pooling, encoder.identity.full_dim) == ("model", 32)


@pytest.mark.parametrize("normalize", [True, False])
def test_cut_of_the_models_own(tmp_path, graph, normalize):
    """``truncate_dim`` keeps the first numbers, and what was normalised no longer is."""
    folder = tiny_models.save(
        tmp_path / "model", "bert", Pooling(DIM, "mean"), *([Normalize()] if normalize else []), truncate_dim=24
    )
    (folder / "model.onnx").symlink_to(graph / "model.onnx")
    encoder = same(folder)
    assert (encoder.identity.full_dim, encoder.identity.normalize) == (24, False)
    assert np.linalg.norm(encoder.encode(["a text"])) != pytest.approx(1, abs=0.01)


def test_lower_case_is_the_tokenizers(tmp_path, graph):
    """``do_lower_case`` leaves special tokens that stand in a text as they are."""
    folder = tiny_models.save(tmp_path / "model")
    (folder / "model.onnx").symlink_to(graph / "model.onnx")
    cased = json.loads((folder / "tokenizer.json").read_text())
    cased["normalizer"]["lowercase"] = False
    (folder / "tokenizer.json").write_text(json.dumps(cased))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "do_lower_case": False}))
    settings = json.loads((folder / "sentence_bert_config.json").read_text())
    (folder / "sentence_bert_config.json").write_text(json.dumps({**settings, "do_lower_case": True}))
    same(folder)


def test_settings_of_the_folder_are_in_the_identity(tmp_path, graph):
    """The graph stays, and what is done before and after it changes: stored vectors are those of another model."""
    folder = tiny_models.save(tmp_path / "model")
    (folder / "model.onnx").symlink_to(graph / "model.onnx")
    before = same(folder).identity
    settings = json.loads((folder / "sentence_bert_config.json").read_text())
    (folder / "sentence_bert_config.json").write_text(json.dumps({**settings, "max_seq_length": 9}))
    assert same(folder).identity.weights != before.weights


def test_limit_of_the_tokenizer(tmp_path, graph):
    """Older folders say it in a file of their own, which comes before the tokenizer's."""
    folder = tiny_models.save(tmp_path / "model")
    (folder / "model.onnx").symlink_to(graph / "model.onnx")
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 16, "do_lower_case": False}))
    assert same(folder).identity.max_length == 16

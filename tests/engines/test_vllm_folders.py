"""What ``vllm:`` makes of sentence-transformers' folders: their vectors, or an error before anything starts."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec

import numpy as np
import pytest
import tiny_models
import torch
import transformers
from sentence_transformers import CrossEncoder, MultiVectorEncoder, SentenceTransformer, SparseEncoder
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling
from tiny_models import DIM, TEXTS
from transformers import AutoTokenizer

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.engines import vllm as engine
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.spec import parse_spec


def needs_vllm(test):
    """Skipped without it; it takes half a minute to start."""
    return pytest.mark.slow(pytest.mark.skipif(find_spec("vllm") is None, reason="needs vLLM: make engines")(test))


needs_onnx = pytest.mark.skipif(find_spec("onnxruntime") is None, reason="needs onnxruntime")


@pytest.fixture
def installed(monkeypatch):
    """vLLM as far as the look at the model's files goes, which comes before it is imported."""

    def start(*_given):
        raise EngineError("vLLM was started")

    monkeypatch.setattr("importlib.util.find_spec", lambda name: name == "vllm" or find_spec(name))
    monkeypatch.setattr(engine, "_start", start)


@pytest.fixture
def encoder():
    """Loads a folder, and stops vLLM behind the test."""
    loaded = []

    def load(folder, option=""):
        spec = f"vllm:{folder}?dtype=float32&enforce_eager=true{option}"
        loaded.append(load_encoder(parse_spec(spec), None))
        return loaded[-1]

    yield load
    for one in loaded:
        one.close()


def same(load, folder, option="", *, but=()):
    """Assert that vLLM gives sentence-transformers' vectors, lengths included, of every sort of text; the encoder."""
    # First: vLLM changes classes of transformers that it runs itself.
    expected = SentenceTransformer(str(folder), device="cpu").encode(list(TEXTS.values()), batch_size=1)
    encoder = load(folder, option)
    found = encoder.encode(list(TEXTS.values()))
    assert found.shape == expected.shape
    pairs = zip(TEXTS, found, expected, strict=True)
    far = {sort: float(np.abs(one - other).max() / np.abs(other).max()) for sort, one, other in pairs}
    assert {sort for sort, difference in far.items() if difference > 1e-3} == set(but), far
    return encoder


CHAINS = {
    "mean": (Pooling(DIM, "mean"), Normalize()),
    "cls, not normalised": (Pooling(DIM, "cls"),),
    "lasttoken": (Pooling(DIM, "lasttoken"), Normalize()),
    "Dense": (Pooling(DIM, "mean"), Dense(DIM, 16), Normalize()),
    "two Dense": (Pooling(DIM, "mean"), Dense(DIM, 64, bias=False, activation_function=torch.nn.GELU()), Dense(64, 32, activation_function=torch.nn.Identity())),
}  # fmt: skip


@needs_vllm
@pytest.mark.parametrize("chain", CHAINS)
def test_modules(tmp_path, encoder, chain):
    """Pooling, Dense and Normalize as the folder says, cut where its tokenizer cuts."""
    folder = tiny_models.save(tmp_path / "model", "bert", *CHAINS[chain])
    loaded = same(encoder, folder)
    assert loaded.identity.max_length == tiny_models.MAX_LENGTH
    assert loaded.identity.normalize is any(isinstance(one, Normalize) for one in CHAINS[chain])


@needs_vllm
@pytest.mark.parametrize("architecture", ["roberta", "modernbert", "qwen3", "llama", "mistral", "gemma3"])
def test_architecture(tmp_path, encoder, architecture):
    """What vLLM runs of those that sentence-transformers does."""
    modules = (Pooling(DIM, "lasttoken"), Normalize()) if architecture in {"qwen3", "llama", "mistral"} else ()
    folder = tiny_models.save(tmp_path / "model", architecture, *modules)
    # The position of a token behind a literal [PAD]: RoBERTa counts no padding, vLLM every token.
    same(encoder, folder, but=["special tokens"] if architecture == "roberta" else ())


@needs_vllm
def test_cut_of_the_models_own(tmp_path, encoder):
    """``truncate_dim`` keeps the first numbers, and what was normalised no longer is."""
    folder = tiny_models.save(tmp_path / "model", truncate_dim=24)
    loaded = same(encoder, folder)
    assert (loaded.identity.full_dim, loaded.identity.normalize) == (24, False)


@needs_vllm
def test_folder_that_says_nothing(tmp_path, encoder):
    """Pooled as the spec says, and not normalised, as sentence-transformers does with such a folder."""
    folder = tiny_models.save(tmp_path / "model")
    (folder / "modules.json").unlink()
    same(encoder, folder, "&pooling=mean")


@needs_vllm
def test_token_beyond_the_table_is_named(tmp_path, encoder):
    """A tokenizer that knows more than the model."""
    folder = tiny_models.save(tmp_path / "model")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["river"] += 40_000
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(EngineError, match=r"(?s)vLLM failed on a batch of .*no more tokens than the model has rows"):
        encoder(folder).encode(["a river"])


@needs_vllm
def test_what_vllm_reads_otherwise_is_an_error(tmp_path, encoder, monkeypatch):
    """A model that vLLM has fetched itself, and whose modules it does not know by these names."""
    folder = tiny_models.save(tmp_path / "model")
    modules = (folder / "modules.json").read_text()
    (folder / "modules.json").write_text(
        modules.replace("pooling.Pooling", "pooling2.Pooling").replace("normalize.Normalize", "normalize2.Normalize")
    )
    looks = iter([lambda *_given: None, engine._folder])  # the first comes before it is fetched

    def look(*given):
        return next(looks)(*given)

    monkeypatch.setattr(engine, "_folder", look)
    with pytest.raises(
        EngineError,
        match=r"vLLM computes the model of the spec .* with pooling=cls and normalize=true, where mean and true were meant\. Set both in the spec, or load it with st:",
    ):
        encoder(folder)


def test_refused_before_vllm_starts(tmp_path, installed):
    """What vLLM would pass over: other pooling, other modules, no word about pooling, weights that are not there."""
    folder = tiny_models.save(tmp_path / "model", "bert", Pooling(DIM, "weightedmean"), Normalize())

    def load(option=""):
        load_encoder(parse_spec(f"vllm:{folder}{option}"), None)

    with pytest.raises(EngineError, match="has weightedmean pooling, which 'vllm' can't reproduce"):
        load()
    with pytest.raises(EngineError, match="vLLM was started"):
        load("?pooling=mean")
    (folder / "modules.json").rename(folder / "modules")
    with pytest.raises(
        EngineError,
        match=r"Nothing says how the model .* pools its tokens \(no modules.json\), and vLLM would guess\. Set pooling=",
    ):
        load()
    (folder / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(EngineError, match=r"model.safetensors is a pointer of Git LFS"):
        load("?pooling=mean")
    (folder / "model.safetensors").write_bytes(b"half a download")
    with pytest.raises(EngineError, match=r"The weights of the spec .* can't be read: SafetensorError"):
        load("?pooling=mean")


def test_module_dense_without_its_weights(tmp_path, installed):
    """vLLM would log it, and give the vectors without the module."""
    folder = tiny_models.save(tmp_path / "model", "bert", *CHAINS["Dense"])
    shutil.rmtree(folder / "2_Dense")
    with pytest.raises(EngineError, match=r"has the module Dense, but .*2_Dense/config.json is missing"):
        load_encoder(parse_spec(f"vllm:{folder}"), None)


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        *((kind, f"vllm:{{}}{key}") for kind in (SparseEncoder, MultiVectorEncoder) for key in ("", "?pooling=cls")),
        *(
            pytest.param(kind, "onnx:{}", marks=needs_onnx)
            for kind in (CrossEncoder, SparseEncoder, MultiVectorEncoder)
        ),
    ],
)
def test_other_kinds_of_model_are_refused(tmp_path, installed, kind, spec):
    """As what they are, before anything starts."""
    config = transformers.BertConfig(
        vocab_size=30_522,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=1,
    )
    made = transformers.BertForSequenceClassification if kind is CrossEncoder else transformers.BertForMaskedLM
    made(config).save_pretrained(tmp_path / "bare")
    AutoTokenizer.from_pretrained(tiny_models.TOKENIZER).save_pretrained(tmp_path / "bare")
    kind(str(tmp_path / "bare"), device="cpu").save_pretrained(str(tmp_path / "model"))
    (tmp_path / "model" / "model.onnx").touch()
    with pytest.raises(
        EngineError, match=rf"is a {kind.__name__} \(.*\), not a dense encoder.*The engine st evaluates each kind"
    ):
        load_encoder(parse_spec(spec.format(tmp_path / "model")), None)

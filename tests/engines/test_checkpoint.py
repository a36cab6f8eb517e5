"""Whether a checkpoint holds its model, by names and shapes alone: what vLLM would pass over."""

from __future__ import annotations

import json
import shutil

import pytest
import tiny_models
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers.sentence_transformer.modules import Dense, Pooling
from tiny_models import DIM

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.engines.checkpoint import require_dense_weights, require_whole_checkpoint
from pytest_embedqa.encoders.spec import parse_spec

SPEC = parse_spec("vllm:model")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A folder with a module Dense."""
    folder = tmp_path_factory.mktemp("sound") / "model"
    return tiny_models.save(folder, "bert", Pooling(DIM, "mean"), Dense(DIM, 16))


@pytest.fixture
def changed(sound, tmp_path):
    """A copy with other weights, in ``config.json`` other values."""

    def make(weights=None, part="", **config):
        folder = tmp_path / "model"
        shutil.copytree(sound, folder)
        file = folder / part / "model.safetensors"
        if weights:
            save_file(weights(load_file(file)), file, {"format": "pt"})
        told = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**told, **config}))
        return folder

    return make


def without(part):
    """The weights that have no such part in their names."""
    return lambda tensors: {name: one for name, one in tensors.items() if part not in name}


def as_bin(folder):
    """The weights in PyTorch's own format."""
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return folder


@pytest.mark.parametrize("architecture", tiny_models.ARCHITECTURES)
def test_sound_models_are_left_alone(tmp_path, architecture):
    """Of every architecture."""
    require_whole_checkpoint(tiny_models.save(tmp_path / "model", architecture), SPEC)


@pytest.mark.parametrize(
    "weights",
    [without("pooler"), lambda tensors: {f"bert.{n}": t for n, t in tensors.items()}],
    ids=["pooler", "prefix"],
)
def test_what_no_embedding_needs_may_differ(changed, weights):
    """A pooler that is not there, and the names of a model with a head."""
    require_whole_checkpoint(changed(weights), SPEC)


def test_other_formats(changed):
    """PyTorch's own; and what transformers does not know is the engine's business."""
    folder = as_bin(changed())
    require_whole_checkpoint(folder, SPEC)
    (folder / "pytorch_model.bin").unlink()
    require_whole_checkpoint(folder, SPEC)
    require_whole_checkpoint(folder / "2_Dense", SPEC)


@pytest.mark.parametrize("form", [lambda folder: folder, as_bin], ids=["safetensors", "bin"])
@pytest.mark.parametrize(
    "part",
    ["word_embeddings", "position_embeddings", "1.attention.self.key.weight", "layer.1.", "output.LayerNorm.bias"],
)
def test_missing_weights_are_named(changed, part, form):
    """vLLM starts without the first three, and embeds with numbers that nobody set."""
    with pytest.raises(EngineError, match=rf"The weights of the spec 'vllm:model' lack \S*{part}.*random numbers"):
        require_whole_checkpoint(form(changed(without(part))), SPEC)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"vocab_size": 9000}, r"embeddings.word_embeddings.weight and the like \(1 weights .*\) have another shape than config.json says"),
        ({"hidden_size": 64}, r"and the like \(\d+ weights .*\) have another shape"),
        ({"num_hidden_layers": 1}, r"have encoder\.layer\.1\..*which the model's config.json has no place for"),
        ({"weights": lambda tensors: {f"_orig_mod.{n}": one for n, one in tensors.items()}}, r"lack embeddings\."),
    ],
    ids=["rows", "width", "layers", "names"],
)  # fmt: skip
def test_weights_of_another_model_are_named(changed, change, said):
    """By their shapes, and by names that have no place."""
    with pytest.raises(EngineError, match=said):
        require_whole_checkpoint(changed(**change), SPEC)


@pytest.mark.parametrize("fault", ["half", "empty", "shard", "index"])
def test_files_that_cant_be_read_are_named(changed, fault):
    """Half a download, and one of several files that is not there."""
    folder = changed()
    file, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    content = file.read_bytes()
    match fault:
        case "half" | "empty":
            file.write_bytes(content[: len(content) // 2] if fault == "half" else b"")
        case "shard":
            index.write_text(
                json.dumps({"weight_map": {"embeddings": "model.safetensors", "encoder": "other.safetensors"}})
            )
        case "index":
            index.write_text("{")
    with pytest.raises(
        EngineError,
        match=r"(?s)The weights of the spec 'vllm:model' can't be read: \w+: .*Fetch the model again: a file is damaged",
    ):
        require_whole_checkpoint(folder, SPEC)


def test_class_that_builds_no_model_any_more(changed, monkeypatch):
    """vLLM changes the classes of transformers that it runs itself: a second model of the kind is its own business."""
    monkeypatch.setattr("transformers.BertModel.__init__", None)
    require_whole_checkpoint(changed(without("word_embeddings")), SPEC)


@pytest.mark.parametrize("form", ["safetensors", "bin", "without a bias"])
def test_module_dense_that_loads(changed, form):
    """In both formats, with and without a bias."""
    folder = changed(without("bias") if form == "without a bias" else None, "2_Dense") / "2_Dense"
    config = json.loads((folder / "config.json").read_text())
    if form == "bin":
        as_bin(folder)
    require_dense_weights(folder, {**config, "bias": form != "without a bias"}, SPEC)


@pytest.mark.parametrize("fault", ["gone", "pointer", "bias", "width"])
def test_module_dense_that_does_not(changed, fault):
    """vLLM would go on without it."""
    folder = changed(without("bias") if fault == "bias" else None, "2_Dense") / "2_Dense"
    config = json.loads((folder / "config.json").read_text())
    if fault == "gone":
        (folder / "model.safetensors").unlink()
    if fault == "pointer":
        (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1")
    with pytest.raises(
        EngineError,
        match=r"(?s)The module Dense of the spec 'vllm:model' can't be loaded from .*2_Dense: \w+: .*vLLM would leave it out",
    ):
        require_dense_weights(folder, {**config, "out_features": 17 if fault == "width" else 16}, SPEC)

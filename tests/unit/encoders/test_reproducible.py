"""What an engine can't compute of a folder is refused by name, and nothing else is."""

from __future__ import annotations

import json

import pytest

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.model_folder import read_folder
from pytest_embedqa.encoders.reproducible import ABILITIES, require_reproducible
from pytest_embedqa.encoders.spec import parse_spec

ENGINES = tuple(ABILITIES)
SPEC = parse_spec("onnx:model")
TANH, IDENTITY = "torch.nn.modules.activation.Tanh", "torch.nn.modules.linear.Identity"


@pytest.fixture
def folder(tmp_path):
    """Writes a folder as sentence-transformers does: names of modules, and changes to its files."""

    def write(*names, **files):
        listed = [
            {"path": f"{number}_{name}" if number else "", "type": f"sentence_transformers.models.{name}"}
            for number, name in enumerate(names)
        ]
        contents = {"modules": listed, **{f"{number}_{name}/config": {} for number, name in enumerate(names) if number}}
        for name, content in (contents | files).items():
            path = tmp_path / f"{name}.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(content))
        return read_folder(tmp_path)

    return write


def refused(files, options=None, *, whole=False):
    """The engines that refuse a folder, each with its reason."""

    def reason(engine):
        try:
            require_reproducible(files, SPEC, engine, options or {}, whole=whole)
        except EngineError as error:
            return str(error)
        return None

    return {engine: text for engine in ENGINES if (text := reason(engine))}


def pooling(**config):
    """Files of a folder with this pooling."""
    return {"1_Pooling/config": config}


@pytest.mark.parametrize(
    ("config", "engines"),
    [
        ({"pooling_mode": "mean"}, ()),
        ({"pooling_mode_cls_token": True}, ()),
        ({"pooling_mode": "lasttoken"}, ()),
        ({"pooling_mode": "max"}, ("vllm", "llamacpp")),
        ({"pooling_mode_weightedmean_tokens": True}, ("vllm", "llamacpp")),
        ({"pooling_mode": "mean_sqrt_len_tokens"}, ("vllm", "llamacpp")),
        ({"pooling_mode": "of_the_future"}, ENGINES),
    ],
)
def test_pooling(folder, config, engines):
    """Each engine has its own ways; the spec's way takes the place of the folder's."""
    files = folder("Transformer", "Pooling", "Normalize", **pooling(**config))
    found = refused(files)
    assert tuple(found) == tuple(engine for engine in ENGINES if engine in engines)
    for engine, text in found.items():
        assert f"has {files.pooling} pooling, which '{engine}' can't reproduce: its vectors would differ" in text
    assert refused(files, {"pooling": "cls"}) == {}


def test_several_ways_of_pooling(folder):
    """vLLM would take the last of them, or none."""
    files = folder("Transformer", "Pooling", **pooling(pooling_mode=["cls", "mean"]))
    found = refused(files)
    assert set(found) == {"vllm", "llamacpp"}
    assert "joins several ways of pooling (cls+mean), which 'vllm'" in found["vllm"]


@pytest.mark.parametrize(
    ("dense", "engines", "said"),
    [
        ({"activation_function": TANH}, ("onnx", "llamacpp"), "has the module Dense"),
        ({"activation_function": IDENTITY, "bias": False}, ("onnx",), "has the module Dense"),
        ({"activation_function": IDENTITY}, ("onnx", "llamacpp"), "has the module Dense"),
        (
            {"activation_function": "torch.nn.modules.activation.ELU"},
            ENGINES,
            "has the module Dense with torch.nn.modules.activation.ELU",
        ),
        ({}, ENGINES, "has the module Dense with no word about its activation"),
        (
            {"activation_function": TANH, "use_residual": True},
            ENGINES,
            r"has the module Dense with a residual connection",
        ),
        (
            {"activation_function": TANH, "module_input_name": "token_embeddings"},
            ENGINES,
            "has the module Dense between None and token_embeddings",
        ),
    ],
)
def test_dense(folder, dense, engines, said):
    """vLLM runs it as it can, llama.cpp what was converted with the file; graphs that hold it are taken as they are."""
    files = folder("Transformer", "Pooling", "Dense", "Normalize", **{"2_Dense/config": dense})
    found = refused(files)
    assert set(found) == set(engines)
    assert said in found.get("vllm", said)
    assert "has the module Dense, which 'onnx'" in found["onnx"]
    assert refused(files, whole=True) == {}


def test_bias_of_dense(folder):
    """llama.cpp has no place for it."""
    config = {"activation_function": IDENTITY, "bias": True}
    found = refused(folder("Transformer", "Pooling", "Dense", **{"2_Dense/config": config}))
    assert "has the module Dense with a bias, which 'llamacpp'" in found["llamacpp"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("Transformer", "Pooling", "LayerNorm"), "has the module LayerNorm, which"),
        (("Router",), "has the module Router, which"),
        (("StaticEmbedding", "Normalize"), "has the module StaticEmbedding, which"),
        (
            ("Transformer", "Pooling", "Normalize", "Normalize"),
            "has its modules in the order Transformer, Pooling, Normalize, Normalize",
        ),
        (("Transformer", "Normalize", "Pooling"), "has its modules in the order Transformer, Normalize, Pooling"),
        (("Transformer",), "has its modules in the order Transformer, which"),
    ],
)
def test_other_modules_and_another_order(folder, names, said):
    """None of these engines runs them, and vLLM would pass over them."""
    found = refused(folder(*names))
    assert set(found) == set(ENGINES)
    assert all(said in text for text in found.values())


def test_dropout_is_nothing_to_a_trained_model(folder):
    """It stands in the list, and does nothing."""
    assert refused(folder("Transformer", "Pooling", "Dropout", "Normalize")) == {}


BESIDE = {
    "sentence_bert_config": [
        ({"query_length": 32}, r"treats queries and documents differently \(query_length\)"),
        ({"processing_kwargs": {"text": {"max_length": 8}}}, "has settings of its own for the tokenizer"),
        ({"modality_config": {"message": {}, "text": {}}}, "puts texts into a chat template"),
        (
            {"modality_config": {"text": {"method": "get_text_features", "method_output_name": "pooler_output"}}},
            "takes its vectors from .*get_text_features",
        ),
    ],
    "1_Pooling/config": [({"include_prompt": False}, "leaves the prompt out of its pooling")],
}


@pytest.mark.parametrize(("file", "content", "said"), [(file, *one) for file, all_ in BESIDE.items() for one in all_])
def test_what_decides_beside_the_text(folder, file, content, said):
    """Refused of a graph that pools by itself, too: none of it is in a graph."""
    files = folder("Transformer", "Pooling", "Normalize", **{file: content})
    for engine in ENGINES:
        for whole in (False, True):
            with pytest.raises(EngineError, match=rf"(?s){said}.*Load it with st:"):
                require_reproducible(files, SPEC, engine, {}, whole=whole)


def test_code_and_arguments_of_a_models_own(folder):
    """As in jina-embeddings-v3: another module for each task."""
    listed = [{"path": "", "type": "custom_st.Transformer", "kwargs": ["task"]}]
    for said, entry in (
        ("has code of its own (custom_st.Transformer)", listed),
        (
            "takes more than a text (task, for its module Transformer)",
            [{**listed[0], "type": "sentence_transformers.models.Transformer"}],
        ),
    ):
        found = refused(folder(modules=entry))
        assert set(found) == set(ENGINES)
        assert all(said in text for text in found.values())


def test_what_version_6_writes_by_itself_is_not_refused(folder):
    """A plain model as it is saved today."""
    written = {
        "transformer_task": "feature-extraction",
        "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
        "module_output_name": "token_embeddings",
    }
    assert refused(folder("Transformer", "Pooling", "Normalize", sentence_bert_config=written)) == {}


def test_adapter(folder):
    """A graph was exported with it; the others would leave it out."""
    found = refused(folder("Transformer", "Pooling", adapter_config={"peft_type": "LORA"}))
    assert set(found) == {"vllm", "llamacpp"}
    assert "has an adapter (adapter_config.json)" in found["vllm"]


def test_normalisation_before_a_cut(folder):
    """The vectors would not have the length that was asked for."""
    files = folder("Transformer", "Pooling", config_sentence_transformers={"truncate_dim": 8})
    assert refused(files) == {}
    found = refused(files, {"normalize": True})
    assert set(found) == set(ENGINES)
    assert (
        "normalize=true was given, but the model of the spec 'onnx:model' cuts its vectors to 8 dimensions after that"
        in found["onnx"]
    )


def test_other_kinds_of_model(folder):
    """A reranker is no encoder to any engine."""
    found = refused(folder("Transformer", "Pooling", config_sentence_transformers={"model_type": "CrossEncoder"}))
    assert set(found) == set(ENGINES)
    assert all("is a CrossEncoder (a reranker" in text for text in found.values())


def test_other_similarities(folder):
    """Scores are computed by cosine or dot product, whatever the engine."""
    found = refused(folder("Transformer", "Pooling", config_sentence_transformers={"similarity_fn_name": "euclidean"}))
    assert set(found) == set(ENGINES)
    assert all("compares vectors by euclidean distance" in text for text in found.values())

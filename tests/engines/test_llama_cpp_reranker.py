"""``llamacpp:`` on GGUF files of tiny cross-encoders, and llama.cpp's server on the same: logits of the model itself."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tiny_rerankers import MAX_LENGTH, PAIRS, cross_encoder, scores

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.load import load_model
from pytest_embedqa.encoders.servers import Server
from pytest_embedqa.encoders.spec import parse_spec

gguf = pytest.importorskip("gguf")
make_gguf = pytest.importorskip("make_gguf", reason="needs the package gguf")
# llama.cpp takes its activation function from a table of half precision.
NEAR = 2e-3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A cross-encoder whose last function is none, in a folder of its own."""
    return cross_encoder(tmp_path_factory.mktemp("model") / "model", segments=False, activation="Identity")


@pytest.fixture(scope="module")
def file(folder, tmp_path_factory):
    """The same as GGUF."""
    return make_gguf.convert(folder, tmp_path_factory.mktemp("gguf") / "model.gguf", "f32", "rank")


def logits(folder, pairs=PAIRS):
    """The logits by sentence-transformers."""
    return np.asarray(scores(folder, pairs), np.float32)


def fresh(spec):
    """A reranker without store."""
    return load_model(parse_spec(spec), None)


def test_scores_are_the_models_logits(file, folder):
    """Of every sort of pair, cut where sentence-transformers cuts; a file has no last function."""
    reranker = fresh(f"llamacpp:{file}?max_length={MAX_LENGTH}")
    expected = logits(folder)
    with reranker.counting_cuts() as cuts:
        np.testing.assert_allclose(reranker.score(PAIRS), expected, atol=NEAR)
    assert (cuts.texts, cuts.cut, cuts.uncounted) == (len(PAIRS), 2, 0)
    assert np.ptp(expected) > 0.3
    identity = reranker.identity
    assert (identity.max_length, identity.similarity, identity.dtype) == (MAX_LENGTH, "score", "float32")
    assert (identity.options["scale"], len(identity.weights)) == ("logits", 64)
    reranker.close()


def test_limit_is_that_of_the_files_beside(file, folder, tmp_path):
    """A GGUF file knows its positions, the folder what the model was trained for."""
    there = tmp_path / "model"
    there.mkdir()
    for part in (
        "config.json",
        "tokenizer_config.json",
        "sentence_bert_config.json",
        "config_sentence_transformers.json",
    ):
        (there / part).write_text((folder / part).read_text())
    (there / "model.gguf").symlink_to(file)
    reranker = fresh(f"llamacpp:{there}/model.gguf")
    assert reranker.identity.max_length == MAX_LENGTH
    reranker.close()
    reranker = fresh(f"llamacpp:{file}")
    assert reranker.identity.max_length == 64
    reranker.close()


def test_quantised_file_is_near(folder, tmp_path):
    """And it names its format."""
    reranker = fresh(
        f"llamacpp:{make_gguf.convert(folder, tmp_path / 'model.gguf', 'q8_0', 'rank')}?max_length={MAX_LENGTH}"
    )
    differences = np.abs(reranker.score(PAIRS) - logits(folder))
    assert NEAR < differences.max() < 0.15
    assert reranker.identity.dtype == "q8_0"
    reranker.close()


def test_file_with_segments_is_refused(tmp_path):
    """llama.cpp has a single one, so a document would be read as a part of the query."""
    file = make_gguf.convert(cross_encoder(tmp_path / "model"), tmp_path / "model.gguf", "f32", "rank")
    with pytest.raises(EngineError, match=r"by segments \(token types\), and llama\.cpp reads both as the first"):
        fresh(f"llamacpp:{file}")


def changed(file, target, *, head=True, labels=()):
    """A copy of a file, without its head or with labels."""
    reader, writer = gguf.GGUFReader(file), gguf.GGUFWriter(target, "bert")
    for key, field in reader.fields.items():
        if not key.startswith(("GGUF.", "general.architecture")):
            of_array = field.types[-1] if field.types[0] is gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(key, field.contents(), field.types[0], of_array)
    if labels:
        writer.add_array("bert.classifier.output_labels", labels)
    for tensor in reader.tensors:
        if head or not tensor.name.startswith("cls."):
            writer.add_tensor(tensor.name, tensor.data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def test_file_without_a_head_is_refused(file, tmp_path):
    """A number of its vectors would pass for a score."""
    with pytest.raises(EngineError, match=r"pools by 'rank' and has no head \(no tensor cls\.\*\)"):
        fresh(f"llamacpp:{changed(file, tmp_path / 'model.gguf', head=False)}")


def test_classifier_of_several_labels_is_refused(file, tmp_path):
    """One score is needed."""
    with pytest.raises(
        EngineError,
        match=r"has the labels good, fair, bad for a pair, and one score is needed\. Name the file of a reranker",
    ):
        fresh(f"llamacpp:{changed(file, tmp_path / 'model.gguf', labels=['good', 'fair', 'bad'])}")


def test_keys_of_vectors_are_refused(file):
    """A pair has no pooling."""
    with pytest.raises(
        EngineError, match=r"pooling= was given, but the model of the spec .* scores pairs and has no vectors"
    ):
        fresh(f"llamacpp:{file}?pooling=mean")


def test_wrong_answer_of_llama_cpp_is_an_error(file):
    """It is read as carefully as that of any server."""
    reranker = fresh(f"llamacpp:{file}")
    reranker._engine._ask = lambda _query, documents: {
        "results": [{"index": 0, "relevance_score": None}] * len(documents)
    }
    with pytest.raises(EngineError, match=r"llama\.cpp gave an impossible answer"):
        reranker.score(PAIRS[:1])
    reranker.close()


def test_words_of_llama_cpp_are_handed_on(file):
    """With how many pairs it was asked for; memory halves the batch, as with any engine."""
    reranker = fresh(f"llamacpp:{file}")
    server = SimpleNamespace(handle_rerank=lambda _asked: {"error": {"message": "no slot"}})
    real, reranker._engine._server = reranker._engine._server, server
    with pytest.raises(EngineError, match=r"llama\.cpp failed on 2 pairs \(.*\): no slot"):
        reranker.score([("a", "b"), ("a", "c")])
    server.handle_rerank = lambda _asked: {"error": {"message": "out of memory"}}
    with pytest.raises(EngineError, match=r"Out of memory for a single text"):
        reranker.score([("a", "b"), ("a", "c")])
    reranker._engine._server = real
    reranker.close()


# The same model behind llama.cpp's own server.


@pytest.fixture(scope="module")
def server(file):
    """llama.cpp's server as a process."""
    command = f"{sys.executable} {Path(__file__).with_name('llama_server.py')} {file} {{port}} rank"
    with Server(shlex.split(command), timeout=60) as running:
        yield running


@pytest.mark.parametrize("api", ["", "&api=rerank", "&api=tei"])
def test_server_gives_the_same_logits(server, folder, api):
    """In both of its forms, without a guess at the scale."""
    reranker = fresh(f"rerank-api:model?url={server.url}&tokenizer={folder}&truncate=text&max_length={MAX_LENGTH}{api}")
    np.testing.assert_allclose(reranker.score(PAIRS), logits(folder), atol=NEAR)
    assert reranker.identity.libraries["llamacpp"]
    reranker.close()


def test_pair_that_is_too_long_for_the_server_is_named(server):
    """The error has the document and what to do."""
    reranker = fresh(f"rerank-api:model?url={server.url}&retries=1")
    with pytest.raises(
        EngineError,
        match=r"(?s)answered (400|500) .*(too large to process|larger than the max context).*a document of 1,100 characters, 'many words.*truncate=text",
    ):
        reranker.score(PAIRS[:5])
    reranker.close()


def test_reranker_changes_its_identity_with_its_file(folder, file, tmp_path):
    """So that no score of another file is reused."""
    change_of = make_gguf.convert(folder, tmp_path / "model.gguf", "f16", "rank")
    first, second = fresh(f"llamacpp:{file}"), fresh(f"llamacpp:{change_of}")
    assert first.identity.digest != second.identity.digest
    for one in (first, second):
        one.close()

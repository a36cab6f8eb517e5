"""Models with the files of real rerankers and encoders and random weights, small enough to make in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# The template that Qwen3-Reranker was trained with; a system message replaces the instruction, which is where
# sentence-transformers puts a prompt.
INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"
QWEN3_RERANKER_TEMPLATE = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct provided. "
    'Note that the answer can only be "yes" or "no".<|im_end|>\n'
    "<|im_start|>user\n"
    f"<Instruct>: {{{{ messages | selectattr('role', 'eq', 'system') | map(attribute='content') | first | default('{INSTRUCTION}') }}}}\n"
    "<Query>: {{ messages | selectattr('role', 'eq', 'query') | map(attribute='content') | first }}\n"
    "<Document>: {{ messages | selectattr('role', 'eq', 'document') | map(attribute='content') | first }}<|im_end|>\n"
    # Jinja drops one line break at the end.
    "<|im_start|>assistant\n<think>\n\n</think>\n\n\n"
)


def qwen3_reranker(folder: Path) -> None:
    """Save Qwen3-Reranker's shape: a causal language model, scored by its logit of "yes" less that of "no".

    vLLM serves the same folder with ``--hf-overrides '{"architectures": ["Qwen3ForSequenceClassification"],
    "classifier_from_token": ["no", "yes"], "is_original_qwen3_reranker": true}'`` and the template as ``--chat-template``.
    """
    import torch
    from sentence_transformers import CrossEncoder
    from transformers import Qwen3Config, Qwen3ForCausalLM

    tokenizer = _byte_pairs()
    tokenizer.chat_template = QWEN3_RERANKER_TEMPLATE
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=64,
        max_position_embeddings=1024,
        initializer_range=0.2,  # large enough for texts to differ
        tie_word_embeddings=True,
        bos_token_id=tokenizer.convert_tokens_to_ids("<|endoftext|>"),
        eos_token_id=tokenizer.convert_tokens_to_ids("<|im_end|>"),
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    Qwen3ForCausalLM(config).to(torch.float32).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    # Raw logits, where a cross-encoder with one label would have a sigmoid.
    model = CrossEncoder(str(folder), activation_fn=torch.nn.Identity(), device="cpu")
    model.save_pretrained(str(folder), create_model_card=False)


def bge_m3(folder: Path) -> None:
    """Save BGE-M3's shape: XLM-RoBERTa, pooled at the first token, and beside it two heads that FlagEmbedding and vLLM read.

    ``sparse_linear.pt`` gives a weight a token and ``colbert_linear.pt`` a vector a token; sentence-transformers reads neither.
    """
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from transformers import XLMRobertaConfig, XLMRobertaModel

    tokenizer = _pieces()
    config = XLMRobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=(dim := 128),
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=514,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        initializer_range=0.2,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
    )
    torch.manual_seed(0)
    XLMRobertaModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    modules = [Transformer(str(folder)), Pooling(dim, "cls"), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save_pretrained(str(folder), create_model_card=False)
    for name, size in (("sparse_linear", 1), ("colbert_linear", dim)):
        torch.save(torch.nn.Linear(dim, size).state_dict(), folder / f"{name}.pt")


def _byte_pairs() -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator([QWEN3_RERANKER_TEMPLATE, "yes", "no"] * 9, trainer)
    # These are not special in Qwen3's tokenizer either: they are decoded as text.
    bpe.add_tokens(["<think>", "</think>"])
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=special,
        padding_side="left",
        model_max_length=1024,
    )


def _pieces() -> PreTrainedTokenizerFast:
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    unigram = Tokenizer(models.Unigram())
    unigram.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    unigram.pre_tokenizer = pre_tokenizers.Metaspace()
    unigram.decoder = decoders.Metaspace()
    alphabet = [chr(code) for code in range(32, 127)]
    trainer = trainers.UnigramTrainer(
        vocab_size=400, special_tokens=special, unk_token="<unk>", initial_alphabet=alphabet, show_progress=False
    )
    unigram.train_from_iterator([QWEN3_RERANKER_TEMPLATE, "一个网页搜索的问题，以及回答它的段落。"], trainer)
    unigram.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=unigram,
        bos_token="<s>",
        eos_token="</s>",
        cls_token="<s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_max_length=512,
    )

"""The closing token that a model's tokenizer may have stopped to append."""

from __future__ import annotations

from pytest_embedqa.diagnosis.trials import Trials
from pytest_embedqa.encoders.prompts import NO_PROMPTS

# Tokens that end a text in BERT; XLM-R and T5; Llama; Qwen; Gemma.
_CLOSING = ("[SEP]", "</s>", "<|endoftext|>", "<|end_of_text|>", "<eos>", "<|im_end|>")


def closing_token(trials: Trials) -> str | None:
    """Return a closing token that may be missing: a single token of the tokenizer, if few special tokens are added."""
    bare = trials.encoder.with_prompts(NO_PROMPTS)
    counted = bare.count_tokens(["", "a", *(f"a{token}" for token in _CLOSING)])
    if counted is None or counted[0] > 1:  # the opening and the closing token are there
        return None
    return next((token for token, length in zip(_CLOSING, counted[2:], strict=True) if length == counted[1] + 1), None)

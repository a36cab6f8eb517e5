"""Texts of an exact length in tokens, for whatever depends on length."""

from __future__ import annotations

from itertools import cycle, islice

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.prompts import DOCUMENT, TextKind

# Common enough to be one token each in nearly every vocabulary.
_WORDS = [
    "water",
    "house",
    "music",
    "light",
    "paper",
    "river",
    "table",
    "winter",
    "garden",
    "window",
    "market",
    "summer",
    "story",
    "school",
    "green",
    "number",
    "morning",
    "bridge",
    "street",
    "family",
    "picture",
    "island",
    "letter",
    "doctor",
    "kitchen",
]
_ATTEMPTS = 40


def text_of_length(encoder: Encoder, tokens: int, kind: TextKind = DOCUMENT, first: int = 0) -> str:
    """A text of words with exactly so many tokens, special tokens and prompt included.

    Args:
        encoder: Whose tokens.
        tokens: How many.
        kind: The role of the text: decides the prompt.
        first: Word to begin with; another number gives another text of the same length.

    Raises:
        EngineError: If the engine does not count tokens, or no text of words has that length.
    """
    count = tokens
    for _ in range(_ATTEMPTS):
        text = " ".join(islice(cycle(_WORDS), first % len(_WORDS), first % len(_WORDS) + max(1, count)))
        counted = encoder.count_tokens([text], kind)
        if counted is None:
            raise EngineError(f"The engine of '{encoder.spec}' does not count tokens.")
        if counted[0] == tokens:
            return text
        if count == 1 and counted[0] > tokens:
            break
        count = max(1, count + (tokens - counted[0] if abs(tokens - counted[0]) < count else -count // 2))
    raise EngineError(f"No text of words has exactly {tokens} tokens for '{encoder.spec}'.")

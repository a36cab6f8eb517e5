"""Texts of an exact length in tokens, for measurements that depend on length."""

from __future__ import annotations

import random
from collections.abc import Callable

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.prompts import DOCUMENT, TextKind
from pytest_embedqa.encoders.reranker import Reranker
from pytest_embedqa.encoders.spec import Spec

# Words common enough to be a single token each in nearly every vocabulary.
WORDS = [
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
# At least one of these is a single token in any vocabulary.
_FILLERS = ("a", "x", "1", ".")
_ATTEMPTS = 20
_QUERY_WORDS = 4


def text_of_length(encoder: Encoder, tokens: int, kind: TextKind = DOCUMENT, seed: int = 0) -> str:
    """Make a text of words with exactly this number of tokens, special tokens and prompt included.

    Args:
        encoder: The encoder whose tokens count.
        tokens: Number of tokens.
        kind: The role of the text: decides the prompt.
        seed: Another number gives another text of the same length.

    Raises:
        EngineError: If the engine does not count tokens, or no text of words has this length.
    """
    return _of_length(lambda text: encoder.count_tokens([text], kind), tokens, seed, encoder.spec)


def pair_of_length(reranker: Reranker, tokens: int, seed: int = 0) -> tuple[str, str]:
    """Make a query of a few words and a document, which together have exactly this number of tokens.

    Args:
        reranker: The reranker whose tokens count.
        tokens: Number of tokens, special tokens, prompt and template included.
        seed: Another number gives another pair of the same length.

    Raises:
        EngineError: If the engine does not count tokens, or no such pair has this length.
    """
    query = " ".join(random.Random(-1 - seed).choices(WORDS, k=_QUERY_WORDS))  # noqa: S311  no secret
    return query, _of_length(lambda document: reranker.count_tokens([(query, document)]), tokens, seed, reranker.spec)


def _of_length(counted: Callable[[str], list[int] | None], tokens: int, seed: int, spec: Spec) -> str:
    """Make a text of words for which a function counts exactly this number of tokens."""

    def count(text: str) -> int:
        found = counted(text)
        if found is None:
            raise EngineError(
                f"The engine of '{spec}' does not count tokens, so no text of an exact length can be made."
            )
        return found[0]

    drawn = random.Random(seed).choices(WORDS, k=max(1, tokens))  # noqa: S311  no secret

    def text_of(words: int, fillers: int) -> str:
        return " ".join([*drawn[:words], *[filler] * fillers])

    filler = next((one for one in _FILLERS if count(f"water {one}") == count("water") + 1), _FILLERS[0])
    words, fillers = max(1, tokens), 0
    for _ in range(_ATTEMPTS):
        text = text_of(words, fillers)
        over = count(text) - tokens
        if over == 0:
            return text
        if over < 0 or fillers > over:
            fillers -= over
        else:
            words, fillers = min(words - 1, int(words * tokens / (tokens + over))), 0
        if words < 1:
            break
    raise EngineError(f"No text of words has exactly {tokens} tokens for '{spec}'.")

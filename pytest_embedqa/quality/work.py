"""The amount of text that a task has to encode."""

from __future__ import annotations

from dataclasses import dataclass

# Most texts have at least this many characters per token, so characters beyond the longest input are not counted.
_CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True)
class Work:
    """An amount of text to encode.

    Attributes:
        texts: Number of different texts.
        characters: Number of their characters.
    """

    texts: int
    characters: int

    def __add__(self, other: Work) -> Work:
        """Return the sum of both amounts."""
        return Work(self.texts + other.texts, self.characters + other.characters)

    def length(self, max_tokens: int | None) -> float:
        """Return the mean characters of a text, as far as a model with this longest input sees them."""
        mean = self.characters / max(1, self.texts)
        return min(mean, _CHARACTERS_PER_TOKEN * max_tokens) if max_tokens else mean

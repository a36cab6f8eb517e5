"""How much a task has to encode."""

from __future__ import annotations

from dataclasses import dataclass

# Of most texts a token is at least as long, so that what lies beyond the longest input is not counted.
_CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True)
class Work:
    """What is to be encoded.

    Attributes:
        texts: Different texts.
        characters: Their characters.
    """

    texts: int
    characters: int

    def __add__(self, other: Work) -> Work:
        """Both."""
        return Work(self.texts + other.texts, self.characters + other.characters)

    def length(self, max_tokens: int | None) -> float:
        """Mean characters of a text, as far as a model with this longest input sees them."""
        mean = self.characters / max(1, self.texts)
        return min(mean, _CHARACTERS_PER_TOKEN * max_tokens) if max_tokens else mean

"""Counts of the texts and tokens that a model never sees, because the texts are longer than it takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass


@dataclass
class Truncation:
    """Counts of texts and tokens, over any number of encodings.

    Attributes:
        texts: Texts whose tokens were counted.
        cut: Counted texts that are longer than the model takes.
        tokens: Tokens of the counted texts before any cut, special tokens included.
        lost: Tokens beyond the maximum length.
        uncounted: Texts whose tokens the engine can't count.
    """

    texts: int = 0
    cut: int = 0
    tokens: int = 0
    lost: int = 0
    uncounted: int = 0

    def count(self, lengths: Iterable[int | None], limit: int | None) -> None:
        """Add texts by their lengths in tokens; ``limit`` is the maximum length of the model."""
        for length in lengths:
            if length is None:
                self.uncounted += 1
                continue
            over = max(0, length - limit) if limit else 0
            self.texts += 1
            self.cut += over > 0
            self.tokens += length
            self.lost += over

    def add(self, other: Truncation) -> None:
        """Add the counts of another tally."""
        for name, number in asdict(other).items():
            setattr(self, name, getattr(self, name) + number)

    @property
    def share(self) -> float:
        """Share of the texts that are cut; NaN if some could not be counted."""
        return float("nan") if self.uncounted or not self.texts else self.cut / self.texts

    @property
    def lost_share(self) -> float:
        """Share of the tokens that the model never sees; NaN if some could not be counted."""
        return float("nan") if self.uncounted or not self.tokens else self.lost / self.tokens

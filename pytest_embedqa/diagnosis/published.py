"""Comparison of a score with the published score of the same model, which a right set-up must reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_embedqa.encoders.encoder import Encoder

# Libraries, batches and number formats move a score by less than this.
_SAME = 0.005


@dataclass(frozen=True)
class Standing:
    """A score on a whole task, beside the published score of the same model.

    Attributes:
        measure: The leaderboard's metric of the task.
        score: Score of the encoder.
        published: Published score of its model.
        interval: 95 % interval of ``score``, or ``None`` if it rests on no units.
    """

    measure: str
    score: float
    published: float
    interval: tuple[float, float] | None = None

    @property
    def is_equal(self) -> bool:
        """Whether the encoder scores at least the published score."""
        return self.score >= self.published - _SAME

    @property
    def is_reached(self) -> bool:
        """Whether the encoder scores at least the published score, as far as its units can tell."""
        return self.is_equal or self.is_met

    @property
    def is_met(self) -> bool:
        """Whether the encoder scores the published score, neither less nor more, as far as its units can tell."""
        low, high = self.interval or (self.score, self.score)
        return abs(self.score - self.published) <= _SAME or low <= self.published <= high

    @property
    def distance(self) -> float:
        """Points between the two scores."""
        return abs(self.score - self.published)

    def __str__(self) -> str:
        """Return both scores as text."""
        return f"{self.measure} {self.score:.4f} here, {self.published:.4f} published"


# Evaluates the whole task with another encoder, within this many seconds, and compares its score.
Rescore = Callable[[Encoder, float], Standing]

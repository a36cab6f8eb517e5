"""Where a score stands to the published one of the same model: what a right set-up must give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_embedqa.encoders.encoder import Encoder

# Libraries, batches and number formats move a score by less.
_SAME = 0.005


@dataclass(frozen=True)
class Standing:
    """A score on a whole task and the published one of the same model.

    Attributes:
        measure: The leaderboard's metric of the task.
        score: What the encoder scored.
        published: What is published for its model.
        interval: 95 % interval of ``score``, or ``None`` if it rests on no units.
    """

    measure: str
    score: float
    published: float
    interval: tuple[float, float] | None = None

    @property
    def is_equal(self) -> bool:
        """Whether the encoder scores no less than is published."""
        return self.score >= self.published - _SAME

    @property
    def is_reached(self) -> bool:
        """Whether the encoder scores no less than is published, as far as its units can tell."""
        return self.is_equal or self.is_met

    @property
    def is_met(self) -> bool:
        """Whether the encoder scores what is published, neither less nor more, as far as its units can tell."""
        low, high = self.interval or (self.score, self.score)
        return abs(self.score - self.published) <= _SAME or low <= self.published <= high

    @property
    def distance(self) -> float:
        """Points between both scores."""
        return abs(self.score - self.published)

    def __str__(self) -> str:
        """Both scores."""
        return f"{self.measure} {self.score:.4f} here, {self.published:.4f} published"


# Where another encoder stands on the same task, evaluated whole within so many seconds.
Rescore = Callable[[Encoder, float], Standing]

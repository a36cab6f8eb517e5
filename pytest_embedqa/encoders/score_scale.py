"""Signs of a wrong set-up in the scores of a reranker. The scale of scores is the model's own, and never guessed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pytest_embedqa.core.measures import Floats

# A probability through a second sigmoid lies between these.
_TWICE = (0.5, 1 / (1 + np.exp(-1.0)))
# Fewer scores may lie between them by chance.
_FEWEST = 8
_ROUNDING = 1e-6


def sigmoid(logits: Floats) -> Floats:
    """Return the probabilities of logits, in float32."""
    with np.errstate(over="ignore"):  # far below zero it is zero
        return np.asarray(1 / (1 + np.exp(-logits)), dtype=np.float32)


def saturated(scores: Floats, pairs: Sequence[object]) -> str | None:
    """Return a note if different pairs share a score at an end of the scale, 1 or 0; else ``None``.

    A sigmoid in float32 is 1 from a logit of 17 on: pairs that the model tells apart tie, and their order is lost.

    Args:
        scores: Scores, shape (n,).
        pairs: The pair of each score.
    """
    if len(scores) and (scores.min() < 0 or scores.max() > 1):
        return None
    parts = []
    for end in (1, 0):
        count = len({pair for pair, score in zip(pairs, scores, strict=True) if score == end})
        if count > 1:
            parts.append(f"{count} have exactly {end}")
    if not parts:
        return None
    return f"of {len(set(pairs))} different pairs {' and '.join(parts)}, so their order is lost: the sigmoid of its scores is saturated"


def same(scores: Floats) -> bool:
    """Return whether all scores are equal but for rounding."""
    return bool(np.ptp(scores) <= _ROUNDING * max(1.0, float(np.abs(scores).max())))


def through_two_sigmoids(scores: Floats) -> bool:
    """Return whether scores of different pairs all lie where probabilities are after another sigmoid (0.5 to 0.731)."""
    return len(scores) >= _FEWEST and bool(scores.min() >= _TWICE[0] and scores.max() <= _TWICE[1] + _ROUNDING)

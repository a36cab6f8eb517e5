"""Fusion of ranked lists into one. What a list does not hold has no rank in it, and gets nothing from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeAlias

import numpy as np

from pytest_embedqa.core.measures import Floats

# Position of a passage in the corpus, and its score.
Hit = tuple[int, float]
# Scores of a list, the best first, as shares that lists have in common.
Share: TypeAlias = "Callable[[Floats], Floats]"


def fused(lists: Sequence[Sequence[Hit]], weights: Sequence[float], share: Share) -> list[Hit]:
    """Return all hits of some lists with the weighted sums of their shares, the best first, ties by position.

    Args:
        lists: The lists, each with its best hit first.
        weights: Weight of each list.
        share: Turns the scores of a list into shares.
    """
    found: dict[int, float] = {}
    for hits, weight in zip(lists, weights, strict=True):
        for (position, _), one in zip(hits, share(np.array([score for _, score in hits])).tolist(), strict=True):
            found[position] = found.get(position, 0.0) + weight * one
    return ranked(found.keys(), found.values())


def ranked(positions: Iterable[int], scores: Iterable[float]) -> list[Hit]:
    """Return hits, the best first, ties by position."""
    return sorted(zip(positions, scores, strict=True), key=lambda hit: (-hit[1], hit[0]))


def share_of(fusion: str, k: int) -> Share:
    """Return the function of a fusion: ``rrf`` with its constant ``k``, ``dbsf`` or ``rsf``."""
    shares: dict[str, Share] = {"rrf": partial(_reciprocal_ranks, k), "dbsf": _by_distribution, "rsf": _relative}
    return shares[fusion]


def _reciprocal_ranks(k: int, scores: Floats) -> Floats:
    """Return 1 / (k + rank): Cormack, Clarke and Büttcher, Reciprocal rank fusion, SIGIR 2009."""
    return 1 / (k + np.arange(1, len(scores) + 1))


def _by_distribution(scores: Floats) -> Floats:
    """Return the place of each score between three standard deviations below and above the mean, as Qdrant and mteb do."""
    spread = float(np.std(scores)) if len(scores) else 0.0
    if spread < 1e-9:  # noqa: PLR2004  as in mteb
        return np.full(len(scores), 0.5)
    shares: Floats = np.clip((scores - np.mean(scores) + 3 * spread) / (6 * spread), 0, 1)
    return shares


def _relative(scores: Floats) -> Floats:
    """Return the place of each score between the lowest and the highest, as Weaviate and mteb do."""
    if not len(scores) or scores.max() == scores.min():
        return np.full(len(scores), 0.5)
    shares: Floats = (scores - scores.min()) / (scores.max() - scores.min())
    return shares

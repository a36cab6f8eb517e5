"""Certainty of a score and of a difference between scores: the bootstrap over the units they were measured on.

Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 13 and 15. Seeded, so that a verdict
is the same every time it is computed from the same evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from pytest_embedqa.core.evidence import Evidence, Units
from pytest_embedqa.core.measures import Floats

RESAMPLES = 10_000
CONFIDENCE = 0.95
ALPHA = 1 - CONFIDENCE
POWER = 0.8
_SEED = 20_240_229
_BLOCK_ELEMENTS = 1_000_000
# With many units fewer resamples suffice: their cost grows with the units, their benefit does not.
_FEWEST_RESAMPLES, _ENOUGH_DRAWS = 2_000, 25_000_000
# Changes of a value that are smaller than this are rounding.
MOVED = 1e-9


@dataclass(frozen=True)
class Difference:
    """The difference between a second score and a first, measured on the same units.

    Attributes:
        value: Second score less the first.
        interval: 95 % interval of the value.
        p_value: Probability that chance alone moves a score as far, two-sided.
        smallest_drop: Smallest drop that would have been significant in 80 of 100 such comparisons.
        moved: Number of units whose value changed.
        units: Number of all units.
        unit: Name of the units, in the plural.
    """

    value: float
    interval: tuple[float, float]
    p_value: float
    smallest_drop: float
    moved: int
    units: int
    unit: str

    @property
    def is_drop(self) -> bool:
        """Whether the second score is lower by more than chance explains."""
        return self.value < 0 and self.p_value < ALPHA


def interval(evidence: Evidence, resamples: int | None = None) -> tuple[float, float]:
    """Return the 95 % percentile interval of a score.

    Args:
        evidence: Units by split and subset; units are drawn within their part.
        resamples: Number of bootstrap resamples; by default 10,000, and fewer (2,000 at least) for very many units.
    """
    return _middle(resampled([evidence], resamples)[0])


def difference(before: Evidence, after: Evidence, resamples: int | None = None) -> Difference:
    """Compare two scores by a paired bootstrap: both are computed on the same draws of the same units.

    The p-value inverts the percentile interval. Where scores are means, a randomisation test must agree (the larger
    of both p-values counts): where few units moved, the bootstrap alone is too sure of itself.
    Smucker, Allan and Carterette, A comparison of statistical significance tests for IR evaluation (CIKM 2007).

    Args:
        before: Units of the first score.
        after: The same units of the second score.
        resamples: As for ``interval``.
    """
    pairs = list(zip(before.parts, after.parts, strict=True))
    chance = 0.0
    if before.statistic == "mean":  # the mean of differences: half of the work
        gains = [Units(b.split, b.subset, b.ids, a.values - b.values) for b, a in pairs]
        mean = Evidence("mean", after.unit, tuple(gains))
        draws, value = resampled([mean], resamples)[0], mean.value
        shares = [part.values / len(part.ids) / len(pairs) for part in gains]
        chance = randomised(np.concatenate(shares), len(draws), two_sided=True)
    else:
        drawn = resampled([before, after], resamples)
        draws, value = drawn[1] - drawn[0], after.value - before.value
    sound = draws[~np.isnan(draws)]
    tail = (1 + min((sound >= 0).sum(), (sound <= 0).sum())) / (1 + len(sound))
    standard = NormalDist()
    reach = standard.inv_cdf(1 - ALPHA / 2) + standard.inv_cdf(POWER)
    return Difference(
        value=value,
        interval=_middle(draws),
        p_value=float(min(1, max(2 * tail, chance))),
        smallest_drop=float(reach * np.std(sound)),
        moved=sum(int((np.abs(a.values - b.values) > MOVED).sum()) for b, a in pairs),
        units=after.count,
        unit=after.unit,
    )


def randomised(gains: Floats, resamples: int = RESAMPLES, *, two_sided: bool = False) -> float:
    """Return the p-value of the paired randomisation test: without a difference, each gain might as well be a loss.

    Fisher, The Design of Experiments (1935), chapter 3.

    Args:
        gains: Gain of each unit, shape (n,).
        resamples: Number of random draws of the signs.
        two_sided: Whether a loss counts as much as a gain; by default only a gain counts.

    Returns:
        In (0, 1]; 1 if nothing differs.
    """
    moved = gains[gains != 0]
    observed = (abs(moved.sum()) if two_sided else moved.sum()) - MOVED * np.abs(moved).sum()
    rng = np.random.default_rng(_SEED)
    block = max(1, _BLOCK_ELEMENTS // max(1, len(moved)))
    reached = 0
    for start in range(0, resamples, block):
        signs = rng.integers(0, 2, size=(min(block, resamples - start), len(moved)), dtype=np.int8) * 2 - 1
        sums = signs @ moved
        reached += int(((np.abs(sums) if two_sided else sums) >= observed).sum())
    return (1 + reached) / (1 + resamples)


def resampled(evidences: Sequence[Evidence], resamples: int | None = None) -> Floats:
    """Return scores on draws with replacement, the same draws for all evidences, shape (len(evidences), resamples).

    Draws are made in blocks, so that memory stays bounded however many units there are. Each part has its own draws.
    """
    parts = evidences[0].parts
    total = resamples or int(np.clip(_ENOUGH_DRAWS / max(1, evidences[0].count), _FEWEST_RESAMPLES, RESAMPLES))
    scores = np.zeros((len(evidences), total))
    for number in range(len(parts)):
        rng = np.random.default_rng([_SEED, number])
        n = len(parts[number].ids)
        kernels = [evidence.kernel(evidence.parts[number]) for evidence in evidences]
        block = max(1, _BLOCK_ELEMENTS // n)
        for start in range(0, total, block):
            drawn = _draws(rng, n, min(block, total - start))
            for row, kernel in enumerate(kernels):
                scores[row, start : start + block] += kernel(drawn)
    return scores / len(parts)


def _draws(rng: np.random.Generator, n: int, count: int) -> Floats:
    """Count how often each of n units is drawn in ``count`` draws of n, shape (n, count)."""
    rows = rng.integers(0, n, size=(n, count), dtype=np.int64)
    flat = (rows * count + np.arange(count)).ravel()
    return np.bincount(flat, minlength=n * count).reshape(n, count).astype(np.float64)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return adjusted p-values, by which at most ``ALPHA`` of whole families of comparisons hold a false alarm.

    Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6 (1979).
    """
    order = np.argsort(p_values, kind="stable")
    adjusted, highest = [1.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def median_interval(values: Floats, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return an interval of the median of an array of shape (n,): two of the sorted values, whatever the distribution.

    Conover, Practical Nonparametric Statistics (1999), section 3.2, with the normal approximation of the binomial.
    """
    n = len(values)
    reach = NormalDist().inv_cdf(0.5 + confidence / 2) * np.sqrt(n) / 2
    low, high = int(np.floor(n / 2 - reach)), int(np.ceil(n / 2 + reach))
    ordered = np.sort(values)
    return float(ordered[max(0, low)]), float(ordered[min(n - 1, high)])


def _middle(draws: Floats) -> tuple[float, float]:
    tail = ALPHA / 2 * 100
    low, high = np.nanpercentile(draws, [tail, 100 - tail])
    return float(low), float(high)

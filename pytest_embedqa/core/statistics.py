"""How sure a score is: percentile bootstrap over the units it was measured on.

Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13. Seeded, so that a verdict
is the same every time it is computed from the same evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from pytest_embedqa.core.measures import Floats

RESAMPLES = 10_000
CONFIDENCE = 0.95
_SEED = 20_240_229
_CHUNK_ELEMENTS = 4_000_000


def resampled_means(values: Floats, resamples: int = RESAMPLES, stratum: int = 0) -> Floats:
    """Means of ``resamples`` draws with replacement from an array of shape (n,).

    Drawn in blocks, so that memory stays bounded whatever n is. Each stratum has draws of its own.
    """
    rng = np.random.default_rng([_SEED, stratum])
    n = len(values)
    block = max(1, _CHUNK_ELEMENTS // n)
    means = [
        rng.choice(values, size=(min(block, resamples - start), n)).mean(axis=1) for start in range(0, resamples, block)
    ]
    return np.concatenate(means)


def median_interval(values: Floats, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Interval of the median of an array of shape (n,): two of the sorted values, whatever the distribution.

    Conover, Practical Nonparametric Statistics (1999), section 3.2, with the normal approximation of the binomial.
    """
    n = len(values)
    reach = NormalDist().inv_cdf(0.5 + confidence / 2) * np.sqrt(n) / 2
    low, high = int(np.floor(n / 2 - reach)), int(np.ceil(n / 2 + reach))
    ordered = np.sort(values)
    return float(ordered[max(0, low)]), float(ordered[min(n - 1, high)])


def mean_interval(strata: Sequence[Floats], resamples: int = RESAMPLES) -> tuple[float, float]:
    """95 % interval of the mean over strata of the mean within each stratum.

    Args:
        strata: Per-unit values of each subset and split; units are resampled within their stratum.
        resamples: Number of bootstrap resamples.
    """
    means = np.mean([resampled_means(values, resamples, stratum) for stratum, values in enumerate(strata)], axis=0)
    tail = (1 - CONFIDENCE) / 2 * 100
    low, high = np.percentile(means, [tail, 100 - tail])
    return float(low), float(high)

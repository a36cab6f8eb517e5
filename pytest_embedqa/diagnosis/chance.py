"""Whether a recovery is larger than chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pytest_embedqa.core.measures import Floats

_FLIPS = 10_000
_SET_ASIDE = 0.5
_SEED = 20_240_229


def probability(differences: Floats) -> float:
    """How often chance alone recovers at least as much: the paired randomisation test, one-sided.

    If a change did nothing, each unit's difference could as well have the other sign (Fisher, The Design of
    Experiments, 1935; Smucker, Allan and Carterette, CIKM 2007, for rankings).

    Args:
        differences: Value with the change less value without, of each unit, shape (n,).

    Returns:
        In (0, 1]; 1 if nothing differs.
    """
    apart = differences[differences != 0]
    if not len(apart):
        return 1.0
    signs = np.random.default_rng(_SEED).choice(np.array([-1.0, 1.0]), size=(_FLIPS, len(apart)))
    as_large = (signs @ apart >= apart.sum() - 1e-12).sum()
    return float(as_large + 1) / (_FLIPS + 1)


def adjusted(probabilities: Sequence[float]) -> list[float]:
    """These probabilities, for the number of changes that were tried: one of many is small by chance.

    Bonferroni's correction, but most changes of a sound encoder make it worse, and those have no part in finding a
    cause by chance: what is above one half is set aside, and the rest are twice as large (Zhao, Small and Su, Multiple
    testing when many p-values are uniformly conservative, JASA 114, 2019).

    Returns:
        In (0, 1], in the same order.
    """
    kept = sum(one <= _SET_ASIDE for one in probabilities)
    return [min(1.0, one / _SET_ASIDE * kept) if one <= _SET_ASIDE else 1.0 for one in probabilities]

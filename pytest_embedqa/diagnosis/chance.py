"""Whether a recovery is larger than chance, when many changes were tried."""

from __future__ import annotations

from collections.abc import Sequence

_SET_ASIDE = 0.5


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

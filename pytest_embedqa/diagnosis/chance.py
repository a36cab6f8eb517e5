"""Correction for chance when many changes were tried."""

from __future__ import annotations

from collections.abc import Sequence

_SET_ASIDE = 0.5


def adjusted(probabilities: Sequence[float]) -> list[float]:
    """Adjust probabilities for the number of tried changes, as among many some are small by chance.

    This is Bonferroni's correction with a refinement. Most changes of a sound encoder make it worse and can't pass for
    a cause by chance: probabilities above one half are set aside, and all others doubled (Zhao, Small and Su, Multiple
    testing when many p-values are uniformly conservative, JASA 114, 2019).

    Returns:
        Values in (0, 1], in the same order.
    """
    kept = sum(one <= _SET_ASIDE for one in probabilities)
    return [min(1.0, one / _SET_ASIDE * kept) if one <= _SET_ASIDE else 1.0 for one in probabilities]

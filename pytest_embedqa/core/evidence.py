"""Evidence of a score: the values of single queries, pairs or samples, so that two scores can be compared fairly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pytest_embedqa.core.measures import Floats, average_ranks

# Takes an array of shape (n, b): how often each of n units was drawn in b draws. Returns b values of a statistic.
# Units are rows, so that putting them in another order moves whole rows.
Kernel = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Units:
    """The units of one split and subset.

    Attributes:
        split: Split of the task.
        subset: Subset of the task.
        ids: Ids of the n units.
        values: A value for each unit, shape (n,): the unit's own score, or a similarity.
        labels: Grades or classes to compare the values with, shape (n,); ``None`` if the values are scores themselves.
    """

    split: str
    subset: str
    ids: tuple[str, ...]
    values: Floats
    labels: Floats | None = None


@dataclass(frozen=True)
class Exhibit:
    """Texts and rankings to show for the units of one split and subset; texts are cut.

    Attributes:
        texts: Text of each unit, by its id.
        rankings: Ids of the retrieved documents, best first, by the unit's id.
        relevant: Ids of the relevant documents, by the unit's id.
        documents: Text of each document named above, by its id.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    rankings: Mapping[str, Sequence[str]] = field(default_factory=dict)
    relevant: Mapping[str, Sequence[str]] = field(default_factory=dict)
    documents: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """All units behind a score. The score is the mean over parts of the statistic within each part.

    Attributes:
        statistic: Statistic that makes units a score: ``mean``, ``spearman``, ``pearson`` or ``average_precision``.
        unit: Name of the units in the plural: ``queries``, ``pairs``, ...
        parts: Units by split and subset.
    """

    statistic: str
    unit: str
    parts: tuple[Units, ...]

    @property
    def count(self) -> int:
        """Number of units in all parts."""
        return sum(len(part.ids) for part in self.parts)

    @property
    def value(self) -> float:
        """Value of the score."""
        once = [np.ones((len(part.ids), 1)) for part in self.parts]
        return float(
            np.mean([kernel(drawn)[0] for kernel, drawn in zip(map(self.kernel, self.parts), once, strict=True)])
        )

    def kernel(self, part: Units) -> Kernel:
        """Return the statistic as a function of draws from a part, prepared once for all draws."""
        return _KERNELS[self.statistic](part)

    def merits(self, part: Units) -> Floats:
        """Return how well each unit of a part does, shape (n,); more is better.

        Where units have a meaning only together (Spearman, average precision), this is minus the distance between the
        rank of a unit's value and the rank of its label, as a share of all ranks.
        """
        if part.labels is None:
            return part.values
        merits: Floats = -np.abs(average_ranks(part.values) - average_ranks(part.labels)) / len(part.ids)
        return merits


def _mean(part: Units) -> Kernel:
    values = np.asarray(part.values, dtype=np.float64)
    return lambda drawn: values @ drawn / len(values)


def _pearson(part: Units) -> Kernel:
    x, y = _centred(part.values), _centred(_labels(part))
    rows = np.stack([x, y, x * x, y * y, x * y])

    def kernel(drawn: Floats) -> Floats:
        mx, my, xx, yy, xy = rows @ drawn / len(x)
        return _ratio(xy - mx * my, np.sqrt((xx - mx * mx) * (yy - my * my)))

    return kernel


def _spearman(part: Units) -> Kernel:
    ranks, grades = _ranker(part.values), _ranker(_labels(part))

    def kernel(drawn: Floats) -> Floats:
        x, y = ranks(drawn), grades(drawn)
        weighted = drawn * x
        return _ratio(
            np.einsum("nb,nb->b", weighted, y),
            np.sqrt(np.einsum("nb,nb->b", weighted, x) * np.einsum("nb,nb,nb->b", drawn, y, y)),
        )

    return kernel


def _ranker(values: Floats) -> Kernel:
    """Prepare ranks of all units in each draw, shape (n, b): ties averaged, less their mean."""
    _, group = np.unique(values, return_inverse=True)
    order = np.argsort(group, kind="stable")
    ends = np.flatnonzero(np.diff(np.append(group[order], -1)))

    def kernel(drawn: Floats) -> Floats:
        below = np.cumsum(drawn[order], axis=0)[ends]
        middle = below - len(drawn)  # n draws of n units: their ranks have the mean (n + 1) / 2, however they are tied
        middle[1:] += below[:-1]
        ranks: Floats = middle[group] / 2
        return ranks

    return kernel


def _average_precision(part: Units) -> Kernel:
    """Prepare the statistic of scikit-learn's ``average_precision_score``.

    It is the precision at each distinct value, weighted by the recall that the value adds.
    """
    order = np.argsort(-part.values, kind="stable")
    ordered, relevant = part.values[order], np.asarray(_labels(part)[order], dtype=np.float64)[:, None]
    ends = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)

    def kernel(drawn: Floats) -> Floats:
        in_order = drawn[order]
        seen = np.cumsum(in_order, axis=0)[ends]
        hits = np.cumsum(in_order * relevant, axis=0)[ends]
        precision = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
        return _ratio((precision * np.diff(hits, axis=0, prepend=0)).sum(axis=0), hits[-1])

    return kernel


def _labels(part: Units) -> Floats:
    assert part.labels is not None  # noqa: S101  whoever names such a statistic gives labels
    return part.labels


def _centred(values: Floats) -> Floats:
    wide: Floats = np.asarray(values, dtype=np.float64)
    centred: Floats = wide - wide.mean()
    return centred


def _ratio(above: Floats, below: Floats) -> Floats:
    """Divide; NaN where the divisor is 0: a draw of one class, or of equal values, has no such statistic."""
    shares: Floats = np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
    return shares


_KERNELS: dict[str, Callable[[Units], Kernel]] = {
    "mean": _mean,
    "pearson": _pearson,
    "spearman": _spearman,
    "average_precision": _average_precision,
}
STATISTICS = tuple(_KERNELS)

"""What a score rests on: the values of single queries, pairs or samples, so that two scores can be compared fairly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pytest_embedqa.core.measures import Floats, average_ranks

# Values of a statistic for each column of an array of shape (n, b): how often each of n units was drawn in b draws.
# Units are rows, so that putting them in another order moves whole rows.
Kernel = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Units:
    """The units of one split and subset.

    Attributes:
        split: Split of the task.
        subset: Subset of the task.
        ids: What the units are called, n of them.
        values: A value for each unit, shape (n,): its own score, or a similarity.
        labels: What the values are compared with (a grade, a class), shape (n,); ``None`` if they are scores themselves.
    """

    split: str
    subset: str
    ids: tuple[str, ...]
    values: Floats
    labels: Floats | None = None


@dataclass(frozen=True)
class Exhibit:
    """What can be shown of the units of one split and subset; texts are cut.

    Attributes:
        texts: Text of each unit, by its id.
        rankings: Ids of the documents that were found, the best first, by the unit's id.
        relevant: Ids of the documents that should be found, by the unit's id.
        documents: Text of each document above, by its id.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    rankings: Mapping[str, Sequence[str]] = field(default_factory=dict)
    relevant: Mapping[str, Sequence[str]] = field(default_factory=dict)
    documents: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """All units of a score. The score is the mean over parts of the statistic within each part.

    Attributes:
        statistic: How units become a score: ``mean``, ``spearman``, ``pearson`` or ``average_precision``.
        unit: What a unit is called, in the plural: ``queries``, ``pairs``, ...
        parts: Units by split and subset.
    """

    statistic: str
    unit: str
    parts: tuple[Units, ...]

    @property
    def count(self) -> int:
        """Number of units."""
        return sum(len(part.ids) for part in self.parts)

    @property
    def value(self) -> float:
        """The score."""
        once = [np.ones((len(part.ids), 1)) for part in self.parts]
        return float(
            np.mean([kernel(drawn)[0] for kernel, drawn in zip(map(self.kernel, self.parts), once, strict=True)])
        )

    def kernel(self, part: Units) -> Kernel:
        """The statistic on draws from a part, prepared once for all draws."""
        return _KERNELS[self.statistic](part)

    def merits(self, part: Units) -> Floats:
        """How well each unit of a part does, shape (n,); more is better.

        Where units only have a meaning together (Spearman, average precision): minus the distance between the rank
        that a unit has and the rank that its label gives it, as a share of all ranks.
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
    """Ranks of all units in each draw, ties averaged, less their mean, shape (n, b)."""
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
    """As scikit-learn's ``average_precision_score``: precision at each distinct value, weighted by the recall it adds."""
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
    """NaN where there is nothing to divide by: a draw of one class, or of equal values, has no such statistic."""
    shares: Floats = np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
    return shares


_KERNELS: dict[str, Callable[[Units], Kernel]] = {
    "mean": _mean,
    "pearson": _pearson,
    "spearman": _spearman,
    "average_precision": _average_precision,
}
STATISTICS = tuple(_KERNELS)

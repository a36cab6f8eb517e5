"""A verdict drawn as a bar: the value, the range where it must lie, and the other known marks."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pytest_embedqa.core.requirement import score_range
from pytest_embedqa.core.verdict import Verdict

WIDTH = 120
# Marks closer than this share of the axis can't be told apart on it: the axis then spans only the marks.
_TOO_NEAR = 0.05
# Space beside the outermost marks, as a share of the distance between them.
_AIR = 0.5


@dataclass(frozen=True)
class Bar:
    """The places of a verdict's marks on an axis, in units of ``WIDTH``.

    Attributes:
        low: Value at the left end.
        high: Value at the right end.
        broken: Whether the axis starts elsewhere than usual, so that close marks can be told apart.
        start: Place where the bar of the value begins.
        value: Place of the value.
        bound: Place of the bound.
        allowed: Both ends of the range where the value must lie.
        interval: Both ends of the 95 % interval.
        published: Place of the published score.
        baseline: Place of the baseline.
    """

    low: float
    high: float
    broken: bool
    start: float
    value: float
    bound: float
    allowed: tuple[float, float]
    interval: tuple[float, float] | None
    published: float | None
    baseline: float | None


def bar_of(verdict: Verdict) -> Bar | None:
    """Return the bar of a verdict; ``None`` where value or bound is no number.

    Scores lie on an axis from 0 to 1 (from -1 if one of them is negative), speeds and times on an axis from 0 to a
    quarter beyond the furthest mark. Where the marks would coincide, as for cosines near 1, the axis spans only their
    neighbourhood.
    """
    value, bound = _finite(verdict.value), _finite(verdict.bound)
    if value is None or bound is None:
        return None
    ends = [one for one in map(_finite, verdict.interval or ()) if one is not None]
    published, baseline = _finite(verdict.published), _finite(verdict.baseline)
    marks = [value, bound, *ends, *(one for one in (published, baseline) if one is not None)]
    low, high = min(marks), max(marks)
    limit = score_range(verdict.measure)[1]
    if limit == 1 and low >= -1 and high <= 1:
        axis = (-1.0 if low < 0 else 0.0, 1.0)
    else:
        axis = (min(low * 1.25, 0.0), high * 1.25 if high > 0 else 1.0)
    usual = axis[0]
    if 0 < high - low < _TOO_NEAR * (axis[1] - axis[0]):
        air = _AIR * (high - low)
        axis = (max(low - air, axis[0]), min(high + air, axis[1]))
    broken = axis[0] > usual

    def place(one: float) -> float:
        return round(WIDTH * (one - axis[0]) / (axis[1] - axis[0]), 1)

    allowed = (0.0, place(bound)) if verdict.at_most else (place(bound), float(WIDTH))
    return Bar(
        low=axis[0],
        high=axis[1],
        broken=broken,
        start=0.0 if broken else place(0.0),
        value=place(value),
        bound=place(bound),
        allowed=allowed,
        interval=(place(ends[0]), place(ends[1])) if len(ends) > 1 else None,
        published=None if published is None else place(published),
        baseline=None if baseline is None else place(baseline),
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None

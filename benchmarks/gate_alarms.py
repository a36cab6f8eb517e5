"""Count the gate's false alarms, and the drops that it sees, on the evidence of two saved runs.

python benchmarks/gate_alarms.py old.json new.json --task ArguAna

The files are written by --embedqa-save-baseline. Alarms are counted where nothing is wrong: between two runs of the
same encoder, as they are (--as-is, e.g. with another batch size), or between two encoders that are swapped at random
for each query, so that neither is better while single queries differ as much as they do between real models. Power is
counted where a drop was put in, for scores that are means.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from pytest_embedqa.core.evidence import Evidence, Units
from pytest_embedqa.core.measures import Floats
from pytest_embedqa.core.requirement import MAIN_SCORE, Kind, Requirement
from pytest_embedqa.core.statistics import MOVED, Difference, difference
from pytest_embedqa.core.verdict import Outcome, judge_drop
from pytest_embedqa.upgrade.baseline import read_baseline

Pair = tuple[Evidence, Evidence]
MARGIN = 0.01
# Fewer than the gate draws, to save time; that widens the error of a p-value near 0.05 to half a point.
RESAMPLES = 2_000
SIZES = (30, 100, 300, 1000)
DROPS = (0.01, 0.02, 0.05)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--task", default="ArguAna")
    parser.add_argument("--as-is", action="store_true", help="both files are of one encoder: compare them as they are")
    parser.add_argument("--comparisons", type=int, default=1000)
    given = parser.parse_args()
    one, other = (_units(path, given.task) for path in (given.first, given.second))
    values, others = one.parts[0].values, other.parts[0].values
    rng = np.random.default_rng(7)

    print(f"{given.task}: {one.count} units, {int((abs(values - others) > MOVED).sum())} differ between the two files")
    print(f"\n{given.comparisons} comparisons without a drop   | significant drops | gate fails (margin {MARGIN})")
    for n in [*(size for size in SIZES if size < one.count), one.count]:
        found = [_compare(_without_drop(rng, one, other, n, swap=not given.as_is)) for _ in range(given.comparisons)]
        _print_row(f"{n} units", found)
    if one.statistic != "mean":
        return
    print(f"\n{given.comparisons} comparisons with a drop      | significant drops | gate fails (margin {MARGIN})")
    for drop in DROPS:
        _print_row(f"drop of {drop}", [_compare(_with_drop(rng, one, other, drop)) for _ in range(given.comparisons)])


def _units(path: Path, task: str) -> Evidence:
    """Return the units of a score, of all splits and subsets together."""
    found = next((one for one in read_baseline(path).evaluations if one.subject.task == task), None)
    if found is None or found.evidence is None:
        raise SystemExit(f"{path} has no units of {task}")
    parts = found.evidence.parts
    labels = [part.labels for part in parts if part.labels is not None]
    whole = _part(np.concatenate([part.values for part in parts]), np.concatenate(labels) if labels else None)
    return replace(found.evidence, parts=(whole,))


def _part(values: Floats, labels: Floats | None) -> Units:
    return Units("test", "default", tuple(map(str, range(len(values)))), values, labels)


def _without_drop(rng: np.random.Generator, one: Evidence, other: Evidence, n: int, *, swap: bool) -> Pair:
    rows = rng.integers(0, one.count, size=n)
    (first,), (second,) = one.parts, other.parts
    before, after = first.values[rows], second.values[rows]
    if swap:
        swapped = rng.random(n) < 0.5  # noqa: PLR2004  a coin
        before, after = np.where(swapped, after, before), np.where(swapped, before, after)
    labels = None if first.labels is None else first.labels[rows]
    return replace(one, parts=(_part(before, labels),)), replace(one, parts=(_part(after, labels),))


def _with_drop(rng: np.random.Generator, one: Evidence, other: Evidence, drop: float) -> Pair:
    """Return the pair with random units set to zero in the second until its mean is lower by ``drop``."""
    before, after = _without_drop(rng, one, other, one.count, swap=True)
    values = after.parts[0].values.copy()
    order = rng.permutation(len(values))
    values[order[np.cumsum(values[order]) <= drop * len(values)]] = 0
    return before, replace(after, parts=(_part(values, None),))


def _compare(pair: Pair) -> tuple[Difference, Outcome]:
    before, after = pair
    found = difference(before, after, RESAMPLES)
    requirement = Requirement(Kind.MAX_REGRESSION, MAIN_SCORE, MARGIN)
    return found, judge_drop(requirement, after.value, before.value, found)[0]


def _print_row(label: str, found: list[tuple[Difference, Outcome]]) -> None:
    share: Callable[[list[bool]], float] = lambda hits: sum(hits) / len(hits)  # noqa: E731
    significant = share([one.is_drop for one, _ in found])
    fails = share([outcome is Outcome.FAIL for _, outcome in found])
    print(f"{label:<33} | {significant:>17.1%} | {fails:>10.1%}", flush=True)


if __name__ == "__main__":
    main()

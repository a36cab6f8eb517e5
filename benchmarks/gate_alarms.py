"""How often the gate cries wolf, and how large a drop it sees: on the evidence of two saved runs.

python benchmarks/gate_alarms.py old.json new.json --task ArguAna

The files are what --embedqa-save-baseline writes. Alarms are counted where nothing is wrong: two runs of one encoder, as they
are (--as-is, e.g. with another batch size), or two encoders of which each query takes either at random, so that neither is
better while single queries differ as much as they do between real models. Power is counted where a drop was put in.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pytest_embedqa.core.evidence import Evidence, Units
from pytest_embedqa.core.requirement import MAIN_SCORE, Kind, Requirement
from pytest_embedqa.core.statistics import MOVED, Difference, difference
from pytest_embedqa.core.verdict import Outcome, judge_drop
from pytest_embedqa.upgrade.baseline import read_baseline

Floats = npt.NDArray[np.float64]
Pair = tuple[Floats, Floats]
MARGIN = 0.01
# Fewer than the gate draws, for the sake of time; it widens the error of a p-value near 0.05 to half a point.
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
    one, other = (_values(path, given.task) for path in (given.first, given.second))
    rng = np.random.default_rng(7)

    print(
        f"{given.task}: {len(one)} units; {int((abs(one - other) > MOVED).sum())} of them differ between the two files"
    )
    print(f"\n{given.comparisons} comparisons without a drop   | significant drops | gate fails (margin {MARGIN})")
    for n in [*(size for size in SIZES if size < len(one)), len(one)]:
        found = [_compare(_without_drop(rng, one, other, n, swap=not given.as_is)) for _ in range(given.comparisons)]
        _print_row(f"{n} units", found)
    print(f"\n{given.comparisons} comparisons with a drop      | significant drops | gate fails (margin {MARGIN})")
    for drop in DROPS:
        _print_row(f"drop of {drop}", [_compare(_with_drop(rng, one, other, drop)) for _ in range(given.comparisons)])


def _values(path: Path, task: str) -> Floats:
    """Value of each unit, where the score is their mean."""
    found = next((one for one in read_baseline(path).evaluations if one.subject.task == task), None)
    if found is None or found.evidence is None or found.evidence.statistic != "mean":
        raise SystemExit(f"{path} has no units of {task} whose mean is the score")
    return np.concatenate([part.values for part in found.evidence.parts])


def _without_drop(rng: np.random.Generator, one: Floats, other: Floats, n: int, *, swap: bool) -> Pair:
    rows = rng.integers(0, len(one), size=n)
    before, after = one[rows], other[rows]
    if swap:
        swapped = rng.random(n) < 0.5  # noqa: PLR2004  a coin
        before, after = np.where(swapped, after, before), np.where(swapped, before, after)
    return before, after


def _with_drop(rng: np.random.Generator, one: Floats, other: Floats, drop: float) -> Pair:
    """As without, and random units lose all that they have until the mean is lower by ``drop``."""
    before, after = _without_drop(rng, one, other, len(one), swap=True)
    order = rng.permutation(len(after))
    lost = np.cumsum(after[order]) <= drop * len(after)
    after = after.copy()
    after[order[lost]] = 0
    return before, after


def _compare(pair: Pair) -> tuple[Difference, Outcome]:
    before, after = (_evidence(values) for values in pair)
    found = difference(before, after, RESAMPLES)
    requirement = Requirement(Kind.MAX_REGRESSION, MAIN_SCORE, MARGIN)
    return found, judge_drop(requirement, after.value, before.value, found)[0]


def _evidence(values: Floats) -> Evidence:
    ids = tuple(map(str, range(len(values))))
    return Evidence("mean", "units", (Units("test", "default", ids, values),))


def _print_row(label: str, found: list[tuple[Difference, Outcome]]) -> None:
    share: Callable[[list[bool]], float] = lambda hits: sum(hits) / len(hits)  # noqa: E731
    significant = share([one.is_drop for one, _ in found])
    fails = share([outcome is Outcome.FAIL for _, outcome in found])
    print(f"{label:<33} | {significant:>17.1%} | {fails:>10.1%}", flush=True)


if __name__ == "__main__":
    main()

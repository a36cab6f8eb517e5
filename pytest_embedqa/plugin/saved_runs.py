"""The comparison with saved runs that ``--benchmark-compare`` and ``--benchmark-compare-fail`` ask for, test by test.

pytest-benchmark compares once all tests are over, and raises an exception while the summary is printed: no test fails,
and no report knows. Speed tests are therefore judged here, as with any bound, and left out of that comparison; the
other benchmarks of a project stay with pytest-benchmark.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from pytest_embedqa.core.verdict import Verdict
from pytest_embedqa.speed.saved_run import Allowance, SavedBenchmark, processor

# The processors, saved and now, by the identity of a test's entry in a loaded file.
_PROCESSORS: pytest.StashKey[dict[int, tuple[str, str]]] = pytest.StashKey()
# The conditions, and the names of the tests that are judged here.
_TAKEN: pytest.StashKey[tuple[list[Allowance], set[str]]] = pytest.StashKey()


class ForOthers:
    """A condition of ``--benchmark-compare-fail`` for the benchmarks that are not judged here."""

    def __init__(self, condition: Any, judged: set[str]) -> None:  # pytest-benchmark's own type
        """Wrap a condition of pytest-benchmark."""
        self._condition, self._judged = condition, judged

    def fails(self, current: Any, compared: Mapping[str, Any]) -> str | None:
        """Say why a benchmark has regressed, as pytest-benchmark does."""
        found: str | None = None if current.fullname in self._judged else self._condition.fails(current, compared)
        return found


def note_processors(config: pytest.Config, machine: object, saved_run: Mapping[str, Any]) -> None:
    """Note on which processor the tests of a saved run were measured, and which one this is."""
    both = processor(saved_run.get("machine_info")), processor(machine)
    known = config.stash.setdefault(_PROCESSORS, {})
    known.update({id(benchmark): both for benchmark in saved_run["benchmarks"]})


def take_over(item: pytest.Item) -> list[Allowance]:
    """Leave a test out of pytest-benchmark's own comparison, and return the conditions to hold it to."""
    if _TAKEN not in item.config.stash:
        from pytest_benchmark.utils import PercentageRegressionCheck

        judged: set[str] = set()
        benchmarks = item.config.pluginmanager.getplugin("pytest-benchmark")
        given = benchmarks.compare_fail or []
        allowed = [Allowance(one.field, one.threshold, isinstance(one, PercentageRegressionCheck)) for one in given]
        item.config.stash[_TAKEN] = allowed, judged
        benchmarks.compare_fail = [ForOthers(one, judged) for one in given]
    allowed, judged = item.config.stash[_TAKEN]
    judged.add(item.nodeid)
    return allowed


def compare(
    item: pytest.Item, allowed: list[Allowance], now: Mapping[str, Any], of: Mapping[str, Any]
) -> tuple[list[Verdict], list[str]]:
    """Judge a measured test against the saved runs that were loaded.

    Args:
        item: The test.
        allowed: The conditions.
        now: What ``extra_info`` says of the measurement.
        of: The attributes of the verdicts that name the test.

    Returns:
        The verdicts, and why a saved run, or all of them, can't be compared with.
    """
    verdicts, problems = list[Verdict](), list[str]()
    stats = item.funcargs["benchmark"].stats.stats  # type: ignore[attr-defined]  # pytest-benchmark's fixture
    runs = item.config.pluginmanager.getplugin("pytest-benchmark").compared_mapping
    found = {str(path): tests[item.nodeid] for path, tests in runs.items() if item.nodeid in tests}
    for file, facts in found.items():
        saved = SavedBenchmark(file, facts, *item.config.stash[_PROCESSORS][id(facts)])
        if problem := saved.why_no_base(now, allowed):
            problems.append(problem)
        else:
            verdicts += [saved.verdict(one, getattr(stats, one.figure), of) for one in allowed]
    if allowed and not found:
        problems.append("no saved run that was loaded has this test")
    return verdicts, problems

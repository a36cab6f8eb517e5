"""The results of a run as plain facts, the source of terminal, HTML report, JSON and CI summaries.

Everything is read from test reports, so that it is the same in one process and under pytest-xdist.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_embedqa.core.properties import ENCODER, LEFT_OUT, NOTE, PREFIX, PROBE, VERDICT
from pytest_embedqa.core.verdict import Verdict
from pytest_embedqa.encoders.names import names_of
from pytest_embedqa.markers import CAPABILITY
from pytest_embedqa.reports.interruption import Interruption
from pytest_embedqa.reports.naming import renamed

if TYPE_CHECKING:
    import pytest

# Version of the form that ``Run.as_dict`` writes; readers refuse an unknown version.
FORM = 1
PASSED, FAILED, ERROR, SKIPPED, XFAILED, XPASSED = "passed", "failed", "error", "skipped", "xfailed", "xpassed"
BAD = {FAILED, ERROR}
# Final outcomes of a phase. Plugins that run a test again report other outcomes ("rerun", "retried") for tries that do
# not count.
_FINAL = {PASSED, FAILED, SKIPPED}


@dataclass(frozen=True)
class Test:
    """A test of embedding quality, with all facts that it reported.

    Attributes:
        id: pytest's node id.
        file: File, relative to the root of the project.
        line: Line of the test in it, from 1.
        outcome: ``passed``, ``failed``, ``error``, ``skipped``, ``xfailed`` or ``xpassed``.
        seconds: Wall time, with its fixtures.
        capability: ``quality``, ``parity``, ``invariants``, ``speed``, ``rag``, or ``encoder`` for a test that only
            asks for the encoder; empty for a file that could not be collected.
        text: Reason why it failed, was skipped, or is expected to fail.
        facts: What it told, by name: lists of ``verdict``, ``encoder``, ``task``, ``note``, ``truncation``, ``parity``,
            ``curve``, ``speed``, ``upgrade``, ``diagnosis``, ``probe``, ``decay``, ``left_out`` (see ``core/properties.py``).
    """

    __test__: ClassVar[bool] = False  # pytest would take it for a test case where a test module imports it

    id: str
    file: str
    line: int
    outcome: str
    seconds: float
    capability: str
    text: str
    facts: Mapping[str, Sequence[dict[str, Any]]] = field(default_factory=dict)

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """The verdicts of the test."""
        return [Verdict.from_dict(one) for one in self.facts.get(_short(VERDICT), ())]

    def expects(self, verdict: Verdict) -> bool:
        """Return whether a verdict is the failure that this test expects."""
        return self.outcome == XFAILED and not verdict.passed


@dataclass(frozen=True)
class Run:
    """All embedding tests of a run.

    Attributes:
        tests: The tests, in the order in which they ended.
        others: Number of tests that have nothing to do with embeddings, by outcome.
        settings: Settings of the run: models, baseline, data, …
        environment: Environment of the run: Python, packages, processor, …
        started: Start of the run in ISO 8601, with time zone.
        seconds: Wall time in seconds.
        interrupted: How the run was interrupted; ``None`` for a complete run.
    """

    tests: tuple[Test, ...]
    others: Mapping[str, int] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    started: str = ""
    seconds: float = 0.0
    interrupted: Interruption | None = None

    @cached_property
    def counts(self) -> Counter[str]:
        """The number of embedding tests by outcome."""
        return Counter(test.outcome for test in self.tests)

    @cached_property
    def bad(self) -> list[Test]:
        """The tests that failed."""
        return [test for test in self.tests if test.outcome in BAD]

    def facts(self, name: str) -> list[dict[str, Any]]:
        """Return all facts of a kind, e.g. ``facts(PARITY)``."""
        return [one for test in self.tests for one in test.facts.get(_short(name), ())]

    @cached_property
    def judged(self) -> list[tuple[Test, Verdict]]:
        """Each verdict with its test, except the verdicts of single probes, which have a table of their own."""
        rows = [
            (test, verdict) for test in self.tests if not test.facts.get(_short(PROBE)) for verdict in test.verdicts
        ]
        own = _told_apart([(test, one.model, (one.task, one.requirement)) for test, one in rows])
        return [
            (test, replace(one, task=f"{one.task} {name}") if name else one)
            for (test, one), name in zip(rows, own, strict=True)
        ]

    @cached_property
    def probes(self) -> list[tuple[Test, dict[str, Any]]]:
        """The facts of each probe with its test; probes that share a name get the names of their tests."""
        rows = [(test, one) for test in self.tests for one in test.facts.get(_short(PROBE), ())]
        own = _told_apart([(test, one["model"], (one["path"], one["name"])) for test, one in rows], whole=True)
        return [(test, {**one, "name": name} if name else one) for (test, one), name in zip(rows, own, strict=True)]

    @cached_property
    def notes(self) -> list[str]:
        """The notes that a reader needs to read the values right, each once."""
        noted = [self.interrupted.note] if self.interrupted else []
        noted += [*self._left_out, *(f"{verdict.task}: {note}" for _, verdict in self.judged for note in verdict.notes)]
        return list(dict.fromkeys([*noted, *(one["text"] for one in self.facts(NOTE))]))

    @property
    def _left_out(self) -> list[str]:
        """Notes about the tests that a time budget left out."""
        facts = self.facts(LEFT_OUT)
        if not facts:
            return []
        count, names = len(self.tests), ", ".join(one["test"] for one in facts)
        return [f"budget of {facts[0]['budget']}: {len(facts)} of {count} tests did not fit: {names}"]

    @cached_property
    def encoders(self) -> dict[str, dict[str, Any]]:
        """The identity of each encoder by its name (its spec, if no other has it), in order of appearance."""
        return {one["spec"]: one for one in self.facts(ENCODER)}

    @cached_property
    def compared(self) -> list[str]:
        """The encoders of the command line that were measured, if it named several."""
        specs = self.settings.get("models", ())
        models = [name for spec in specs for name in self.encoders if _is_of(name, spec)]
        return models if len(specs) > 1 and len(models) > 1 else []

    def is_under_test(self, encoder: str) -> bool:
        """Return whether an encoder is a model of the command line, and no reference."""
        return any(_is_of(encoder, spec) for spec in self.settings.get("models", [encoder]))

    def as_dict(self) -> dict[str, Any]:
        """Return a plain dictionary for strict JSON, where a number that is not finite is null."""
        facts: dict[str, Any] = _strict({"form": FORM, **asdict(self)})
        return facts


def _told_apart(rows: Sequence[tuple[Test, str, object]], *, whole: bool = False) -> list[str]:
    """Return, for rows that several tests share, a text that tells the tests apart; empty for all others.

    Args:
        rows: Test, model and content of each row.
        whole: Whether to use the test's whole name with parameters, or only the part that differs.
    """
    sharing: dict[tuple[str, object], dict[str, tuple[str, str]]] = {}
    for test, model, row in rows:
        sharing.setdefault((model, row), {})[test.id] = _name_of(test, model)
    told = []
    for test, model, row in rows:
        names = sharing[model, row]
        name, parameters = names[test.id]
        if len(names) == 1:
            told.append("")
        elif len(set(names.values())) < len(names):
            told.append(test.id)
        elif whole or len({one for one, _ in names.values()}) > 1:
            told.append(f"{name}{parameters}")
        else:
            told.append(parameters)
    return told


def _name_of(test: Test, model: str) -> tuple[str, str]:
    """Return class and function of a test, and its parameters without the model."""
    name, _, parameters = test.id.partition("::")[2].partition("[")
    own = f"-{parameters.removesuffix(']')}-".replace(f"-{model}-", "-").strip("-")
    return name, f"[{own}]" if own else ""


def run_of(  # noqa: PLR0913  the parts of a run
    reports: Iterable[pytest.TestReport | pytest.CollectReport],
    *,
    settings: Mapping[str, Any],
    environment: Mapping[str, Any],
    started: str,
    seconds: float,
    interrupted: Interruption | None = None,
) -> Run:
    """Build a run from test reports.

    Args:
        reports: Reports of each test's setup, call and teardown, and of failed collections.
        settings: As in ``Run``.
        environment: As in ``Run``.
        started: As in ``Run``.
        seconds: As in ``Run``.
        interrupted: As in ``Run``, except for the number of tests that ran.
    """
    by_test: dict[str, list[pytest.TestReport | pytest.CollectReport]] = {}
    for report in reports:
        if getattr(report, "when", None) == "setup":  # a test that is run again starts anew
            by_test.pop(report.nodeid, None)
        by_test.setdefault(report.nodeid, []).append(report)
    tests, others = [], Counter[str]()
    for phases in by_test.values():
        test = _test_of(phases)
        cut_off = interrupted is not None and test.id in interrupted.running
        if cut_off and test.outcome == PASSED and phases[-1].when == "setup":
            continue
        if test.capability or test.outcome == ERROR:
            tests.append(test)
        else:
            others[test.outcome] += 1
    names = names_of(one for test in tests for one in test.facts.get(_short(ENCODER), ()))
    tests = [replace(test, facts=renamed(test.facts, names)) for test in tests]
    if interrupted:
        interrupted = replace(interrupted, ran=sum(bool(test.capability) for test in tests))
    return Run(tuple(tests), dict(others), settings, environment, started, seconds, interrupted)


def _test_of(phases: Sequence[pytest.TestReport | pytest.CollectReport]) -> Test:
    own = [phase for phase in phases if not _is_subtest(phase)]
    counting = [phase for phase in own if phase.outcome in _FINAL] or own or list(phases)
    properties = [pair for phase in counting[-1:] for pair in getattr(phase, "user_properties", ())]
    # A failed subtest fails its test, as it fails the run; other outcomes of subtests have no effect.
    failed = [phase for phase in phases if _is_subtest(phase) and phase.outcome == FAILED]
    # An unexpected pass shows as passed in all phases; only the call phase carries the mark.
    unexpected = [phase for phase in counting if hasattr(phase, "wasxfail")]
    telling = next((phase for phase in [*failed, *counting] if phase.outcome != PASSED), [*counting, *unexpected][-1])
    file, line = telling.location[:2] if telling.location else (telling.nodeid, 0)
    facts: dict[str, list[dict[str, Any]]] = {}
    for name, value in properties:
        if name.startswith(PREFIX) and name != CAPABILITY:
            facts.setdefault(_short(name), []).append(json.loads(str(value)))
    return Test(
        id=telling.nodeid,
        file=file,
        line=(line or 0) + 1,
        outcome=_outcome(telling),
        seconds=sum(getattr(phase, "duration", 0.0) for phase in own),
        capability=next((str(value) for name, value in properties if name == CAPABILITY), ""),
        text="\n\n".join(f"subtest {_subtest(one)}:\n{_text(one)}" for one in failed) or _text(telling),
        facts=facts,
    )


def _is_subtest(report: pytest.TestReport | pytest.CollectReport) -> bool:
    """Return whether a report is of a subtest, by the attributes that pytest 9 or pytest-subtests adds."""
    return hasattr(report, "context")


def _subtest(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return the name of a subtest with its parameters."""
    context = report.context
    named = ", ".join(f"{name}={value}" for name, value in context.kwargs.items())
    return " ".join(filter(None, [context.msg, named and f"({named})"])) or "without a name"


def _outcome(report: pytest.TestReport | pytest.CollectReport) -> str:
    expected = hasattr(report, "wasxfail")
    if report.outcome == PASSED:
        return XPASSED if expected else PASSED
    if report.outcome == SKIPPED:
        return XFAILED if expected else SKIPPED
    return FAILED if getattr(report, "when", None) == "call" else ERROR


def _text(report: pytest.TestReport | pytest.CollectReport) -> str:
    if hasattr(report, "wasxfail") and report.outcome != FAILED:
        return str(report.wasxfail).removeprefix("reason: ")
    if report.outcome == SKIPPED and isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    return report.longreprtext if report.outcome != PASSED else ""


def _is_of(name: str, spec: str) -> bool:
    return name == spec or name.startswith((f"{spec} (", f"{spec}?dim=", f"{spec}&dim="))  # and cut by a fixture


def _short(name: str) -> str:
    return name.removeprefix(PREFIX)


def _strict(value: Any) -> Any:  # any JSON
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(name): _strict(one) for name, one in value.items()}
    return [_strict(one) for one in value] if isinstance(value, list | tuple) else value

"""The content of the page, section by section; the template only lays it out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pytest_embedqa.core.properties import TRUNCATION
from pytest_embedqa.core.verdict import Outcome, Verdict
from pytest_embedqa.encoders.wording import identity_line
from pytest_embedqa.reports.html import sections
from pytest_embedqa.reports.html.bars import Bar, bar_of
from pytest_embedqa.reports.html.figures import figures
from pytest_embedqa.reports.html.words import ENDED, INTERRUPTED, Word, first_line, number, word_of
from pytest_embedqa.reports.run import BAD, FAILED, PASSED, SKIPPED, XFAILED, XPASSED, Run, Test

# Every possible section, in order: its name and its heading.
_SECTIONS = {
    "failed": "What failed",
    "thresholds": "Thresholds",
    "comparison": "Comparison of models",
    "gate": "Against the baseline",
    "diagnosis": "Why scores are low",
    "figures": "Figures",
    "probes": "RAG probes",
    "invariants": "Invariants",
    "truncation": "Texts that were cut",
    "notes": "Notes",
    "tests": "Tests that did not fail",
    "encoders": "Encoders",
    "environment": "Environment",
}
_FIGURES = {
    "tasks": "Tasks",
    "compression": "Smaller vectors",
    "speed": "Speed",
    "parity": "Parity",
    "robustness": "Robustness",
    "index": "Indexes",
}


class Row(NamedTuple):
    """A verdict in the table of thresholds."""

    verdict: Verdict
    word: Word
    bar: Bar | None
    number: int
    test: Test


class MeasureChange(NamedTuple):
    """A model's measure beside the first model's: value, difference, and whether no other model is better."""

    value: str
    difference: str
    best: bool


def view(run: Run) -> dict[str, Any]:
    """Return the data of the template; a section without data is empty."""
    encoders = run.encoders
    models = list(dict.fromkeys([*encoders, *(verdict.model for test in run.tests for verdict in test.verdicts)]))
    tests = list(enumerate(run.tests))
    rows = _rows(run)
    drawn = figures(run)
    shown: dict[str, Any] = {
        "failed": [
            (number, test, ENDED[test.outcome], first_line(test.text)) for number, test in tests if test.outcome in BAD
        ],
        "thresholds": rows,
        "comparison": list(_comparison([row.verdict for row in rows], run.compared)),
        "gate": sections.gate(run),
        "diagnosis": sections.diagnoses(run),
        "figures": [
            (name, _FIGURES.get(name, name), drawn[name])
            for name in dict.fromkeys([*_FIGURES, *drawn])
            if name in drawn
        ],
        "probes": sections.probes(run),
        "invariants": sections.invariants(run),
        "truncation": list({(one["model"], one["task"]): one for one in run.facts(TRUNCATION) if one["lost"]}.values()),
        "notes": run.notes,
        "tests": [
            (word, listed)
            for outcome in (XPASSED, XFAILED, SKIPPED, PASSED)
            for word in [ENDED[outcome]]
            if (listed := [(number, test) for number, test in tests if test.outcome == outcome])
        ],
        "encoders": encoders,
        "environment": run.environment or run.settings,
    }
    return {
        **shown,
        "sections": [(name, title) for name, title in _SECTIONS.items() if shown[name]],
        "run": run,
        "head": _head(run, rows),
        "models": models,
        "several": len(models) > 1,
        "references": [name for name in encoders if not run.is_under_test(name)],
        "identities": {spec: identity_line(facts) for spec, facts in encoders.items()},
        "published": any(row.verdict.published is not None for row in rows),
        "baseline": any(row.verdict.baseline is not None for row in rows),
        "outcomes": _choices(row.word.text for row in rows),
        "capabilities": _choices(row.test.capability for row in rows),
    }


def _head(run: Run, rows: Sequence[Row]) -> dict[str, Any]:
    """Return the outcome of the run in a word and a sentence, and the counts behind it."""
    counts, tests = run.counts, len(run.tests)
    bad = len(run.bad)
    ran = tests - counts[SKIPPED]
    unsure = sum(row.verdict.outcome is Outcome.INCONCLUSIVE and row.test.outcome not in BAD for row in rows)
    if bad:
        status, word = "FAILED", ENDED[FAILED]
        said = f"{bad} of {_counted(tests, 'test')} failed."
    elif run.interrupted:
        status, word, said = "INTERRUPTED", INTERRUPTED, ""
    elif ran:
        status, word = "PASSED", ENDED[PASSED]
        said = f"{_counted(ran, 'test')} ran, and none failed."
    else:
        status, word = "NOTHING RAN", ENDED[SKIPPED]
        said = "Every test was skipped." if tests else "There was no test of embedding quality."
    if run.interrupted:
        said = f"{said} The run was interrupted: {run.interrupted.progress}.".lstrip()
    if unsure:
        said += f" {_counted(unsure, 'verdict')} {'is' if unsure == 1 else 'are'} unsure: chance explains the drop."
    return {
        "status": status,
        "word": word,
        "said": said,
        "counts": [(ended, counts[outcome]) for outcome, ended in ENDED.items() if counts[outcome]],
        "unsure": unsure,
        "others": ", ".join(f"{count} {ENDED[outcome].text}" for outcome, count in run.others.items()),
    }


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _rows(run: Run) -> list[Row]:
    """Return every verdict, failures first; probes have a table of their own."""
    numbers = {test.id: number for number, test in enumerate(run.tests)}
    rows = [
        Row(verdict, word_of(verdict, test), bar_of(verdict), numbers[test.id], test) for test, verdict in run.judged
    ]
    return sorted(rows, key=lambda row: row.word.rank)


def _comparison(verdicts: Sequence[Verdict], specs: Sequence[str]) -> Iterator[tuple[str, str, list[MeasureChange]]]:
    """Yield task, measure, and a cell for each model."""
    by_place = {(one.task, one.measure, one.model): one for one in verdicts if one.model in specs}
    for task, measure in dict.fromkeys((task, measure) for task, measure, _ in by_place) if specs else ():
        row = [by_place.get((task, measure, spec)) for spec in specs]
        known = [one.value for one in row if one and one.value is not None and math.isfinite(one.value)]
        at_most = any(one.at_most for one in row if one)
        best = (min if at_most else max)(known, default=None)
        first = row[0]
        cells = []
        for one in row:
            difference = ""
            if one and first and one is not first and None not in {one.value, first.value}:
                difference = number(one.value - first.value, one.digits, "+")
            distinct = len(set(known)) > 1 and one is not None and one.value == best
            cells.append(MeasureChange(number(one.value, one.digits) if one else "–", difference, distinct))
        yield task, measure, cells


def _choices(values: Iterator[str] | Sequence[str]) -> Mapping[str, int]:
    """Return the choices of a filter, with the number of rows for each."""
    counts: dict[str, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return counts

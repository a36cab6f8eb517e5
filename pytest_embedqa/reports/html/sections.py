"""The sections of the page that show more than verdicts: gate, diagnosis, probes, invariants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pytest_embedqa.core.properties import DIAGNOSIS, UPGRADE
from pytest_embedqa.core.verdict import Verdict
from pytest_embedqa.diagnosis.result import Diagnosis
from pytest_embedqa.rag.wording import answer_from, losses_line, searched_line
from pytest_embedqa.reports.html.words import ENDED, EXPECTED, JUDGED, Word, cut, first_line, word_of
from pytest_embedqa.reports.run import FAILED, PASSED, XFAILED, Run
from pytest_embedqa.upgrade import wording as upgrade
from pytest_embedqa.upgrade.gate import is_gate

INVARIANTS = "invariants"


def gate(run: Run) -> list[dict[str, Any]]:
    """Return each model's tasks against the baseline, the largest drop first, and the units that got worse most."""
    facts = run.facts(UPGRADE)
    shown = []
    for model in dict.fromkeys(one["model"] for one in facts):
        verdicts = [
            verdict for test in run.tests for verdict in test.verdicts if verdict.model == model and is_gate(verdict)
        ]
        by_place = {(verdict.task, verdict.value): verdict for verdict in verdicts}
        tasks = {one["subject"]: one for one in facts if one["model"] == model}.values()
        labels = [one["task"] for one in tasks]
        rows = [(one, by_place.get((one["task"], one["after"]))) for one in sorted(tasks, key=_moved)]
        shown.append(
            {
                "model": model,
                "rows": [(one, _gate_word(verdict)) for one, verdict in rows],
                # Tasks of the same name are told apart by their other arguments.
                "twice": {label for label in labels if labels.count(label) > 1},
                "line": upgrade.overall_line(list(by_place.values())),
                "differences": next((one["differences"] for one, _ in rows), []),
                "worse": [worse for one, _ in rows if (worse := _worse(one))["units"] or worse["parts"]],
            }
        )
    return shown


def _moved(facts: Mapping[str, Any]) -> float:
    before, after = facts["before"], facts["after"]
    return float("-inf") if before is None or after is None else float(after - before)


def _gate_word(verdict: Verdict | None) -> Word | None:
    return JUDGED[verdict.outcome]._replace(text=upgrade.outcome_word(verdict.outcome)) if verdict else None


def _worse(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes within a task: number of units, parts, and the units that got worse most."""
    return {
        "task": facts["task"],
        "counts": upgrade.counts_line(facts) if facts["change"] else "",
        "parts": list(upgrade.part_lines(facts)),
        # Heading: part, unit, and change.
        "units": [(next(upgrade.whole_lines({"worst": [one]})), one) for one in facts["worst"]],
    }


def diagnoses(run: Run) -> list[dict[str, Any]]:
    """Return the diagnoses of low scores, each once for each model and task."""
    shown = {(one["model"], one["task"]): one for one in run.facts(DIAGNOSIS)}
    return [_diagnosis(one) for one in shown.values()]


def _diagnosis(facts: Mapping[str, Any]) -> dict[str, Any]:
    diagnosis = Diagnosis.from_dict(facts)
    return {
        "model": facts["model"],
        "task": facts["task"],
        "what": diagnosis,
        "tried": sorted(diagnosis.tried.items(), key=lambda one: -(one[1] or 0.0)),
    }


class Asked(NamedTuple):
    """A probe in the table of its file."""

    number: int
    facts: Mapping[str, Any]
    word: Word
    where: str
    score: float | None


def probes(run: Run) -> list[dict[str, Any]]:
    """Return the probes of each model and file, failures first."""
    of_file: dict[tuple[str, str, str], list[Asked]] = {}
    numbers = {test.id: number for number, test in enumerate(run.tests)}
    for test, one in run.probes:
        word = _probe_word(one, expected=test.outcome == XFAILED)
        score = one["passages"][one["rank"] - 1]["score"] if one["rank"] else None
        place = one["model"], one["file"], one["path"]
        of_file.setdefault(place, []).append(Asked(numbers[test.id], one, word, answer_from(one), score))
    return [
        {
            "model": model,
            "file": file,
            "held": sum(one.facts["holds"] for one in asked),
            "lost": losses_line(one.facts for one in asked),
            "searched": list(dict.fromkeys(filter(None, (searched_line(one.facts) for one in asked)))),
            "probes": sorted(asked, key=lambda one: one.word.rank),
        }
        for (model, file, _), asked in of_file.items()
    ]


def _probe_word(facts: Mapping[str, Any], *, expected: bool) -> Word:
    if facts["holds"]:
        return ENDED[PASSED]._replace(text="pass")
    return EXPECTED if expected else ENDED[FAILED]._replace(text="FAIL")


def invariants(run: Run) -> dict[str, Any]:
    """Count the invariants that hold, and describe those that do not; empty if none were checked."""
    tests = [(number, test) for number, test in enumerate(run.tests) if test.capability == INVARIANTS]
    if not tests:
        return {}
    counts: dict[Word, int] = {}
    broken: list[tuple[Word, int, str, str, str]] = []
    for number, test in tests:
        ended = ENDED[test.outcome]
        counts[ended] = counts.get(ended, 0) + 1
        if test.outcome == PASSED:
            continue
        verdicts: Sequence[Verdict | None] = [one for one in test.verdicts if not one.passed] or [None]
        for verdict in verdicts:
            word = word_of(verdict, test) if verdict else ended
            name = verdict.task if verdict else test.id.rpartition("::")[2]
            said = verdict.reason if verdict else first_line(test.text)
            why = f"{said} Expected: {test.text}" if verdict and test.outcome == XFAILED else said
            broken.append((word, number, name, verdict.model if verdict else "", cut(why)))
    broken.sort(key=lambda one: one[0].rank)
    held = sorted({verdict.task for _, test in tests if test.outcome == PASSED for verdict in test.verdicts})
    return {"tests": len(tests), "counts": counts, "broken": broken, "held": held}

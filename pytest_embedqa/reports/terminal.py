"""The header and the tables in the terminal."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_embedqa.core.columns import cell, column
from pytest_embedqa.core.properties import CURVE, DECAY, ENCODER, INDEX, PARITY, PROBE, SPEED, TASK, TRUNCATION, UPGRADE
from pytest_embedqa.core.verdict import Outcome, Verdict
from pytest_embedqa.encoders.wording import identity_line, prompts_line
from pytest_embedqa.engine_parity.facts import strata_lines
from pytest_embedqa.index.facts import index_lines
from pytest_embedqa.rag import wording as rag
from pytest_embedqa.reports.naming import at_length
from pytest_embedqa.reports.printing import Printer
from pytest_embedqa.reports.run import XFAILED
from pytest_embedqa.upgrade import wording as upgrade
from pytest_embedqa.upgrade.gate import is_gate

if TYPE_CHECKING:
    import pytest

    from pytest_embedqa.reports.run import Run


class _Word(NamedTuple):
    """The printed name of an outcome, and its place in the order."""

    text: str
    colour: str
    rank: int


_WORDS = {
    Outcome.FAIL: _Word("FAIL", "red", 0),
    Outcome.INCONCLUSIVE: _Word("unsure", "yellow", 1),
    Outcome.PASS: _Word("pass", "green", 3),
}
_EXPECTED = _Word("xfail", "yellow", 2)
# Width in characters of a table's first heading.
_TITLE = 26


def summary(reporter: pytest.TerminalReporter, run: Run) -> None:
    """Print the table of verdicts, failures first, after a comparison of several models; then lines for GitHub."""
    rows = [(verdict, _EXPECTED if test.expects(verdict) else _WORDS[verdict.outcome]) for test, verdict in run.judged]
    facts = {name: run.facts(name) for name in (ENCODER, TASK, TRUNCATION, PARITY, CURVE, SPEED, UPGRADE, DECAY, INDEX)}
    facts[PROBE] = [{**one, "expected_failure": test.outcome == XFAILED} for test, one in run.probes]
    if rows or run.notes or any(facts[name] for name in (TASK, CURVE, SPEED, PROBE, DECAY)):
        reporter.section("embedding quality")
        _report(Printer(reporter), rows, facts, run)
    theirs = reporter.config.pluginmanager.hasplugin("pytest_github_actions_annotate_failures")
    if os.environ.get("GITHUB_ACTIONS") == "true" and not theirs:
        from pytest_embedqa.reports.github import annotations  # in GitHub's actions only

        for line in annotations.lines(run, reporter.config.rootpath):
            reporter.write_line(line)


def _report(
    printer: Printer,
    rows: list[tuple[Verdict, _Word]],
    facts: dict[str, list[dict[str, Any]]],
    run: Run,
) -> None:
    encoders = run.encoders
    for spec, identity in encoders.items():
        printer.write_line(f"{spec}: {identity_line(identity)}")
        if identity.get("kind") != "retriever":
            printer.write_line(f"  prompts: {prompts_line(identity['prompts_from'], identity['prompts'])}")
    if run.compared:
        _comparison(printer, [verdict for verdict, _ in rows if verdict.model in run.compared], run.compared)
    for spec in encoders:
        if judged := [row for row in rows if row[0].model == spec]:
            printer.write_line("")
            if len(encoders) > 1 and len(spec) > _TITLE:  # a cut spec could be mistaken for another
                printer.write_line(spec, bold=True)
            _table(printer, judged, spec if len(encoders) > 1 and len(spec) <= _TITLE else "task")
        _measured(
            printer, facts[TASK], spec, tuple(row[0].task for row in judged), named=len(encoders) > 1 and not judged
        )
        _kinds(printer, facts[TASK], spec)
        _truncations(printer, facts[TRUNCATION], spec)
        _speeds(printer, facts[SPEED], spec)
        _curves(printer, facts[CURVE], spec)
        gate = [verdict for verdict, _ in rows if verdict.model == spec and is_gate(verdict)]
        _upgrades(printer, [one for one in facts[UPGRADE] if one["model"] == spec], gate)
    _probes(printer, facts[PROBE], [verdict for verdict, _ in rows if verdict.model not in encoders])
    _decays(printer, facts[DECAY])
    _indexes(printer, facts[INDEX])
    for one in facts[PARITY] if printer.verbosity > 0 else ():
        printer.write_line(f"\n{one['model']} against {one['reference']}")
        for line in strata_lines(one):
            printer.write_line(line)
    for note in run.notes:
        printer.write_line(f"note: {note}")


def _indexes(printer: Printer, facts: list[dict[str, Any]]) -> None:
    """Print the states of each index that nothing bounds, those with a curve, and with ``-v`` all."""
    for one in facts:
        if printer.verbosity > 0 or one["curve"] or not one["bounded"]:
            printer.write_line("")
            for line in index_lines(one):
                printer.write_line(line)


def _table(printer: Printer, rows: list[tuple[Verdict, _Word]], title: str) -> None:
    tasks = [verdict.task for verdict, _ in rows]
    cells = dict(zip(tasks, column(tasks, 26), strict=True))
    printer.write_line(
        f"{cell(title, len(cells[tasks[0]]))} {'measure':<17} {'value':>7} {'bound':>9} {'published':>9} {'verdict':>7}",
        bold=True,
    )
    for verdict, word in sorted(rows, key=lambda row: row[1].rank):
        sign = "≤" if verdict.at_most else "≥"
        published = "" if verdict.published is None else f"{verdict.published:.4f}"
        printer.write(
            f"{cells[verdict.task]} {verdict.measure:<17.17} {verdict.value:>7.{verdict.digits}f} {sign}{verdict.bound:>8.{verdict.digits}f} {published:>9} "
        )
        printer.write_line(f"{word.text:>7}", **{word.colour: True})


def _measured(
    printer: Printer, tasks: list[dict[str, Any]], spec: str, judged: tuple[str, ...], *, named: bool
) -> None:
    """Print a line for each task that was measured and has no bound."""
    shown = {
        one["task"]: one
        for one in tasks
        if one["model"] == spec and not any(f"{name} ".startswith(f"{one['task']} ") for name in judged)
    }
    if shown:
        printer.write_line("")
        if named:
            printer.write_line(spec, bold=True)
        printer.write_line(f"{'without a bound':<26} {'measure':<17} {'value':>7}", bold=True)
    for task, one in shown.items():
        printer.write_line(f"{cell(task, 26)} {one['measure']:<17.17} {one['score']:>7.4f}")


def _kinds(printer: Printer, tasks: list[dict[str, Any]], spec: str) -> None:
    """Print the bytes of a document in an index, of a system that is no dense encoder."""
    for task, one in {one["task"]: one for one in tasks if one["model"] == spec and one.get("bytes")}.items():
        printer.write_line(f"{cell(task, 26)} {'bytes a document':<17} {one['bytes']:>7,.0f}")


def _upgrades(printer: Printer, comparisons: list[dict[str, Any]], verdicts: list[Verdict]) -> None:
    """Print each task against the baseline, and all tasks together."""
    if not comparisons:
        return
    printer.write_line("")
    printer.write_line(upgrade.HEAD, bold=True)
    shown = {facts["subject"]: facts for facts in comparisons}
    for facts in sorted(shown.values(), key=lambda facts: facts["after"] - facts["before"]):
        printer.write_line(upgrade.row(facts))
        for line in upgrade.part_lines(facts):
            printer.write_line(f"  {line}")
    printer.write_line(
        upgrade.overall_line(list({(verdict.task, verdict.value): verdict for verdict in verdicts}.values()))
    )


def _probes(printer: Printer, probes: list[dict[str, Any]], others: list[Verdict]) -> None:
    """Print a table for each file and model: the rank of each answer, failures first."""
    models = {one["model"] for one in probes}
    for model, file, path in dict.fromkeys((one["model"], one["file"], one["path"]) for one in probes):
        printer.write_line("")
        if len(models) > 1:
            printer.write_line(model)
        these = [one for one in probes if (one["model"], one["path"]) == (model, path)]
        names = column([one["name"] for one in these], rag.WIDTH)
        printer.write_line(rag.probe_head(file, len(names[0])), bold=True)
        rows = [(one, name, _probe_word(one)) for one, name in zip(these, names, strict=True)]
        for one, name, word in sorted(rows, key=lambda row: row[2].rank):
            printer.write(f"{rag.probe_row(one, name)} ")
            printer.write_line(f"{word.text:>7}", **{word.colour: True})
        held = sum(one["holds"] for one in these)
        printer.write_line(f"{held} of {len(these)} probes hold")
        if line := rag.losses_line(these):
            printer.write_line(line)
        for line in dict.fromkeys(filter(None, map(rag.searched_line, these))):
            printer.write_line(line)
        for line in rag.note_lines(these):
            printer.write_line(line)
    if others:  # from a retriever that has no encoder of ours
        printer.write_line("")
        _table(printer, [(verdict, _WORDS[verdict.outcome]) for verdict in others], "task")


def _probe_word(facts: dict[str, Any]) -> _Word:
    if not facts["holds"] and facts["expected_failure"]:
        return _EXPECTED
    return _WORDS[Outcome.PASS if facts["holds"] else Outcome.FAIL]


def _decays(printer: Printer, decays: list[dict[str, Any]]) -> None:
    """Print how many probes still hold, level by level."""
    if decays:
        printer.write_line("")
        printer.write_line(rag.DECAY_HEAD, bold=True)
    for line in rag.decay_lines(decays):
        printer.write_line(line)


def _curves(printer: Printer, curves: list[dict[str, Any]], spec: str) -> None:
    """Print, for each task with compressed vectors, their saving and their cost."""
    for facts in [facts for facts in curves if facts["model"] == spec]:
        printer.write_line("")
        printer.write_line(
            f"{cell(facts['task'], 26)} {facts['measure']:<17.17} {'loss':>7} {'bytes':>9} {'saved':>9}",
            bold=True,
        )
        for point in facts["points"]:
            printer.write_line(
                f"{point['label']:<26.26} {point['score']:<17.4f} {point['loss']:>7.4f} {point['bytes']:>9,} {point['saved']:>9.0%}"
            )


def _speeds(printer: Printer, speeds: list[dict[str, Any]], spec: str) -> None:
    """Print the measured speeds, a line a test."""
    shown = [facts for facts in speeds if facts["model"] == spec]
    columns = list(dict.fromkeys(name for facts in shown for name in facts["figures"]))
    if shown:
        printer.write_line("")
        printer.write_line(f"{'length':>6} {'batch':>5}" + "".join(f"{name:>15}" for name in columns), bold=True)
    for facts in shown:
        cells = [f"{facts['figures'][name]:,.2f}" if name in facts["figures"] else "" for name in columns]
        printer.write_line(f"{facts['length']:>6} {facts['batch_size']:>5}" + "".join(f"{cell:>15}" for cell in cells))


def _truncations(printer: Printer, counts: list[dict[str, Any]], spec: str) -> None:
    """Print a line for each task with texts that the model cut: a score says nothing about the part that is cut."""
    shown = {facts["task"]: facts for facts in counts if facts["model"] == spec and facts["lost"]}
    for task, facts in shown.items():
        printer.write_line(
            f"{cell(task, 26)} {'truncated':<17} {facts['cut'] / facts['texts']:>7.4f} of its texts{at_length(facts['max_length'], ', ')}"
        )
        printer.write_line(f"{'':<26} {'tokens lost':<17} {facts['lost'] / facts['tokens']:>7.4f} of its tokens")


def _comparison(printer: Printer, verdicts: list[Verdict], specs: list[str]) -> None:
    """Print values by model, with each one's difference to the first model."""
    printer.write_line("")
    for number, spec in enumerate(specs):
        printer.write_line(f"  [{number + 1}] {spec}")
    columns = "".join(
        f"{f'[{number + 1}]':>9}" + (f"{f'[{number + 1}]-[1]':>9}" if number else "") for number in range(len(specs))
    )
    printer.write_line(f"{'comparison':<26} {'measure':<17}{columns}", bold=True)
    values = {(verdict.task, verdict.measure, verdict.model): verdict.value for verdict in verdicts}
    for task, measure in dict.fromkeys((verdict.task, verdict.measure) for verdict in verdicts):
        row = [values.get((task, measure, spec)) for spec in specs]
        cells = "".join(
            f"{'–' if value is None else f'{value:.4f}':>9}"
            + ("" if not number else f"{'–' if value is None or row[0] is None else f'{value - row[0]:+.4f}':>9}")
            for number, value in enumerate(row)
        )
        printer.write_line(f"{cell(task, 26)} {measure:<17.17}{cells}")

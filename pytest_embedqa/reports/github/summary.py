"""The summary of a CI job in GitHub's Markdown: the verdict first, failures open to view, the rest folded away.

Foreign text (names, queries, documents, failures) stands in code only: nothing there acts as markup, a link, a mention
or a reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from pytest_embedqa.core.properties import DIAGNOSIS, TRUNCATION
from pytest_embedqa.core.verdict import Outcome, Verdict
from pytest_embedqa.diagnosis.result import Diagnosis
from pytest_embedqa.encoders.wording import identity_line, prompts_line
from pytest_embedqa.rag.wording import faults_of, losses_by_file
from pytest_embedqa.reports.github.markup import code, count, details, fenced, html_code, listed, named, table
from pytest_embedqa.reports.github.measured import curves, decays, indexes, model_of, speeds
from pytest_embedqa.reports.naming import at_length
from pytest_embedqa.reports.run import SKIPPED, XFAILED, Run
from pytest_embedqa.upgrade import wording as upgrade
from pytest_embedqa.upgrade.gate import is_gate

# Bytes above which GitHub refuses a step's summary, summed over all its commands.
LIMIT = 1024 * 1024
# Share of the remaining bytes that a run takes: the rest is for later runs in the same step.
SHARE = 0.75
# Most bytes for the names of what is left out, absolute and as a share of the limit.
_NAMES, _SHARE_OF_NAMES = 16_000, 0.4


class _Word(NamedTuple):
    """The name of an outcome, and its place in the order."""

    text: str
    rank: int


_FAIL, _UNSURE = _Word("❌ fail", 0), _Word("⚠️ unsure", 1)
_EXPECTED, _PASS = _Word("expected failure", 2), _Word("✅ pass", 3)
_WORDS = {Outcome.FAIL: _FAIL, Outcome.INCONCLUSIVE: _UNSURE, Outcome.PASS: _PASS}


class _Section(NamedTuple):
    """A part of the summary, with a short name for when there is no room for it."""

    name: str
    text: str


def summary(run: Run, before: int = 0) -> str:
    """Return the summary of a run; empty where there is no room even for its verdict.

    Args:
        run: The run to report.
        before: Bytes that the step's summary already has. Parts that do not fit beside them are only named.
    """
    limit = int((LIMIT - before) * SHARE)
    head = f"## Embedding quality: {_headline(run)}\n\n{_counts(run)}\n\n"
    room = limit - len(head.encode()) - min(_NAMES, int(limit * _SHARE_OF_NAMES))
    shown, left_out = [], []
    for name, text in _sections(run):
        size = len(text.encode()) + 2  # the lines between sections
        if size > room:
            left_out.append(code(name))
        else:
            shown.append(text)
            room -= size
    body = "".join(f"{text}\n\n" for text in shown)
    beside = f", and {before / 1000:,.0f} kB stand in this one already" if before else ""
    for names in (named(left_out), count(len(left_out), "part")):
        end = f"Left out, for GitHub's summaries have a limit{beside}: {names}.\n\n" if left_out else ""
        if len((text := head + body + end).encode()) <= limit:
            return text
    return head if len(head.encode()) <= limit else ""


def _headline(run: Run) -> str:
    tests, skipped = count(len(run.tests), "test"), run.counts[SKIPPED]
    cut_off = f"interrupted, {run.interrupted.progress}" if run.interrupted else ""
    if run.bad:
        return f"❌ failed, {len(run.bad)} of {tests}" + (f"; {cut_off}" if cut_off else "")
    if cut_off:
        return f"⚠️ {cut_off}"
    if skipped == len(run.tests):
        return f"⚠️ nothing was tested, {tests} skipped"
    some = f", {skipped} of them skipped" if skipped else ""
    unsure = sum(any(one.outcome is Outcome.INCONCLUSIVE for one in test.verdicts) for test in run.tests)
    return f"⚠️ passed, {unsure} of {tests} unsure{some}" if unsure else f"✅ passed, {tests}{some}"


def _counts(run: Run) -> str:
    def told(counts: Mapping[str, int]) -> str:
        return ", ".join(f"{number} {outcome}" for outcome, number in counts.items())

    others = f" Other tests: {told(run.others)}." if run.others else ""
    baseline = f" Compared with {code(run.settings['baseline'])}." if run.settings.get("baseline") else ""
    return f"{told(run.counts)}, in {run.seconds:,.0f} s.{others}{baseline}"


def _sections(run: Run) -> Iterator[_Section]:
    """Yield all sections, the most important first."""
    for title, lines in (
        ("Thresholds", _thresholds(run)),
        ("Probes", _probes(run)),
        ("Models compared", _comparison(run)),
        ("Against the baseline", _gate(run)),
        ("Why a score is low", _causes(run)),
        ("Skipped", _skipped(run)),
        ("Robustness", decays(run)),
        ("Indexes", indexes(run)),
        ("Smaller vectors", curves(run)),
        ("Speed", speeds(run)),
        ("Notes", _notes(run)),
        ("Encoders", _encoders(run)),
    ):
        if text := "\n\n".join(lines):
            yield _Section(title, f"### {title}\n\n{text}")
    if details := [*_failures(run), *_worse(run)]:
        yield _Section("In detail", "### In detail")
        yield from details


def _judged(run: Run) -> list[tuple[Verdict, _Word]]:
    """Return each verdict with its word; probes have a table of their own."""
    return [(one, _EXPECTED if test.expects(one) else _WORDS[one.outcome]) for test, one in run.judged]


def _folded(rows: Sequence[tuple[_Word, Sequence[str]]], head: Sequence[str], what: str) -> Iterator[str]:
    """Yield a table of the rows that need attention, and below it, folded, a table of the others."""
    rows = sorted(rows, key=lambda row: row[0].rank)
    for folded in (False, True):
        if some := [(word.text, *cells) for word, cells in rows if (word.rank >= _EXPECTED.rank) is folded]:
            shown = table(("verdict", *head), some)
            yield details(f"{count(len(some), what)} as expected", shown) if folded else shown


def _thresholds(run: Run) -> Iterator[str]:
    rows = []
    for one, word in _judged(run):
        sign = "≤" if one.at_most else "≥"
        reference = ["" if score is None else f"{score:.4f}" for score in (one.published, one.baseline)]
        figures = (f"{one.value:.{one.digits}f}", f"{sign} {one.bound:.{one.digits}f}", *reference)
        rows.append((word, (code(one.task), model_of(run, one.model), code(one.measure), *figures)))
    yield from _folded(rows, ("task", "model", "measure", "value", "bound", "published", "baseline"), "threshold")


def _probes(run: Run) -> Iterator[str]:
    rows = []
    for test, one in run.probes:
        word = _PASS if one["holds"] else _EXPECTED if test.outcome == XFAILED else _FAIL
        told = faults_of(one) or [one["passages"][one["rank"] - 1]["pages"] if one["rank"] else ""]
        asked = (code(one["name"]), code(one["file"]), model_of(run, one["model"]), code(one["ask"]))
        rows.append((word, (*asked, str(one["rank"] or ""), code(" ".join(told)))))
    yield from _folded(rows, ("probe", "file", "model", "asked", "rank", "what came back"), "probe")
    yield from listed(list(losses_by_file([one for _, one in run.probes])))


def _comparison(run: Run) -> Iterator[str]:
    """Yield a table of values by model, with each one's difference to the first model."""
    specs = run.compared
    values = {(one.task, one.measure, one.model): one.value for one, _ in _judged(run) if one.model in specs}
    if not specs or not values:
        return
    yield "\n".join(f"- [{number}] {code(spec)}" for number, spec in enumerate(specs, 1))
    head = ["task", "measure", "[1]"]
    head += [name for number in range(2, len(specs) + 1) for name in (f"[{number}]", f"[{number}] − [1]")]
    rows = []
    for task, measure in dict.fromkeys((task, measure) for task, measure, _ in values):
        first, *others = (values.get((task, measure, spec)) for spec in specs)
        row = [code(task), code(measure), _score(first)]
        for other in others:
            row += [_score(other), "–" if other is None or first is None else f"{other - first:+.4f}"]
        rows.append(row)
    yield table(head, rows)


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _compared(run: Run) -> list[tuple[Mapping[str, Any], Verdict | None]]:
    """Return each comparison with the baseline once, with its verdict, the largest drop first."""
    found = {}
    for test in run.tests:
        gate = {(one.model, one.task): one for one in test.verdicts if is_gate(one)}
        for facts in test.facts.get("upgrade", ()):
            found[facts["model"], facts["subject"]] = facts, gate.get((facts["model"], facts["task"]))
    return sorted(found.values(), key=lambda one: one[0]["after"] - one[0]["before"])


def _gate(run: Run) -> Iterator[str]:
    rows, verdicts = [], []
    for facts, verdict in _compared(run):
        scores = (f"{facts['before']:.4f}", f"{facts['after']:.4f}", f"{facts['after'] - facts['before']:+.4f}")
        certainty = ["no units", ""]
        if change := facts["change"]:
            low, high = change["interval"]
            certainty = [f"{low:+.4f} to {high:+.4f}", f"{change['smallest_drop']:.4f}"]
        word = _WORDS[verdict.outcome].text if verdict else ""
        moved = (str(facts["worse"]), str(facts["better"])) if change else ("", "")
        rows.append((word, code(facts["task"]), model_of(run, facts["model"]), *scores, *certainty, *moved))
        verdicts += [verdict] if verdict else []
    if rows:
        head = ("verdict", "task", "model", "before", "now", "change", "95 % interval", "sees", "worse", "better")
        yield table(head, rows)
        yield code(upgrade.overall_line(verdicts))
    parts = [f"{facts['task']}: {line}" for facts, _ in _compared(run) for line in upgrade.part_lines(facts)]
    yield from listed(parts)
    differences = dict.fromkeys(line for facts, _ in _compared(run) for line in facts["differences"])
    if differences:
        yield "What differs between the encoders:"
        yield from listed(list(differences))


def _worse(run: Run) -> Iterator[_Section]:
    """Yield, for each failed task, the units that got worse most, with the results before and now."""
    for facts, verdict in _compared(run):
        if verdict is None or verdict.passed or not facts["worst"]:
            continue
        lines = []
        for one in facts["worst"]:
            moved = next(upgrade.whole_lines({"worst": [one]}))
            lines.append(f"{code(moved)}: {code(one['text'])}")
            pairs = zip_longest(one["found_before"], one["found_after"])
            rows = [(str(place), _found(old), _found(new)) for place, (old, new) in enumerate(pairs, 1)]
            lines += [table(("place", "before", "now"), rows)] if rows else []
        title = f"{html_code(facts['task'])}: what got worse most"
        yield _Section(f"what got worse in {facts['task']}", details(title, "\n\n".join(lines)))


def _found(document: Mapping[str, Any] | None) -> str:
    return (
        ""
        if document is None
        else f"{'✅ relevant: ' if document['relevant'] else ''}{code(document['id'])} {code(document['text'])}"
    )


def _failures(run: Run) -> Iterator[_Section]:
    for test in run.bad:
        title = f"{test.outcome}: {html_code(test.id)}, line {test.line}"
        yield _Section(f"text of {test.id}", details(title, fenced(test.text)))


def _causes(run: Run) -> Iterator[str]:
    for facts in run.facts(DIAGNOSIS):
        yield " ".join([code(facts["task"]), model_of(run, facts["model"])]).rstrip()
        yield from listed(Diagnosis.from_dict(facts).lines)


def _skipped(run: Run) -> Iterator[str]:
    reasons: dict[str, list[str]] = {}
    for test in run.tests:
        if test.outcome == SKIPPED:
            reasons.setdefault(test.text, []).append(code(test.id))
    if reasons:
        yield table(("why", "tests"), [(code(why), named(names)) for why, names in reasons.items()])


def _notes(run: Run) -> Iterator[str]:
    notes = [*run.notes]
    notes += [
        f"{one['task']}: {one['cut'] / one['texts']:.1%} of its texts are cut{at_length(one['max_length'])}; "
        f"{one['lost'] / one['tokens']:.1%} of its tokens are never seen"
        for one in run.facts(TRUNCATION)
        if one["lost"]
    ]
    yield from listed(list(dict.fromkeys(notes)))


def _encoders(run: Run) -> Iterator[str]:
    for spec, facts in run.encoders.items():
        yield code(spec)
        prompts = f"prompts: {prompts_line(facts['prompts_from'], facts['prompts'])}"
        yield from listed([identity_line(facts), *([] if facts.get("kind") == "retriever" else [prompts])])

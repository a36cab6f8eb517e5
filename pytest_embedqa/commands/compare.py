"""Compare two files that --embedqa-save-baseline wrote. Exit code: 0 no task is worse, 1 one is, 2 not comparable."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from pytest_embedqa.commands import BAD, GOOD, NOT_DONE
from pytest_embedqa.commands.arguments import count, path, share
from pytest_embedqa.commands.lines import say
from pytest_embedqa.core.errors import EmbedQAError
from pytest_embedqa.core.requirement import MAIN_SCORE, Kind, Requirement
from pytest_embedqa.core.showing import one_line
from pytest_embedqa.core.verdict import Outcome
from pytest_embedqa.upgrade import wording as upgrade
from pytest_embedqa.upgrade.baseline import Baseline, read_baseline
from pytest_embedqa.upgrade.gate import Comparison, compare, gate_verdict

HELP = "two saved runs: which tasks got worse, how sure that is, and on what"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("before", type=path, help="the baseline, e.g. baselines/prod.json")
    parser.add_argument("after", type=path, help="the new one")
    parser.add_argument(
        "--max-regression", type=share, default=0.01, metavar="DROP", help="allowed drop of a main score (0.01)"
    )
    parser.add_argument(
        "--worst", type=count, default=5, metavar="N", help="units shown for each task that got worse (5)"
    )
    parser.add_argument("--task", action="append", metavar="NAME", help="only this task; several times for more")


def run(given: argparse.Namespace) -> int:
    """Print the comparison."""
    outcome = _Compare(given)
    for line in outcome.lines():
        say(one_line(line))
    return outcome.code


class _Compare:
    """The comparison that ``embedqa compare`` prints.

    Attributes:
        code: Exit code, final once all lines were made.
    """

    def __init__(self, given: argparse.Namespace) -> None:
        self._given = given
        self._margin = Requirement(Kind.MAX_REGRESSION, MAIN_SCORE, given.max_regression)
        self.code = GOOD

    def lines(self) -> Iterator[str]:
        """Yield the lines of the comparison."""
        before, after = read_baseline(self._given.before), read_baseline(self._given.after)
        yield from upgrade.difference_lines(before.encoder, after.encoder)
        found, problems = self._comparisons(before, after)
        verdicts = [gate_verdict(self._margin, one, after.encoder["spec"]) for one in found]
        yield ""
        yield f"{upgrade.HEAD} verdict"
        both = sorted(zip(found, verdicts, strict=True), key=lambda pair: pair[0].after.score - pair[0].before.score)
        for one, verdict in both:
            yield f"{upgrade.row(one.as_dict())} {upgrade.outcome_word(verdict.outcome)}"
        yield upgrade.overall_line(verdicts)
        for one, verdict in both:
            facts = one.as_dict()
            details = [*upgrade.part_lines(facts)]
            if verdict.outcome is not Outcome.PASS and one.change:
                details += [upgrade.counts_line(facts), *upgrade.whole_lines(facts, self._given.worst)]
            details += [f"note: {note}" for note in verdict.notes]
            if details:
                yield ""
                yield facts["subject"]
                yield from (f"  {line}" for line in details)
        if problems:
            yield ""
            yield "not compared"
            yield from (f"  {problem}" for problem in problems)
        worse = any(verdict.outcome is Outcome.FAIL for verdict in verdicts)
        self.code = BAD if worse else NOT_DONE if problems else GOOD

    def _comparisons(self, before: Baseline, after: Baseline) -> tuple[list[Comparison], list[str]]:
        """Compare every task that both baselines have, and say why others can't be: a missing task never passes."""
        found, problems = [], []
        wanted = self._given.task
        known = {evaluation.subject.task for evaluation in (*before.evaluations, *after.evaluations)}
        problems += [
            f"{name}: neither file has it; they have {', '.join(sorted(known))}"
            for name in wanted or ()
            if name not in known
        ]
        new = {one.subject: one for one in after.evaluations}
        for old in before.evaluations:
            if wanted and old.subject.task not in wanted:
                continue
            if old.subject not in new:
                problems.append(f"{old.subject}: only in {before.path}")
                continue
            try:
                found.append(compare(old, new[old.subject]))
            except EmbedQAError as error:
                problems.append(str(error))
        return found, problems

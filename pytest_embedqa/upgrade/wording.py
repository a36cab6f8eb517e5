"""The gate in words, for a run and for two files: the change, its certainty, and the queries that got worse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytest_embedqa.core.columns import cell
from pytest_embedqa.core.verdict import Outcome, Verdict
from pytest_embedqa.encoders.wording import identity_line
from pytest_embedqa.upgrade.gate import is_gate, overall

if TYPE_CHECKING:
    from pytest_embedqa.encoders.system import System
    from pytest_embedqa.upgrade.gate import Comparison

HEAD = f"{'against baseline':<19} {'before':>7} {'now':>7} {'change':>8}  {'95 % interval':<18} {'sees':>7}"
# A part whose change differs from the mean by this much is worth a line.
_PART_MOVED = 0.01
_MOST_PARTS, _MOST_DIFFERENCES = 5, 5
# Characters that fit after the label of a line in a failure text.
_SHORT = 67
# Characters of a fact that differs; a digest of weights has 40.
_MOST_VALUE = 60


def row(facts: Mapping[str, Any]) -> str:
    """Describe a task in 72 columns: scores, difference, its interval, and the smallest drop that could be seen."""
    change = facts["change"]
    certainty = f"{_signed(change['interval'])} {change['smallest_drop']:>7.4f}" if change else f"{'no units':<26}"
    return f"{cell(facts['task'], 19)} {facts['before']:>7.4f} {facts['after']:>7.4f} {facts['after'] - facts['before']:>+8.4f}  {certainty}"


def _signed(interval: Sequence[float]) -> str:
    return f"{interval[0]:+.4f} to {interval[1]:+.4f}"


def overall_line(verdicts: Sequence[Verdict]) -> str:
    """Describe all tasks together."""
    facts = overall(verdicts)
    tasks = "1 task" if facts["tasks"] == 1 else f"{facts['tasks']} tasks"
    line = f"gate: {tasks}, {facts['failed']} worse, {facts['inconclusive']} unsure"
    if facts["failed"] and facts["tasks"] > 1:
        stand = ", ".join(f"{task} (p = {p_value:.4f})" for task, p_value in facts["significant"])
        line += f"; allowing for {facts['tasks']} comparisons (Holm): {stand or 'none of them is significant'}"
    return line


def counts_line(facts: Mapping[str, Any]) -> str:
    """Describe how many units got better and worse."""
    change = facts["change"]
    return f"{facts['worse']:,} {change['unit']} worse, {facts['better']:,} better, of {change['units']:,}"


def part_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """Describe the subsets and languages that moved differently from the whole, the furthest first."""
    mean = facts["after"] - facts["before"]
    moved = [(one["after"] - one["before"] - mean, one) for one in facts["parts"]]
    telling = sorted((one for one in moved if abs(one[0]) > _PART_MOVED), key=lambda one: -abs(one[0]))
    if len(moved) > 1:
        for _, one in telling[:_MOST_PARTS]:
            yield f"{one['part']}: {one['before']:.4f} to {one['after']:.4f} ({one['after'] - one['before']:+.4f}; all {mean:+.4f})"


def failure_lines(failed: Sequence[Verdict], upgrades: Sequence[Mapping[str, Any]]) -> list[str]:
    """Describe the change in the first comparison that failed its gate, for the failure text of its test."""
    for facts in upgrades:
        if facts["change"] and any(
            is_gate(verdict) and verdict.task == facts["task"] and verdict.value == facts["after"] for verdict in failed
        ):
            shown, more = facts["differences"][:_MOST_DIFFERENCES], len(facts["differences"]) - _MOST_DIFFERENCES
            return [
                f"  changed    {counts_line(facts)}",
                *(f"  part       {line}" for line in list(part_lines(facts))[:2]),
                *(f"  worst      {line}" for line in short_lines(facts)),
                *(f"  differs    {line}" for line in shown),
                *([f"  differs    and {more} more: embedqa compare shows all"] if more > 0 else []),
            ]
    return []


def short_lines(facts: Mapping[str, Any], count: int = 3) -> Iterator[str]:
    """Describe the units that got worse most, a line for each."""
    several = len(facts["parts"]) > 1
    for one in facts["worst"][:count]:
        if one["text"]:
            what = f"{one['part']} {one['unit']}" if several else one["unit"]
            line = f"{_how(one)}: {what}  {one['text']}"
            yield line if len(line) <= _SHORT else f"{line[: _SHORT - 1]}…"


def whole_lines(facts: Mapping[str, Any], count: int = 10) -> Iterator[str]:
    """Describe the units that got worse most, with their results before and now."""
    for one in facts["worst"][:count]:
        grade = "" if one["label"] is None else f", label {one['label']:g}"
        yield f"{one['part']} {one['unit']}  {_how(one)}{grade}"
        yield f"    {one['text']}"
        for title, found in (("before", one["found_before"]), ("now", one["found_after"])):
            for place, document in enumerate(found, 1):
                mark = "*" if document["relevant"] else " "
                yield f"    {title if place == 1 else '':<7}{place} {mark} {document['id']}  {document['text']}"


def difference_lines(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Describe two encoders and their differences."""
    yield f"before  {old['spec']}: {identity_line(old)}"
    yield f"now     {new['spec']}: {identity_line(new)}"
    for line in differences(old, new) or ["nothing differs"]:
        yield f"        {line}"


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """List the differences between two encoders' identities, a line for each fact."""
    told = {"spec", "digest", "prompts_from"}
    old, new = ({"kind": "dense", **one} for one in (old, new))
    return [
        f"{name}: {_shown(old.get(name))} to {_shown(new[name])}"
        for name in new
        if name not in told and old.get(name) != new[name]
    ]


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {one!r}" for name, one in value.items()) or "none"
    text = "none" if value is None else str(value)
    return text if len(text) <= _MOST_VALUE else f"{text[: _MOST_VALUE - 1]}…"


def _rank(rank: int) -> str:
    return str(rank) if rank else ">10"


def _how(one: Mapping[str, Any]) -> str:
    """Describe the change of a unit."""
    if one["rank_before"] not in {None, one["rank_after"]}:
        return f"rank {_rank(one['rank_before'])} to {_rank(one['rank_after'])}"
    if one["label"] is not None:
        return f"rank off by {-one['before']:.0%} to {-one['after']:.0%}"
    return f"{one['before']:.3f} to {one['after']:.3f}"


def outcome_word(outcome: Outcome) -> str:
    """Return the word for a gate's outcome in a line of text."""
    return {Outcome.PASS: "pass", Outcome.FAIL: "WORSE", Outcome.INCONCLUSIVE: "unsure"}[outcome]


def upgrade_facts(encoder: System, comparison: Comparison, differences: Sequence[str]) -> dict[str, Any]:
    """Return a comparison with the baseline, the units that got worse most, and the encoders' differences."""
    return {"model": str(encoder.spec), **comparison.as_dict(), "differences": list(differences)}

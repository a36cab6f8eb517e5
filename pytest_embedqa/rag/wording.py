"""The wording of probe results: question, passages that came back, and faults."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytest_embedqa.core.columns import cell
from pytest_embedqa.core.showing import one_line
from pytest_embedqa.encoders.wording import encoder_facts, identity_line
from pytest_embedqa.rag.blame import counted
from pytest_embedqa.rag.judging import place_of, snippet_of

if TYPE_CHECKING:
    from pytest_embedqa.core.verdict import Verdict
    from pytest_embedqa.encoders.system import System
    from pytest_embedqa.rag.group import Decay
    from pytest_embedqa.rag.judging import Answer
    from pytest_embedqa.rag.probe import ProbeFile
    from pytest_embedqa.rag.retrieval import Chain

# Width in characters of a name in a table of probes.
WIDTH = 30
_MOST_PASSAGES = 5
_MOST_NAMES = 6


def probe_failure_text(answer: Answer, searched: str | None, model: System | None) -> str:
    """Describe the question, the fault, the passages, the stage that lost the answer, and the retrieval."""
    probe = answer.probe
    problems = [*answer.missing, *answer.intruders]
    if answer.too_slow:
        problems.append(f"retrieval took {answer.milliseconds:,.1f} ms; {probe.max_latency_ms:g} ms are allowed.")
    lines = [f"{probe.name}: {problem}" for problem in problems]
    lines.append(f"  asked      {probe.ask}")
    for rank, passage in enumerate(answer.passages[:_MOST_PASSAGES], 1):
        score = "" if passage.score is None else f"{passage.score:.4f}"
        lines.append(f"  {'came back' if rank == 1 else '':<10} {rank:>2} {score:>7}  {place_of(passage)}")
        lines.append(f"  {'':<24}{snippet_of(passage, probe)}")
    if len(answer.passages) > _MOST_PASSAGES:
        lines.append(f"  {'':<10} … and {len(answer.passages) - _MOST_PASSAGES} more")
    lines += [f"  {'let in' if one.let_in else 'lost':<10} {one.line}" for one in answer.lost]
    if searched:
        lines.append(f"  searched   {searched}")
    if model:
        lines.append(
            f"  {'reranker' if model.kind == 'reranker' else 'encoder':<10} {identity_line(encoder_facts(model))}"
        )
    return "\n".join(lines)


def searched_by_chain(file: ProbeFile, chain: Chain) -> str:
    """Describe how the built-in chain searches."""
    chunks = file.chunking
    return f"{chain.by} ({chain.scale}), best {file.retrieval.k} of passages of up to {chunks.size} tokens, cut by {chunks.by}"


def searched_line(facts: Mapping[str, Any]) -> str:
    """Say how passages were found and what their scores are; empty for dense vectors, and where nobody says."""
    by = facts.get("by")
    return "" if by in {None, "dense"} else f"searched by {by}; scores: {facts['scale']}"


def group_failure_text(verdict: Verdict, answers: Sequence[Answer]) -> str:
    """Say how far off all probes together are, and name the failing probes."""
    missed = [answer.probe.name for answer in answers if not answer.holds]
    lines = [verdict.reason]
    if verdict.interval:
        low, high = verdict.interval
        lines.append(f"  certainty  95 % interval {low:.4f} to {high:.4f} over {verdict.units} {verdict.unit}")
    lines.append(f"  missed     {_names(missed)}")
    if lost := counted(loss.facts() for answer in answers for loss in answer.lost):
        lines.append(f"  lost       {lost}")
    return "\n".join(lines)


def decay_failure_text(verdict: Verdict, decays: Sequence[Decay]) -> str:
    """Say how many probes still hold at each level, and name those that do not."""
    lines = [verdict.reason]
    lines += [f"  level {one.level:<6} {one.held} of {one.probes} hold; lost: {_names(one.lost)}" for one in decays]
    return "\n".join(lines)


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more if names else "none"


def probe_head(file: str, width: int = WIDTH) -> str:
    """Return the heading of a file's table, in 80 columns unless the names need more."""
    return f"{cell(file, width)} {'rank':>4} {'score':>7}  {'answer from':<27} {'verdict':>7}"


def probe_row(facts: Mapping[str, Any], name: str) -> str:
    """Return a probe's row in 72 columns: its name, the rank and score of its answer, and the page or the fault."""
    rank = facts["rank"]
    found = facts["passages"][rank - 1] if rank else {"score": None}
    score = "" if found["score"] is None else f"{found['score']:.4f}"
    return f"{name} {rank or '':>4} {score:>7}  {one_line(answer_from(facts)):<27.27}"


def answer_from(facts: Mapping[str, Any]) -> str:
    """Return the pages of the answer to a probe, or the fault."""
    if facts["in_short"]:
        return str(facts["in_short"])
    if facts["too_slow"]:
        return f"too slow: {facts['milliseconds']:,.0f} ms"
    return str(facts["passages"][facts["rank"] - 1]["pages"]) if facts["rank"] else ""


def faults_of(facts: Mapping[str, Any]) -> list[str]:
    """Return all that is wrong with the answer to a probe, as sentences."""
    slow = [f"took {facts['milliseconds']:,.0f} ms"] if facts["too_slow"] else []
    lost = [f"{'Let in' if loss['let_in'] else 'Lost'} {loss['line']}" for loss in facts["lost"]]
    return [*facts["missing"], *facts["intruders"], *slow, *lost]


def losses_line(probes: Iterable[Mapping[str, Any]]) -> str:
    """Say how many expected passages each stage lost; empty where none was lost, or none was followed."""
    lost = counted(loss for facts in probes for loss in facts["lost"])
    return f"lost: {lost}" if lost else ""


def losses_by_file(probes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the losses of each file and model in a line."""
    models = {one["model"] for one in probes}
    for model, file in dict.fromkeys((one["model"], one["file"]) for one in probes):
        if line := losses_line(one for one in probes if (one["model"], one["file"]) == (model, file)):
            yield f"{file}{f', {model}' if len(models) > 1 else ''}: {line}"


def note_lines(probes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield each oddity of answers once, with the probes that it is about."""
    noted: dict[str, list[str]] = {}
    for facts in probes:
        for note in facts["notes"]:
            noted.setdefault(note, []).append(facts["name"])
    for note, names in noted.items():
        yield f"note: {_names(names)}: {note}"


def decay_lines(decays: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for each level of each variation."""
    for facts in decays:
        for one in facts["levels"]:
            share = f"{one['held'] / one['probes']:.0%}" if one["probes"] else "–"
            yield f"{cell(facts['file'], WIDTH)} {one['variation']:<15} {one['level']:>6} {one['held']:>5} of {one['probes']:<4} {share:>7}"


DECAY_HEAD = f"{'robustness':<30} {'variation':<15} {'level':>6} {'still hold':>13} {'share':>7}"

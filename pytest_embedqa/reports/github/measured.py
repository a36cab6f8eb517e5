"""The parts of a summary that show what was measured, whether or not it has a bound."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_embedqa.core.properties import CURVE, DECAY, INDEX, SPEED
from pytest_embedqa.index.facts import index_lines
from pytest_embedqa.reports.github.markup import code, fenced, table
from pytest_embedqa.reports.run import Run


def model_of(run: Run, spec: str) -> str:
    """Name the model, if the run has several."""
    return code(spec) if len(run.encoders) > 1 else ""


def decays(run: Run) -> Iterator[str]:
    """Yield a table of how many probes still hold, level by level."""
    rows = [
        (code(facts["file"]), code(one["variation"]), str(one["level"]), f"{one['held']} of {one['probes']}")
        for facts in run.facts(DECAY)
        for one in facts["levels"]
    ]
    yield from [table(("file", "variation", "level", "still hold"), rows)] if rows else []


def curves(run: Run) -> Iterator[str]:
    """Yield a table of the cost and the saving of smaller vectors."""
    rows = [
        (
            code(facts["task"]),
            model_of(run, facts["model"]),
            code(one["label"]),
            f"{one['score']:.4f}",
            f"{one['loss']:.4f}",
            f"{one['bytes']:,}",
            f"{one['saved']:.0%}",
        )
        for facts in run.facts(CURVE)
        for one in facts["points"]
    ]
    yield from [table(("task", "model", "vectors", "score", "loss", "bytes", "saved"), rows)] if rows else []


def speeds(run: Run) -> Iterator[str]:
    """Yield a table of the measured speeds, a row a test."""
    speeds = run.facts(SPEED)
    columns = list(dict.fromkeys(name for facts in speeds for name in facts["figures"]))
    rows = [
        (
            model_of(run, facts["model"]),
            str(facts["length"]),
            str(facts["batch_size"]),
            *(f"{facts['figures'][name]:,.2f}" if name in facts["figures"] else "" for name in columns),
        )
        for facts in speeds
    ]
    yield from [table(("model", "length", "batch", *columns), rows)] if rows else []


def indexes(run: Run) -> Iterator[str]:
    """Yield what each index returned, in each state."""
    for facts in run.facts(INDEX):
        yield fenced("\n".join(index_lines(facts)))

"""List mteb's tasks on text: type, main metric, languages, size, published score, and whether their data is at hand."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_embedqa.commands import GOOD
from pytest_embedqa.commands.arguments import add_datasets
from pytest_embedqa.commands.lines import say, wrapped
from pytest_embedqa.core.errors import DataError, MissingDataError, MissingExtraError, PublishedScoreError, TaskError
from pytest_embedqa.core.showing import inert
from pytest_embedqa.encoders.engines.sentence_transformers import BuiltinEngine
from pytest_embedqa.encoders.spec import nearest, parse_spec
from pytest_embedqa.quality.published import PublishedScores
from pytest_embedqa.quality.task import ALIASES

if TYPE_CHECKING:
    from pytest_embedqa.quality.mteb.listing import Listed

HELP = "mteb's tasks: size, published score, whether their data is at hand"
_NAME, _METRIC, _LANGUAGE = 36, 11, 9


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "pattern", nargs="?", help="part of a name, a glob such as 'Banking*', or a benchmark such as 'MTEB(eng, v2)'"
    )
    parser.add_argument("--type", metavar="TYPE", help="only this type, e.g. Retrieval")
    parser.add_argument("--language", metavar="CODE", help="only tasks that have this language, e.g. eng")
    parser.add_argument("--model", metavar="SPEC", default="builtin", help="whose published scores (builtin)")
    add_datasets(parser)
    parser.add_argument("--at-hand", action="store_true", help="only tasks whose data is at hand")
    parser.add_argument("--json", action="store_true", help="everything, for programs")


def run(given: argparse.Namespace) -> int:
    """Print the table."""
    require_mteb("embedqa tasks")
    if given.datasets and not given.datasets.is_dir():
        raise DataError(
            f"--datasets: {given.datasets} is not a folder. Make one:  embedqa fetch TASK --to {given.datasets}"
        )
    from pytest_embedqa.quality.mteb import listing  # imports mteb: seconds

    tasks = _filtered(listing.matching(given.pattern), given)
    published = _Published(model_name(given.model))
    if given.json:
        text = inert(
            json.dumps([_facts(task, published, given.datasets) for task in tasks], indent=1, ensure_ascii=False)
        )
    else:
        text = "\n".join(_lines(tasks, published, given.datasets))
    say(text)
    return GOOD


def require_mteb(purpose: str) -> None:
    """Refuse to go on without mteb, and name the extra that installs it.

    Raises:
        MissingExtraError: If mteb is not installed.
    """
    if find_spec("mteb") is None:
        raise MissingExtraError("mteb", "mteb", purpose)


def model_name(spec: str) -> str:
    """Return the name under which a spec's model is published, without loading it."""
    parsed = parse_spec(spec)
    return parsed.options.get("name") or (BuiltinEngine.NAME if parsed.engine == "builtin" else parsed.model)


class _Published:
    """The published scores of one model.

    Attributes:
        model: Name of the model.
        found: Number of tasks with a published score.
        problem: Reason why the last task without a score had none.
    """

    def __init__(self, model: str) -> None:
        self.model = model
        self.found = 0
        self.problem = ""
        self._scores = PublishedScores()

    def score(self, task: Listed) -> float | None:
        """Return the main score over the parts that mteb evaluates by default, or ``None``."""
        evaluated = {split: dict.fromkeys(subsets) for split, subsets in task.parts.items()}
        try:
            score = self._scores.find(self.model, task.name).score(evaluated)
        except PublishedScoreError as error:
            self.problem = str(error)
            return None
        self.found += 1
        return score


def _filtered(tasks: Sequence[Listed], given: argparse.Namespace) -> list[Listed]:
    """Return the tasks that match the options.

    Raises:
        TaskError: If no task does; the message says what exists.
    """
    of = f" of '{given.pattern}'" if given.pattern else ""
    if given.type:
        types = sorted({task.type for task in tasks})
        tasks = [task for task in tasks if task.type.lower() == given.type.lower()]
        if not tasks:
            raise TaskError(
                f"--type: no task{of} is of the type '{given.type}'.{nearest(given.type, types)} "
                f"There are: {', '.join(types)}."
            )
    if given.language:
        tasks = [task for task in tasks if given.language.lower() in task.languages]
        if not tasks:
            raise TaskError(
                f"--language: no task{of} has the language '{given.language}'. "
                "Three letters are expected (ISO 639-3), e.g. eng, deu, zho."
            )
    if given.at_hand:
        tasks = [task for task in tasks if task.place(given.datasets)]
        if not tasks:
            raise MissingDataError(
                f"--at-hand: no task{of} has its data in {given.datasets or 'the cache of the Hub'}. "
                "Fetch it:  embedqa fetch TASK --to DIR"
            )
    return list(tasks)


def _facts(task: Listed, published: _Published, datasets: Path | None) -> dict[str, Any]:
    """Return all facts of a task, JSON-serialisable."""
    score = published.score(task)
    return {
        **asdict(task),
        "published": None if score is None else {"model": published.model, "main_score": score},
        "data": task.place(datasets),
    }


def _lines(tasks: Sequence[Listed], published: _Published, datasets: Path | None) -> Iterator[str]:
    """Yield the lines of the tables, one table for each type of task."""
    for type_, group in groupby(
        sorted(tasks, key=lambda task: (task.type, task.name.lower())), key=lambda task: task.type
    ):
        yield _row(type_, "metric", "language", "size", "publ.", "data")
        for task in group:
            score, named = published.score(task), ",".join(task.languages)
            yield _row(
                task.name,
                _metric(task),
                named if len(named) <= _LANGUAGE else f"{len(task.languages)} langs",
                _size(task.samples),
                "-" if score is None else f"{score:.4f}",
                task.place(datasets) or "-",
            )
        yield ""
    yield f"{len(tasks)} task{'s' if len(tasks) > 1 else ''}. size: texts, pairs, or queries and documents, as mteb counts them"
    yield f"publ.: main score of {published.model}"
    if published.problem and not published.found:
        yield wrapped(published.problem)
    yield f"data: at hand in {datasets}" if datasets else "data: at hand in the cache of the Hub"


def _row(name: str, *cells: str) -> str:
    """Format a row of the table; a long name gets a line of its own, since it is needed in full."""
    metric, language, size, score, data = cells
    row = f"{metric:<{_METRIC}} {language:<{_LANGUAGE}} {size:>6} {score:>6} {data}"
    return f"{name:<{_NAME}} {row}" if len(name) <= _NAME else f"{name}\n{'':<{_NAME}} {row}"


def _metric(task: Listed) -> str:
    """Return the main metric as tests name it (``min_spearman=``), cut to its column."""
    short = {metric: name for name, metric in ALIASES.get(task.type, {}).items()}
    name = short.get(task.main_score, task.main_score)
    return name if len(name) <= _METRIC else f"{name[: _METRIC - 1]}…"


def _size(samples: int | None) -> str:
    if samples is None:
        return "-"
    if samples < 100_000:  # noqa: PLR2004  six characters
        return f"{samples:,}"
    return f"{samples / 1e3:.0f}k" if samples < 1e6 else f"{samples / 1e6:.1f}M"  # noqa: PLR2004

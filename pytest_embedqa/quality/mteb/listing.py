"""Listing of mteb's tasks, with the datasets that they read and the places where these are at hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import mteb
from huggingface_hub import constants
from mteb.abstasks import AbsTask

from pytest_embedqa.core.errors import MissingDataError, TaskError
from pytest_embedqa.quality.datasets import locate, offline
from pytest_embedqa.quality.mteb.evaluation import load as load_data
from pytest_embedqa.quality.mteb.evaluation import parts_of, quietly
from pytest_embedqa.quality.mteb.tasks import benchmark_queries, find_task
from pytest_embedqa.quality.task import TaskQuery

FOLDER, CACHE = "folder", "cache"
_NEAREST = 5


@dataclass(frozen=True)
class Source:
    """A dataset on the Hub.

    Attributes:
        path: ``ORG/NAME``.
        revision: Commit, tag or branch.
    """

    path: str
    revision: str

    def place(self, folder: Path | None) -> str | None:
        """Return the place where the dataset is at hand: ``folder``, ``cache`` (the Hub's), or ``None``.

        Args:
            folder: Folder with data in the Hub's layout; if given, nothing else is read.
        """
        if folder:
            try:
                locate(folder, self.path)
            except MissingDataError:
                return None
            return FOLDER
        cached = Path(constants.HF_HUB_CACHE) / f"datasets--{self.path.replace('/', '--')}"
        there = any((cached / "snapshots").glob(f"{self.revision}*")) or (cached / "refs" / self.revision).is_file()
        return CACHE if there else None


@dataclass(frozen=True)
class Listed:
    """The known facts of a task before its data is read.

    Attributes:
        name: Name of the task in mteb.
        type: Type of the task in mteb's words.
        main_score: Name of the leaderboard's metric.
        languages: ISO 639-3 codes.
        samples: Texts, pairs or queries and documents of the evaluated splits; ``None`` if mteb has no count.
        parts: Evaluated subsets, by split.
        sources: Datasets that it reads; several for a task made of others.
        superseded_by: The newer task that replaces it, if there is one.
    """

    name: str
    type: str
    main_score: str
    languages: tuple[str, ...]
    samples: int | None
    parts: Mapping[str, Sequence[str]]
    sources: tuple[Source, ...]
    superseded_by: str | None

    def place(self, folder: Path | None) -> str | None:
        """Return the place where all its data is at hand, as ``Source.place`` does."""
        places = {source.place(folder) for source in self.sources}
        return places.pop() if len(places) == 1 else None


@cache
def every_task() -> tuple[Listed, ...]:
    """Return all tasks on text alone, by name."""
    found = mteb.get_tasks(
        exclude_superseded=False, exclude_private=False, modalities=["text"], exclusive_modality_filter=True
    )
    return tuple(sorted((_listed(task) for task in found), key=lambda task: task.name.lower()))


def matching(pattern: str | None) -> Sequence[Listed]:
    """Return the tasks of a benchmark, or the tasks whose name matches.

    Args:
        pattern: Name of a benchmark, a glob (``Banking*``) or a part of a name, in any case; ``None`` for all.

    Raises:
        TaskError: If nothing matches; the text has the nearest names.
    """
    tasks = every_task()
    if pattern is None:
        return tasks
    wanted = pattern.lower()
    benchmark = {name.lower(): name for name in _benchmarks()}.get(wanted)
    if benchmark:
        return chosen([benchmark])
    glob = wanted if set(wanted) & set("*?[") else f"*{wanted}*"
    found = [task for task in tasks if fnmatchcase(task.name.lower(), glob)]
    if not found:
        raise TaskError(f"mteb {mteb.__version__} has no task or benchmark like '{pattern}'.{_nearest(wanted, tasks)}")
    return found


def chosen(names: Iterable[str]) -> list[Listed]:
    """Return the tasks with these names, in this order; the name of a benchmark stands for all its tasks.

    Of these tasks, only the splits and subsets that the benchmark takes are listed.

    Raises:
        TaskError: If a name is neither; the text has the nearest names.
    """
    benchmarks = _benchmarks()
    queries = [one for name in names for one in (benchmark_queries(name) if name in benchmarks else [TaskQuery(name)])]
    return [_asked(query) for query in dict.fromkeys(queries)]


def _asked(query: TaskQuery) -> Listed:
    try:
        with quietly():
            mteb.get_task(query.name)
            return _listed(find_task(query))
    except KeyError:
        near = _nearest(query.name.lower(), every_task())
        raise TaskError(f"mteb {mteb.__version__} has no task or benchmark '{query.name}'.{near}") from None


def load(name: str, folder: Path) -> None:
    """Load the data of a task from a folder, as an evaluation does, without the Hub.

    Raises:
        MissingDataError, DataError: If the data can't be loaded from there.
    """
    with quietly(), offline():  # a task that reads more than its own dataset must not download the rest
        for part in parts_of(find_task(TaskQuery(name))):
            load_data(part, folder)


def _listed(task: AbsTask) -> Listed:
    facts = task.metadata
    parts = list(parts_of(task))
    counts = [_samples(part) for part in parts]
    sources = [Source(part.metadata.dataset["path"], str(part.metadata.revision)) for part in parts]
    return Listed(
        facts.name,
        facts.type,
        facts.main_score,
        tuple(sorted({language for part in parts for language in part.languages})),
        sum(count for count in counts if count) if all(counts) else None,
        {split: list(task.hf_subsets) for split in task.eval_splits},
        tuple(dict.fromkeys(sources)),
        facts.superseded_by,
    )


def _samples(task: AbsTask) -> int | None:
    """Count the evaluated samples; ``None`` if mteb has no count of these splits and subsets."""
    told = [(task.metadata.descriptive_stats or {}).get(split) for split in task.eval_splits]
    if set(task.hf_subsets) != set(task.metadata.hf_subsets):
        by_subset = [(facts or {}).get("hf_subset_descriptive_stats") or {} for facts in told]
        told = [facts.get(subset) for facts in by_subset for subset in task.hf_subsets]
    return sum(facts["num_samples"] for facts in told if facts) if all(told) else None


def _benchmarks() -> list[str]:
    return [benchmark.name for benchmark in mteb.get_benchmarks()]


def _nearest(wanted: str, tasks: Sequence[Listed]) -> str:
    """Return a sentence with near names, or an empty string; ``wanted`` is in lower case."""
    names = {name.lower(): name for name in [*(task.name for task in tasks), *_benchmarks()]}
    near = [name for name in names if name.startswith(wanted)][:_NEAREST]
    near += [name for name in get_close_matches(wanted, names, n=_NEAREST) if name not in near]
    return f" The nearest: {', '.join(names[name] for name in near[:_NEAREST])}." if near else ""

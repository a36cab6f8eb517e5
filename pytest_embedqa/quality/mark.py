"""Parsing of marker arguments into requirements. An unknown argument is an error, before anything is evaluated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_embedqa.core.arguments import is_count, is_number, require_known
from pytest_embedqa.core.errors import SpecError
from pytest_embedqa.core.requirement import MAIN_SCORE, Kind, Requirement
from pytest_embedqa.encoders.composites import TOP_K
from pytest_embedqa.encoders.load import read_all_options
from pytest_embedqa.encoders.spec import Spec, parse_spec
from pytest_embedqa.quality.compression import Compression
from pytest_embedqa.quality.evaluator import benchmark_queries
from pytest_embedqa.quality.own_tasks import OwnTask
from pytest_embedqa.quality.retrievers.choice import RetrieverChoice, require_alone, require_fitting
from pytest_embedqa.quality.task import MEAN, MEAN_BY_TYPE, TaskQuery

if TYPE_CHECKING:
    import pytest

Bound = float | Mapping[str, float]

# Bounds on a benchmark as a whole. Its marker takes no part of a task, as the benchmark itself decides that.
MEANS = (f"min_{MEAN}", f"min_{MEAN_BY_TYPE}")
_OF_A_BENCHMARK = ("vs_published", "max_regression", "limit", "max_minutes", *MEANS)


@dataclass(frozen=True)
class QualityMark:
    """The arguments of a marker, parsed.

    Attributes:
        query: The task, or the part of a task.
        bounds: (kind, measure, bound) as written; a bound may be a number for each model.
        dims: Dimensions at which the bounds must hold; ``(None,)`` for all dimensions.
        max_minutes: Limit on the encoding.
        compressions: Smaller vectors to measure too, with their allowed loss.
        first_stage: Spec of the system that finds candidates to rerank; the model under test by default.
        reranker: Spec of the system that reranks them; the model under test by default.
        retriever: Retriever to evaluate in place of the encoder under test.
        top_k: Number of passages to ask a pipeline for; by default, as many as the bounds look at.
    """

    query: TaskQuery
    bounds: tuple[tuple[Kind, str, Bound], ...]
    dims: tuple[int | None, ...] = (None,)
    max_minutes: float | None = None
    compressions: tuple[Compression, ...] = ()
    first_stage: Spec | None = None
    reranker: Spec | None = None
    retriever: RetrieverChoice | None = None
    top_k: int | None = None

    def requirements(self, model: str) -> tuple[Requirement, ...]:
        """Return the requirements on this model."""
        return tuple(
            Requirement(kind, measure, bound[model] if isinstance(bound, Mapping) else bound)
            for kind, measure, bound in self.bounds
            if not isinstance(bound, Mapping) or model in bound
        )

    @property
    def all_requirements(self) -> tuple[Requirement, ...]:
        """The requirements on any model, for the check at collection."""
        return tuple(
            Requirement(kind, measure, number)
            for kind, measure, bound in self.bounds
            for number in (bound.values() if isinstance(bound, Mapping) else [bound])
        )


def read_mark(
    mark: pytest.Mark,
    folder: Path,
    task: str | None = None,
    *,
    root: Path | None = None,
    retriever: Callable[[object], RetrieverChoice] | None = None,
) -> QualityMark:
    """Parse a marker.

    Args:
        mark: The marker.
        folder: Folder of the test file; paths of own data start there.
        task: For a benchmark's marker, the task of this item.
        root: pytest's rootdir; own data is named by its path below it.
        retriever: Reads the argument ``retriever``.

    Raises:
        SpecError: If an argument is unknown, or its requirement can't hold.
    """
    named = mark.args[0] if len(mark.args) == 1 else None
    if not isinstance(named, str | OwnTask) or (task and not isinstance(named, str)):
        raise SpecError(
            f'@{mark.name} takes one name, e.g. @{mark.name}("ArguAna", min_ndcg_at_10=0.48), but got {mark.args!r}.'
        )
    arguments = {name: value for name, value in mark.kwargs.items() if name not in MEANS}
    if task:
        require_known(mark.name, arguments, _OF_A_BENCHMARK)
        query = benchmark_queries(str(named))[task]
    else:
        splits, subsets, languages = (
            _names(name, arguments.pop(name, None)) for name in ("splits", "subsets", "languages")
        )
        query = TaskQuery(
            named.beside(folder, root) if isinstance(named, OwnTask) else named, splits, subsets, languages
        )
    choice = retriever(arguments.pop("retriever")) if retriever and "retriever" in arguments else None
    if choice:
        require_alone(arguments)
    query = replace(query, limit=_count("limit", arguments.pop("limit", None)))
    query, first_stage, reranker, top_k = _stages(query, arguments, asked=choice is not None)
    minutes = arguments.pop("max_minutes", None)
    if minutes is not None and not (is_number(minutes) and minutes > 0):
        raise SpecError(f"max_minutes={minutes!r} must be a number of minutes above 0.")
    dims = arguments.pop("dims", None)
    quality = QualityMark(
        query,
        tuple(_bound(mark.name, name, value) for name, value in arguments.items()),
        tuple(_dims(dims)) if dims is not None else (None,),
        minutes,
        first_stage=first_stage,
        reranker=reranker,
        retriever=choice,
        top_k=top_k if choice else None,
    )
    if choice:
        measures = [requirement.measure for requirement in quality.all_requirements]
        require_fitting(choice, measures, top_k)
    kinds = {requirement.kind for requirement in quality.all_requirements}  # building them checks their bounds
    if Kind.VS_PUBLISHED in kinds and (query.limit or dims is not None):
        raise SpecError(
            "vs_published= is for the whole task at all dimensions; it can't be combined with limit= or dims=."
        )
    if query.top_k and (Kind.VS_PUBLISHED in kinds or dims is not None):
        raise SpecError(
            "vs_published= and dims= are for a model alone; they can't stand beside reranker= or first_stage=, which make two of it."
        )
    return quality


def read_means(mark: pytest.Mark) -> QualityMark:
    """Return the bounds on a benchmark's means as a separate mark."""
    bounds = tuple(_bound(mark.name, name, mark.kwargs[name]) for name in MEANS if name in mark.kwargs)
    quality = QualityMark(TaskQuery(str(mark.args[0])), bounds)
    quality.all_requirements  # noqa: B018
    return quality


def _stages(
    query: TaskQuery, arguments: dict[str, Any], *, asked: bool
) -> tuple[TaskQuery, Spec | None, Spec | None, int | None]:
    """Take first stage, reranker and ``top_k`` out of the arguments, and return them after the query with them.

    Args:
        query: The task, or the part of a task.
        arguments: The arguments of the marker.
        asked: Whether a retriever is asked for ``top_k`` passages.
    """
    first_stage, reranker = (_system(name, arguments.pop(name, None)) for name in ("first_stage", "reranker"))
    top_k = arguments.pop("top_k", None)
    if top_k is not None and not is_count(top_k):
        raise SpecError(f"top_k={top_k!r} must be a whole number from 1 up.")
    if first_stage or reranker:
        query = replace(query, first_stage=str(first_stage) if first_stage else None, top_k=top_k or TOP_K)
    elif top_k is not None and not asked:
        raise SpecError(
            f"top_k={top_k} is the number of candidates to rerank, or of passages to ask for: it stands beside reranker=, first_stage= or "
            "retriever=."
        )
    return query, first_stage, reranker, top_k


def _bound(marker: str, name: str, value: Any) -> tuple[Kind, str, Bound]:
    number = value.values() if isinstance(value, Mapping) else [value]
    if not all(map(is_number, number)):
        raise SpecError(f"@{marker}: {name}={value!r:.60} must be a number, or numbers by model name.")
    if name in {Kind.VS_PUBLISHED.value, Kind.MAX_REGRESSION.value}:
        return Kind(name), MAIN_SCORE, value
    prefix, _, measure = name.partition("_")
    if prefix not in {"min", "max"} or not measure:
        known = [
            "vs_published",
            "max_regression",
            "dims",
            "splits",
            "subsets",
            "languages",
            "limit",
            "max_minutes",
            "reranker",
            "first_stage",
            "retriever",
            "top_k",
            "min_<metric>",
            "max_<metric>",
        ]
        require_known(marker, [name], known)
    return Kind(prefix), measure, value


def _names(what: str, value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    named = isinstance(value, Iterable) and not isinstance(value, str)
    if not named or not value or not all(isinstance(name, str) for name in value):
        raise SpecError(f'{what}={value!r} must be a list of names, e.g. {what}=["test"].')
    return tuple(value)


def _system(what: str, value: object) -> Spec | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise SpecError(f'{what}={value!r:.60} must be the spec of a model, e.g. {what}="st:ORG/MODEL".')
    spec = parse_spec(value)
    read_all_options(spec)
    return spec


def _count(what: str, value: object) -> int | None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 2):  # noqa: PLR2004
        raise SpecError(f"{what}={value!r} must be a whole number from 2 up.")
    return value


def _dims(value: Any) -> Iterator[int | None]:
    dims = [value] if isinstance(value, int) else value
    if isinstance(dims, str) or not isinstance(dims, Iterable) or not dims:
        raise SpecError(f"dims={value!r} must be a list of dimensions, e.g. dims=[256, 64].")
    for dim in dims:
        yield _count("dims", dim)

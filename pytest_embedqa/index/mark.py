"""The parsing of the arguments of ``@index_recall``, but for its task."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pytest_embedqa.core.arguments import is_count, is_number, require_known
from pytest_embedqa.core.errors import SpecError
from pytest_embedqa.core.requirement import Kind, Requirement
from pytest_embedqa.core.vector_index import VectorIndex
from pytest_embedqa.encoders.spec import nearest
from pytest_embedqa.index.abilities import Filtered, Reopened, Updated
from pytest_embedqa.index.spec import IndexSpec, parse_index, read_setting

if TYPE_CHECKING:
    import pytest

MEASURES = ("recall_at_<k>", "worst_decile", "ndcg_loss", "p50_ms", "p95_ms", "bytes_per_vector", "build_s")
_ARGUMENTS = ("index", "k", "rows", "filter", "delete_nearest", "churn", "reopen", "sweep")
# Arguments that choose the data; whoever knows tasks reads them.
OF_THE_TASK = ("splits", "subsets", "languages", "retriever")
_RECALL = re.compile(r"recall_at_([1-9][0-9]{0,5})")
# Documents that nDCG looks at.
CUT_OFF = 10
# What an index must offer for an argument, with the method that is missed first.
_NEEDS = {
    "filter": (Filtered, "search_below"),
    "delete_nearest": (Updated, "remove"),
    "churn": (Updated, "remove"),
    "reopen": (Reopened, "reopen"),
}


@dataclass(frozen=True)
class IndexMark:
    """The parsed arguments of ``@index_recall``.

    Attributes:
        index: Spec of the index, or a user's class, function or object that makes one.
        requirements: Bounds, each on every state of the index that is measured.
        k: Number of neighbours.
        rows: Number of rows to grow the data to; ``None`` for the documents alone.
        filter: Share of the rows that a filter lets through; ``None`` without one.
        delete_nearest: Number of nearest documents of each query to delete first.
        churn: Rounds in which a fifth of the rows is deleted and added again.
        reopen: Whether the index is closed and opened before it is searched.
        sweep: Values of settings to draw a curve of, by name.
        max_regression: Allowed drop against the baseline: a number, or numbers by model; ``None`` for that of the run.
    """

    index: Any
    requirements: tuple[Requirement, ...] = ()
    k: int = 10
    rows: int | None = None
    filter: float | None = None
    delete_nearest: int = 0
    churn: int = 0
    reopen: bool = False
    sweep: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    max_regression: float | Mapping[str, float] | None = None

    @property
    def name(self) -> str:
        """Name of the index in tables."""
        if isinstance(self.index, type) or not (isinstance(self.index, IndexSpec) or hasattr(self.index, "fixture")):
            return getattr(self.index, "__name__", type(self.index).__name__)
        return str(self.index)


def read_mark(mark: pytest.Mark, retriever: Any = None) -> IndexMark:  # whatever names itself by str()
    """Parse a marker; its task and the arguments ``OF_THE_TASK`` are left out.

    Args:
        mark: The marker.
        retriever: The retriever whose answers are compared, where the marker names one in place of an index.

    Raises:
        SpecError: If an argument is unknown, missing or can't hold.
    """
    arguments = {name: value for name, value in mark.kwargs.items() if name not in OF_THE_TASK}
    allowed = _regression(arguments.pop(Kind.MAX_REGRESSION.value, None))
    bounds = {name: value for name, value in arguments.items() if name.startswith(("min_", "max_"))}
    require_known(
        "index_recall",
        [name for name in arguments if name not in bounds],
        (*_ARGUMENTS, *OF_THE_TASK, "max_regression", "min_<measure>", "max_<measure>"),
    )
    requirements = tuple(_bound(name, value) for name, value in bounds.items())
    given = IndexMark(
        _retriever(retriever, arguments) if retriever else _index(arguments.get("index")),
        requirements,
        _k(arguments.get("k"), requirements),
        _count(arguments, "rows"),
        _share(arguments.get("filter")),
        _count(arguments, "delete_nearest") or 0,
        _count(arguments, "churn") or 0,
        _flag(arguments.get("reopen", False)),
    )
    for name, (protocol, method) in _NEEDS.items():
        if getattr(given, name):
            _require_method(given, name, protocol, method)
    if any(one.measure == "ndcg_loss" for one in requirements) and given.k < CUT_OFF:
        raise SpecError(
            f"@index_recall: max_ndcg_loss= looks at {CUT_OFF} documents, and k={given.k} asks for fewer. Take k={CUT_OFF} or more."
        )
    return replace(given, sweep=_sweep(arguments.get("sweep"), given.index), max_regression=allowed)


def _retriever(retriever: Any, arguments: Mapping[str, Any]) -> Any:
    if beside := [name for name in _ARGUMENTS if name in arguments and name != "k"]:
        raise SpecError(
            f"@index_recall: {beside[0]}= can't stand beside retriever=, whose index is built and changed elsewhere."
        )
    return retriever


def _index(value: Any) -> Any:
    if isinstance(value, str):
        return parse_index(value)
    if isinstance(value, VectorIndex) or callable(value):
        return value
    raise SpecError(
        f'@index_recall needs index=, and got {value!r:.60}: a spec such as "faiss:HNSW32?efSearch=64", or a class of your own with '
        "build(vectors, ids) and search(queries, k)."
    )


def _bound(name: str, value: Any) -> Requirement:
    kind, _, measure = name.partition("_")
    if not _RECALL.fullmatch(measure) and measure not in MEASURES[1:]:
        guess = nearest(measure, ["recall_at_10", *MEASURES[1:]])
        raise SpecError(f"@index_recall has no measure '{measure}'.{guess} It has: {', '.join(MEASURES)}.")
    right = "min" if measure.startswith("recall") or measure == "worst_decile" else "max"
    if kind != right:
        raise SpecError(
            f"@index_recall: {name}= would hold the better the worse the index is. Its bound is {right}_{measure}=."
        )
    if not is_number(value):
        raise SpecError(f"@index_recall: {name}={value!r:.60} must be a number.")
    return Requirement(Kind(kind), measure, float(value))


def _regression(value: Any) -> Any:  # a number, numbers by model, or None
    for number in value.values() if isinstance(value, Mapping) else [] if value is None else [value]:
        if not is_number(number):
            raise SpecError(f"@index_recall: max_regression={value!r:.60} must be a number, or numbers by model name.")
        Requirement(Kind.MAX_REGRESSION, "recall", number)
    return value


def _k(value: Any, requirements: Sequence[Requirement]) -> int:
    if value is not None and not is_count(value):
        raise SpecError(f"@index_recall: k={value!r:.60} must be a whole number from 1 up.")
    named = sorted({int(found[1]) for one in requirements if (found := _RECALL.fullmatch(one.measure))})
    if len(named) > 1:
        raise SpecError(
            f"@index_recall: an index asked for {named[0]} does other work than for {named[1]}. Write a test for each number."
        )
    if value is not None and named and value != named[0]:
        raise SpecError(
            f"@index_recall: recall_at_{named[0]} needs k={named[0]}, and k={value} was given. Leave k= out."
        )
    return int(value or (named or [10])[0])


def _count(arguments: Mapping[str, Any], name: str) -> int | None:
    value = arguments.get(name)
    if value is not None and not is_count(value):
        raise SpecError(f"@index_recall: {name}={value!r:.60} must be a whole number from 1 up.")
    return value


def _share(value: Any) -> Any:  # a number, or None
    if value is not None and not (is_number(value) and 0.001 <= value < 1):  # noqa: PLR2004  slots are thousandths
        raise SpecError(
            f"@index_recall: filter={value!r:.60} must be the share of rows that it lets through, from 0.001 to below 1."
        )
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise SpecError(f"@index_recall: reopen={value!r:.60} must be True or False.")
    return value


def _require_method(mark: IndexMark, argument: str, protocol: type, method: str) -> None:
    index = mark.index.client_class if isinstance(mark.index, IndexSpec) else mark.index
    if isinstance(index, type):
        missing = not all(callable(getattr(index, name, None)) for name in _methods(protocol))
    else:
        missing = isinstance(index, VectorIndex) and not isinstance(index, protocol)
    why = mark.index.client_class.lacks(mark.index.kind).get(method) if isinstance(mark.index, IndexSpec) else None
    if missing or why:
        raise SpecError(
            f"@index_recall: {argument}= needs an index with the method {method}, and {mark.name} has none{f': {why}' if why else ''}."
        )


def _methods(protocol: type) -> list[str]:
    return [name for name in vars(protocol) if not name.startswith("_")]


def _sweep(value: Any, index: Any) -> dict[str, list[Any]]:
    if value is None:
        return {}
    if (
        not isinstance(value, Mapping)
        or not value
        or not all(isinstance(some, Sequence) and some and not isinstance(some, str) for some in value.values())
    ):
        raise SpecError(
            f'@index_recall: sweep={value!r:.60} must hold lists of values by setting, e.g. sweep={{"efSearch": [16, 64, 256]}}.'
        )
    if not isinstance(index, IndexSpec):
        raise SpecError(
            "@index_recall: sweep= changes the settings of a spec; an index of your own has settings of its own."
        )
    parsers = index.client_class.settings_of(index.kind)
    return {name: [read_setting(name, str(one), parsers, str(index)) for one in some] for name, some in value.items()}

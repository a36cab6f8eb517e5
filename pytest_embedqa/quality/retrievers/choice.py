"""The retriever of a marker: ``@mteb_task(..., retriever="retriever")``, a run file, or an HTTP service."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from pytest_embedqa.core.errors import SpecError

YAML = {".yaml", ".yml"}
_CUT_OFF = re.compile(r"_at_(\d+)")
# Arguments that are about texts, vectors or published models.
_NOT_BESIDE = ("reranker", "first_stage", "vs_published", "dims", "limit")
_OF_TEXTS = ("spearman", "truncated", "tokens_lost")
_FORMS = (
    'retriever= names the fixture that returns your pipeline (retriever="retriever"), a TREC run file '
    '(retriever="runs/bm25.trec"), or an HTTP service as probe files do (retriever={"http": {...}}, or a YAML file of it)'
)


@dataclass(frozen=True)
class RetrieverChoice:
    """The retriever that a marker names, in one of three ways.

    Attributes:
        fixture: Name of the fixture that returns a pipeline.
        run: TREC run file.
        service: Settings of an HTTP service.
        name: Name in reports; of a fixture, its pipeline's name is taken.
    """

    fixture: str | None = None
    run: Path | None = None
    service: Any = None
    name: str = ""

    def __str__(self) -> str:
        """Name the choice."""
        return f"fixture {self.fixture}" if self.fixture else self.name


def fixture_of(given: object) -> str | None:
    """Return the fixture that the argument ``retriever`` names; ``None`` if it names none."""
    return given if isinstance(given, str) and given.isidentifier() else None


def read_choice(
    given: object,
    folder: Path,
    root: Path | None,
    read_service: Callable[[Mapping[str, Any] | Path], tuple[Any, str]],
) -> RetrieverChoice:
    """Parse the argument ``retriever``.

    Args:
        given: Its value.
        folder: Folder of the test file; paths start there.
        root: pytest's rootdir; files are named by their path below it.
        read_service: Returns the settings of an HTTP service, and its address for reports.

    Raises:
        SpecError: If it names no retriever, or a file that does not exist.
        DataError: If the settings of a service are wrong, or ask for more than is allowed.
    """
    if fixture := fixture_of(given):
        return RetrieverChoice(fixture=fixture)
    if isinstance(given, Mapping):
        service, name = read_service(given)
        return RetrieverChoice(service=service, name=name)
    if not isinstance(given, str | PurePath) or not str(given).strip():
        raise SpecError(f"{_FORMS}, but it is {given!r:.80}.")
    path = folder / given
    if not path.is_file():
        raise SpecError(f"retriever={str(given)!r:.80}: {path} is not a file. {_FORMS}.")
    if path.suffix.lower() in YAML:
        service, name = read_service(path)
        return RetrieverChoice(service=service, name=name)
    inside = root and path.resolve().is_relative_to(root.resolve())
    return RetrieverChoice(
        run=path, name=path.resolve().relative_to(root.resolve()).as_posix() if inside and root else path.name
    )


def require_alone(arguments: Collection[str]) -> None:
    """Refuse arguments that make no sense beside ``retriever=``.

    Raises:
        SpecError: Naming the first.
    """
    if beside := [name for name in _NOT_BESIDE if name in arguments]:
        raise SpecError(
            f"{beside[0]}= can't stand beside retriever=: a retriever searches its own index of the whole corpus, and shows neither texts nor vectors."
        )


def require_fitting(choice: RetrieverChoice, measures: Collection[str], top_k: int | None) -> None:
    """Refuse bounds that a retriever can't be held to.

    Args:
        choice: The retriever.
        measures: Metrics that the test bounds.
        top_k: Number of passages to ask for, if it is given.

    Raises:
        SpecError: Naming the first.
    """
    if of_texts := [name for name in measures if name in _OF_TEXTS]:
        raise SpecError(f"'{of_texts[0]}' is measured on texts and vectors, and a retriever shows neither.")
    if top_k is not None and choice.run:
        raise SpecError("top_k= asks a pipeline for passages, and a run file can't be asked for more than it has.")
    deep = [name for name in measures if top_k is not None and cut_off(name) > top_k]
    if deep:
        raise SpecError(f"'{deep[0]}' looks at {cut_off(deep[0]):,} documents, and top_k={top_k} asks for fewer.")


def cut_off(metric: str) -> int:
    """Return the number of documents that a metric looks at; 1 where its name has none (``accuracy``)."""
    found = _CUT_OFF.search(metric)
    return int(found[1]) if found else 1

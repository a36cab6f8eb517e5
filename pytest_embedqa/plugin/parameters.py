"""The parameters of tests: models, tasks of a benchmark, and markers that stand at single parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from pytest_embedqa import markers
from pytest_embedqa.plugin import items


def marks(function: Any) -> list[pytest.Mark]:
    """Return the markers of a function or class, whatever else a project keeps under their name."""
    stored = getattr(function, "pytestmark", [])
    return _marks_among(stored if isinstance(stored, list) else [stored])


def _marks_among(given: Iterable[Any]) -> list[pytest.Mark]:
    marks = [getattr(one, "mark", one) for one in given]
    return [mark for mark in marks if isinstance(mark, pytest.Mark)]


def names(mark: pytest.Mark) -> list[str]:
    """Return the names of the parameters of a marker ``parametrize``."""
    names = mark.args[0] if mark.args else mark.kwargs.get("argnames")
    if isinstance(names, str):
        return [name.strip() for name in names.split(",")]
    return list(names) if isinstance(names, list | tuple) else []  # pytest says what is wrong with others


def marks_of_models(mark: pytest.Mark) -> list[pytest.Mark]:
    """Return what stands at single models of ``parametrize("encoder", [pytest.param(SPEC, marks=...)], indirect=True)``.

    pytest adds these markers to the tests, but takes parameters for ``encoder`` only of a function that has it before.
    """
    values = mark.args[1] if len(mark.args) > 1 else mark.kwargs.get("argvalues", ())
    if markers.ENCODER not in names(mark) or not isinstance(values, list | tuple):
        return []
    return _marks_among(one for value in values for one in getattr(value, "marks", ()))


def require_free(metafunc: pytest.Metafunc) -> None:
    """Require that parameters of the fixture ``encoder`` come from one source: the command line, or the project."""
    own = [one for one in items.encoder_fixtures(metafunc.definition) if one.params]
    if own:
        place = own[-1].func.__code__
        pytest.fail(
            f"The fixture 'encoder' ({place.co_filename}:{place.co_firstlineno}) has params of its own, and several "
            "--embedqa-model are parameters of it, too. Give one --embedqa-model at a time.",
            pytrace=False,
        )


def benchmark_items(mark: pytest.Mark, test: pytest.Item) -> list[str]:
    """Return the names of a benchmark's tasks, and ``mean`` where the means have bounds."""
    from pytest_embedqa.core.errors import EmbedQAError, SpecError
    from pytest_embedqa.quality.evaluator import benchmark_queries
    from pytest_embedqa.quality.mark import MEANS

    try:
        if len(mark.args) != 1 or not isinstance(mark.args[0], str):
            raise SpecError(f'@{mark.name} takes one name, e.g. @{mark.name}("MTEB(eng, v2)"), but got {mark.args!r}.')
        return [*benchmark_queries(mark.args[0]), *([markers.MEAN] if mark.kwargs.keys() & MEANS else [])]
    except EmbedQAError as error:
        path, line, name = test.location
        text = f"{path}:{(line or 0) + 1}: {name}: {error}"
        raise pytest.fail.Exception(text, pytrace=False) from None

"""How decorators make markers: what they check of how they are written, and what a marker brings."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from functools import wraps
from inspect import signature
from types import FunctionType
from typing import Any, ParamSpec, TypeVar

import pytest

from pytest_embedqa.markers import RESULTS

Arguments = ParamSpec("Arguments")
Marked = TypeVar("Marked")


def with_arguments(example: str) -> Callable[[Callable[Arguments, Marked]], Callable[Arguments, Marked]]:
    """Say what to write where a decorator lacks its brackets or an argument; Python's own words would not.

    Args:
        example: The decorator as it may be written, without ``@``.
    """

    def wrap(decorator: Callable[Arguments, Marked]) -> Callable[Arguments, Marked]:
        @wraps(decorator)
        def checked(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Marked:
            problem = ""
            try:
                signature(decorator).bind(*args, **kwargs)
            except TypeError as error:
                problem = str(error)
            if args and isinstance(args[0], type | FunctionType):
                problem = "stands without its arguments"
            if problem:
                caller = sys._getframe(1)  # noqa: SLF001  documented, and inspect's way reads all sources
                where = f"{caller.f_code.co_filename}:{caller.f_lineno}"
                raise pytest.Collector.CollectError(
                    f"{where}: @{decorator.__name__}: {problem}. Write for instance  @{example}"
                )
            return decorator(*args, **kwargs)

        return checked

    return wrap


class _Marker(pytest.MarkDecorator):
    """A marker that brings the fixture of its result: where the plugin is missing, so is the fixture, and no test passes."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  as every marker
        """Mark a function or a class."""
        marked = super().__call__(*args, **kwargs)
        if isinstance(marked, pytest.MarkDecorator) or self.name not in RESULTS:
            return marked
        return pytest.mark.usefixtures(RESULTS[self.name])(marked)


def marker(name: str, /, *args: object, **kwargs: object) -> _Marker:
    """A marker with its arguments.

    Raises:
        pytest.Collector.CollectError: If this run does not have the plugin, which would judge it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", pytest.PytestUnknownMarkWarning)
        try:
            known = getattr(pytest.mark, name)
        except pytest.PytestUnknownMarkWarning:
            problem = (
                f"@{name} is a marker of pytest-embedqa, whose plugin this run has not loaded, so that nobody would judge the test. "
                "Run pytest with  -p pytest_embedqa.plugin  (where PYTEST_DISABLE_PLUGIN_AUTOLOAD is set), or without  -p no:embedqa."
            )
        else:
            return _Marker(known.with_args(*args, **kwargs).mark, _ispytest=True)
    raise pytest.Collector.CollectError(problem)

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
    """A marker that asks for the plugin wherever it is used, and brings the fixture of its result.

    A run without the plugin has no such fixture, so that no test passes there, also where the project lists our markers.
    """

    @property
    def mark(self) -> pytest.Mark:
        """What pytest keeps with a test; read when a module, class, function or parameter is marked with it."""
        _require_plugin(self._mark.name)
        return self._mark

    @mark.setter
    def mark(self, mark: pytest.Mark) -> None:
        self._mark = mark

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
    _require_plugin(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pytest.PytestUnknownMarkWarning)
        return _Marker(getattr(pytest.mark, name).with_args(*args, **kwargs).mark, _ispytest=True)


def _require_plugin(name: str) -> None:
    """Refuse a marker that nobody would judge; where no run has begun, as in a conftest.py, that is not known yet."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", pytest.PytestUnknownMarkWarning)
        try:
            getattr(pytest.mark, name)
        except pytest.PytestUnknownMarkWarning:
            problem = (
                f"@{name} is a marker of pytest-embedqa, whose plugin this run has not loaded, so that nobody would judge the test. "
                "Run pytest with  -p embedqa  (where PYTEST_DISABLE_PLUGIN_AUTOLOAD is set), or without  -p no:embedqa."
            )
        else:
            return
    raise pytest.Collector.CollectError(problem)

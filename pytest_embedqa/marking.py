"""The making of decorators: they check how they are written, and a marker brings its fixture."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from functools import wraps
from inspect import Parameter, Signature, signature
from types import FunctionType
from typing import Any, ParamSpec

import pytest

from pytest_embedqa.markers import EXAMPLES, MARKERS

Arguments = ParamSpec("Arguments")
# The decorators by name.
_DECORATORS: dict[str, Callable[..., pytest.MarkDecorator]] = {}


def marks(name: str) -> Callable[[Callable[Arguments, None]], Callable[Arguments, pytest.MarkDecorator]]:
    """Turn a function without a body, whose signature names the marker's arguments, into a decorator.

    An argument that is ``None`` counts as not given. A user who leaves out the brackets, or a required argument, is
    told what to write; Python's own error would not say it. The function's docstring explains the arguments.
    """

    def wrap(described: Callable[Arguments, None]) -> Callable[Arguments, pytest.MarkDecorator]:
        @wraps(described)
        def decorator(*args: Arguments.args, **kwargs: Arguments.kwargs) -> pytest.MarkDecorator:
            problem = ""
            try:
                given = signature(described).bind(*args, **kwargs)
                given.apply_defaults()
            except TypeError as error:
                problem = str(error)
            if args and isinstance(args[0], type | FunctionType):
                problem = "has no arguments"
            if problem:
                caller = sys._getframe(1)  # noqa: SLF001  documented, and inspect's way reads all sources
                where = f"{caller.f_code.co_filename}:{caller.f_lineno}"
                raise pytest.Collector.CollectError(
                    f"{where}: @{name}: {problem}. Write, for instance,  @{EXAMPLES[name]}"
                )
            return marker(name, *given.args, **{key: one for key, one in given.kwargs.items() if one is not None})

        described.__annotations__["return"] = "pytest.MarkDecorator"  # for help() and inspect, which look through wraps
        _DECORATORS[name] = decorator
        return decorator

    return wrap


def described(name: str) -> str:
    """Return a marker's line for ``pytest --markers``: its arguments by name, and the first line of its docstring."""
    decorator = _DECORATORS[name]
    arguments = [
        one.replace(annotation=Parameter.empty, default=Parameter.empty)
        for one in signature(decorator).parameters.values()
    ]
    meaning, _, _ = (decorator.__doc__ or "").partition("\n")  # python -OO removes docstrings
    return f"{name}{Signature(arguments)}: {meaning}"


class _Marker(pytest.MarkDecorator):
    """A marker that requires the plugin wherever it is used, and brings the fixture of its result.

    A run without the plugin has no such fixture, so no test passes there, even where the project registers our markers
    itself.
    """

    @property
    def mark(self) -> pytest.Mark:
        """The mark that pytest keeps with a test; read when a module, class, function or parameter is marked."""
        _require_plugin(self._mark.name)
        return self._mark

    @mark.setter
    def mark(self, mark: pytest.Mark) -> None:
        self._mark = mark

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # as every marker
        """Mark a function or a class."""
        marked = super().__call__(*args, **kwargs)
        if isinstance(marked, pytest.MarkDecorator) or self.name not in MARKERS:
            return marked
        return pytest.mark.usefixtures(MARKERS[self.name].fixture)(marked)


def marker(name: str, /, *args: object, **kwargs: object) -> _Marker:
    """Make a marker with its arguments.

    Raises:
        pytest.Collector.CollectError: If this run does not have the plugin, which judges the marker.
    """
    _require_plugin(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pytest.PytestUnknownMarkWarning)
        return _Marker(getattr(pytest.mark, name).with_args(*args, **kwargs).mark, _ispytest=True)


def _require_plugin(name: str) -> None:
    """Refuse a marker that nobody would judge; before a run has begun, as in a conftest.py, that is not known yet."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", pytest.PytestUnknownMarkWarning)
        try:
            getattr(pytest.mark, name)
        except pytest.PytestUnknownMarkWarning:
            problem = (
                f"@{name} is a marker of pytest-embedqa, but this run has not loaded the plugin, so that nobody would judge the test. "
                "Run pytest with  -p embedqa  (where PYTEST_DISABLE_PLUGIN_AUTOLOAD is set), or without  -p no:embedqa."
            )
        else:
            return
    raise pytest.Collector.CollectError(problem)

"""Faults of the plugin itself: each becomes one error of the test or run it belongs to, with the place to report it.

pytest takes an exception of a hook for a breakdown of its own (INTERNALERROR), and loses the summary and the reports.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import wraps
from typing import Any, TypeVar, cast

import pytest

Plugin = TypeVar("Plugin")
Method = TypeVar("Method", bound=Callable[..., Any])

FAULTS: pytest.StashKey[list[str]] = pytest.StashKey()
_OUTPUT = "embedqa_faults"
# Hooks whose exceptions are an error of the test, of the collected file, or end the run before any test.
_OF_A_TEST = {"pytest_runtest_setup", "pytest_runtest_call"}
_OF_A_FILE = {"pytest_collect_file", "pytest_pycollect_makeitem", "pytest_generate_tests"}
_BEFORE_TESTS = {
    "pytest_configure",
    "pytest_report_header",
    "pytest_collection",
    "pytest_itemcollected",
    "pytest_collection_modifyitems",
    "pytest_collection_finish",
}


class Faults:
    """A plugin that reports at the end of a run which of the plugin's hooks failed, and makes the run fail."""

    def __init__(self, config: pytest.Config) -> None:
        """Start without any fault."""
        self._config = config
        self._texts = config.stash[FAULTS] = []

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Report last, after the summary; a worker of xdist tells its controller."""
        if hasattr(self._config, "workeroutput"):
            self._config.workeroutput[_OUTPUT] = self._texts  # before xdist's inner hook sends it
            return (yield)
        done = yield
        if not self._texts:
            return done
        if session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        from pytest_embedqa.core.showing import shown

        reporter = self._config.pluginmanager.getplugin("terminalreporter")
        for text in dict.fromkeys(self._texts):
            for line in f"embedqa: {text}".splitlines():
                reporter.write_line(shown(line)) if reporter else sys.stderr.write(shown(f"{line}\n"))
        return done

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:  # xdist's own type
        """Take the faults of a worker."""
        self._texts += getattr(node, "workeroutput", {}).get(_OUTPUT, [])


def contained(plugin: Plugin) -> Plugin:
    """Contain the faults of all hooks of a plugin, a class or a module, in place."""
    for name, hook in list(vars(plugin).items()):
        if name.startswith("pytest_") and inspect.isfunction(hook):
            setattr(plugin, name, _contained(hook))
    return plugin


def _contained(hook: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.isgeneratorfunction(hook):
        return _contained_wrapper(hook)

    @wraps(hook)
    def plain(*args: Any, **kwargs: Any) -> Any:  # as the hook
        __tracebackhide__ = True
        try:
            return hook(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  whatever may be wrong
            return _end(hook, error, args, kwargs)

    return plain


def _contained_wrapper(hook: Callable[..., Any]) -> Callable[..., Any]:
    """Contain the faults of a wrapper hook; an exception of the hooks that it wraps passes through."""

    @wraps(hook)
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:  # as the hook
        __tracebackhide__ = True
        inner = hook(*args, **kwargs)
        done, theirs = None, None
        try:
            next(inner)
        except Exception as error:  # noqa: BLE001  whatever may be wrong
            _end(hook, error, args, kwargs)
            return (yield)
        try:
            done = yield
        except BaseException as error:  # noqa: BLE001  as it may be an outcome or an interrupt
            theirs = error
        try:
            inner.throw(theirs) if theirs else inner.send(done)
        except StopIteration as end:
            return end.value
        except Exception as error:
            # Python turns a StopIteration that leaves a generator into a RuntimeError.
            if error is theirs or (isinstance(theirs, StopIteration) and error.__cause__ is theirs):
                raise
            if isinstance(done, pytest.TestReport):
                done.outcome, done.longrepr = "failed", _in_words(error, hook.__name__)
            else:
                _end(hook, error, args, kwargs)
        if theirs:
            raise theirs
        return done

    return wrapper


def _end(hook: Callable[..., Any], error: Exception, args: Iterable[Any], kwargs: dict[str, Any]) -> None:
    """Turn a hook's exception into an error of the test, file or run that the hook belongs to."""
    __tracebackhide__ = True
    from pytest_embedqa.plugin.fault_origin import MEANT, is_of_the_user

    name = hook.__name__
    if isinstance(error, MEANT) or (name in _OF_A_TEST and is_of_the_user(error)):
        raise error
    text = _in_words(error, name)
    if name in _OF_A_FILE:
        raise pytest.Collector.CollectError(text) from None
    if name in _OF_A_TEST:
        pytest.fail(text, pytrace=False)
    config = next(filter(None, map(_config_of, (*kwargs.values(), *args))), None)
    # A worker of xdist that gives up reports nothing to anybody.
    if config is None or FAULTS not in config.stash or (name in _BEFORE_TESTS and not hasattr(config, "workerinput")):
        raise pytest.UsageError(text) from None
    config.stash[FAULTS].append(text)


def _in_words(error: BaseException, where: str) -> str:
    from pytest_embedqa.core.fault_text import in_words  # a run without a fault pays nothing for it

    return in_words(error, where)


def ending_the_run(method: Method) -> Method:
    """Let a fault of a method that others call outside of hooks end the run as an error in words."""

    @wraps(method)
    def told(*args: Any) -> Any:
        try:
            return method(*args)
        except pytest.UsageError:  # told already
            raise
        except Exception as error:  # noqa: BLE001  whatever may be wrong
            raise pytest.UsageError(_in_words(error, method.__name__)) from None

    return cast("Method", told)


@contextlib.contextmanager
def containing(config: pytest.Config, what: str) -> Iterator[None]:
    """Contain the faults of one part of a hook, so that its other parts still run."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  whatever may be wrong
        config.stash[FAULTS].append(_in_words(error, what))


def _config_of(value: object) -> pytest.Config | None:
    found = value if isinstance(value, pytest.Config) else getattr(value, "config", getattr(value, "_config", None))
    if isinstance(value, list) and value:
        return _config_of(value[0])
    return found if isinstance(found, pytest.Config) else None

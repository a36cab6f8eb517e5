"""Faults of the plugin itself: each becomes one error of the test or run it belongs to, with the place to report it.

pytest takes an exception of a hook for a breakdown of its own (INTERNALERROR), and loses the summary and the reports.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
import sysconfig
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

import pluggy
import pytest

from pytest_embedqa.core.fault_text import in_words
from pytest_embedqa.core.showing import shown

Plugin = TypeVar("Plugin")

FAULTS: pytest.StashKey[list[str]] = pytest.StashKey()
_OUTPUT = "embedqa_faults"
_OURS = Path(__file__).parents[1]
_LIBRARIES = tuple({Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")})
_PYTEST = tuple(Path(inspect.getfile(one)).parent for one in (pytest.Item, pluggy.PluginManager))
# Exceptions that deliberately end a run or the collection of a file.
_MEANT = (pytest.UsageError, pytest.Collector.CollectError)
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
# Set on an exception that a user's own pipeline raised, even if no frame of it lies in the user's code.
THEIRS = "embedqa_theirs"


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
                done.outcome, done.longrepr = "failed", in_words(error, hook.__name__)
            else:
                _end(hook, error, args, kwargs)
        if theirs:
            raise theirs
        return done

    return wrapper


def _end(hook: Callable[..., Any], error: Exception, args: Iterable[Any], kwargs: dict[str, Any]) -> None:
    """Turn a hook's exception into an error of the test, file or run that the hook belongs to."""
    __tracebackhide__ = True
    name = hook.__name__
    if isinstance(error, _MEANT) or (name in _OF_A_TEST and is_of_the_user(error)):
        raise error
    text = in_words(error, name)
    if name in _OF_A_FILE:
        raise pytest.Collector.CollectError(text) from None
    if name in _OF_A_TEST:
        pytest.fail(text, pytrace=False)
    config = next(filter(None, map(_config_of, (*kwargs.values(), *args))), None)
    # A worker of xdist that gives up reports nothing to anybody.
    if config is None or FAULTS not in config.stash or (name in _BEFORE_TESTS and not hasattr(config, "workerinput")):
        raise pytest.UsageError(text) from None
    config.stash[FAULTS].append(text)


@contextlib.contextmanager
def containing(config: pytest.Config, what: str) -> Iterator[None]:
    """Contain the faults of one part of a hook, so that its other parts still run."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  whatever may be wrong
        config.stash[FAULTS].append(in_words(error, what))


def _config_of(value: object) -> pytest.Config | None:
    found = value if isinstance(value, pytest.Config) else getattr(value, "config", getattr(value, "_config", None))
    if isinstance(value, list) and value:
        return _config_of(value[0])
    return found if isinstance(found, pytest.Config) else None


def is_ours(error: BaseException | None) -> TypeGuard[Exception]:
    """Return whether an exception that ended a test comes from this plugin: nobody else's code lies between."""
    return isinstance(error, Exception) and not isinstance(error, _MEANT) and not is_of_the_user(error)


def is_of_the_user(error: BaseException) -> bool:
    """Return whether an exception comes from the user's code, not from ours or from a library that we called."""
    if hasattr(error, THEIRS):
        return True
    files = [Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)]
    called = [place for place, file in enumerate(files, start=1) if _below(file, *_PYTEST)]
    files = files[called[-1] if called else 0 :]  # the frames before pytest's last call are wrapper hooks
    # <string> and <frozen …> belong to nobody.
    return not (files and _below(files[0], _OURS)) or not all(
        _below(file, _OURS, *_LIBRARIES) or not file.is_absolute() for file in files
    )


def _below(file: Path, *folders: Path) -> bool:
    return any(map(file.is_relative_to, folders))

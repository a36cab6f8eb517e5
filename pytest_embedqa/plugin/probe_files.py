"""``*.probe.yaml`` files as test modules: each probe is a test function, so fixtures, marks and models apply."""

from __future__ import annotations

import os
import re
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_embedqa.core.errors import DataError, EmbedQAError
from pytest_embedqa.core.showing import is_obeyed, one_line, shown
from pytest_embedqa.markers import RAG
from pytest_embedqa.plugin.state import settings_of
from pytest_embedqa.rag.probe import GROUP_MEASURES, INDEX, PASS_RATE
from pytest_embedqa.rag.reading import read_file
from pytest_embedqa.rag.session_probes import ProbeTest
from pytest_embedqa.rag.validation import place

_BODY = (lambda: None).__code__
# The attribute under which pytest finds the function of a probe, whatever the probe's name.
_PLACE = "test"
_ROUND = str.maketrans("[]", "()")


class ProbeModule(pytest.Module):
    """A probe file. Its functions are made, not imported."""

    @classmethod
    def from_parent(cls, parent: Any, *, path: Path | None = None, **more: Any) -> ProbeModule:  # as the base class
        """Make the module; a path that acts as a command in a terminal or log gets an id that is safe to print."""
        if path and _is_obeyed(name := _below_root(path, parent.config)):
            more |= {"name": one_line(path.name), "nodeid": shown(one_line(name)).replace("::", ":")}
        return super().from_parent(parent, path=path, **more)

    def collect(self) -> list[pytest.Item | pytest.Collector]:
        """Return a test for each probe, for each bound on all of them, and for each variation.

        Raises:
            pytest.Collector.CollectError: With file and line of each error.
        """
        problem, tests = None, []
        try:
            if _is_obeyed(name := _below_root(self.path, self.config)):
                raise DataError(
                    f"{name!r}: a terminal or the log of a job would obey this name. Rename the file or its folder."
                )
            tests = list(self._tests())
        except EmbedQAError as error:
            problem = str(error)
        if problem:
            raise self.CollectError(shown(problem))
        self.obj = types.ModuleType(self.path.stem)
        items: dict[str, pytest.Item | pytest.Collector] = {}
        for name, line, test in tests:
            for item in self._items(_selectable(name), line, test):
                if item.nodeid in items:
                    raise self.CollectError(
                        shown(
                            f"{place(self.path, line)}: '{name}' and the probe before it have the same id, {item.nodeid}. Rename one."
                        )
                    )
                items[item.nodeid] = item
        return list(items.values())

    def _items(self, name: str, line: int, test: ProbeTest) -> Iterator[pytest.Item | pytest.Collector]:
        """Yield the items that pytest makes of a probe: a single item, or one for each model or other parameter.

        The name of a probe is data. As an attribute of a module it could be ``__class__`` or ``setup_module``: pytest
        makes the items of a function under one fixed name, and they get the probe's name afterwards.
        """
        function = _function(name, self.path, line, test)
        setattr(self.obj, _PLACE, function)
        for made in self.ihook.pytest_pycollect_makeitem(collector=self, name=_PLACE, obj=function) or ():
            parameters = getattr(made, "callspec", None)
            yield type(made).from_parent(
                self,
                name=name + made.name.removeprefix(_PLACE),
                callspec=parameters,
                callobj=function,
                fixtureinfo=made._fixtureinfo,  # noqa: SLF001  no other way; other plugins that make items do so too
                keywords={parameters.id: True} if parameters else None,
                originalname=name,
            )

    def _tests(self) -> Iterator[tuple[str, int, ProbeTest]]:
        file = read_file(self.path)
        settings, option = settings_of(self.config), self.config.option
        assert settings.allowed  # noqa: S101  of a run's own settings
        override = settings.retriever
        settings.allowed.check(
            file, own_service=override is None, own_reranker=override is None or override.by is not None
        )
        for probe in file.probes:
            yield probe.name, probe.line, ProbeTest(file, probe)
        for measure in GROUP_MEASURES:
            gated = measure == PASS_RATE and (option.embedqa_baseline or option.embedqa_save_baseline)
            if measure in file.bounds or gated:
                yield measure, file.lines.get(measure, 1), ProbeTest(file, measure)
        if file.check_index:
            yield INDEX, file.lines["check_index"], ProbeTest(file, INDEX)
        for one in file.robustness:
            yield f"robustness-{one.variation}", one.line, ProbeTest(file, one)

    def istestfunction(self, obj: object, name: str) -> bool:  # noqa: ARG002  as the base class
        """Return true: every function of a probe file is a test, whatever its name."""
        return isinstance(obj, types.FunctionType)


def _below_root(path: Path, config: pytest.Config) -> str:
    return os.path.relpath(path, config.rootpath)


def _is_obeyed(name: str) -> bool:
    """Return whether a file name acts as a command; bytes that are no text do not."""
    return is_obeyed(name.encode("utf-8", "replace").decode())


def _selectable(name: str) -> str:
    """Return a name as it can stand in a test id: signs with a meaning there (``::``, brackets, controls) are replaced.

    With them, a test could not be selected on the command line, or be found again by ``--lf``, which takes the text in
    brackets for parameters.
    """
    return shown(re.sub(":{2,}", ":", one_line(name)).translate(_ROUND))


def _function(name: str, path: Path, line: int, test: ProbeTest) -> Callable[[], None]:
    """Make an empty test function, placed at a line of the probe file; its marker says what is checked."""
    code = _BODY.replace(co_filename=str(path), co_firstlineno=line, co_name=name)
    marked: Callable[[], None] = getattr(pytest.mark, RAG)(test)(types.FunctionType(code, {}, name))
    return marked

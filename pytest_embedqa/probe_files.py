"""``*.probe.yaml`` as test modules: each probe is a function of them, so that fixtures, marks and models work as ever."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_embedqa.core.errors import EmbedQAError
from pytest_embedqa.markers import RAG
from pytest_embedqa.probing import ProbeTest
from pytest_embedqa.rag.probe import GROUP_MEASURES, INDEX, PASS_RATE
from pytest_embedqa.rag.reading import read_file

_BODY = (lambda: None).__code__


class ProbeModule(pytest.Module):
    """A probe file. Its functions are made, not imported."""

    def collect(self) -> list[pytest.Item | pytest.Collector]:
        """A test for each probe, for each bound on all of them, and for each variation.

        Raises:
            pytest.Collector.CollectError: With file and line of all that is wrong.
        """
        problem = None
        try:
            module = types.ModuleType(self.path.stem)
            for name, line, test in self._tests():
                setattr(module, name, _function(name, self.path, line, test))
        except EmbedQAError as error:
            problem = str(error)
        if problem:
            raise self.CollectError(problem)
        self.obj = module
        return list(super().collect())

    def _tests(self) -> Iterator[tuple[str, int, ProbeTest]]:
        file = read_file(self.path)
        option = self.config.option
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
        """Every function here is a test, whatever it is called."""
        return isinstance(obj, types.FunctionType)


def _function(name: str, path: Path, line: int, test: ProbeTest) -> Callable[[], None]:
    """An empty test that says it stands on a line of the probe file; what is checked, its marker says."""
    code = _BODY.replace(co_filename=str(path), co_firstlineno=line, co_name=name)
    marked: Callable[[], None] = getattr(pytest.mark, RAG)(test)(types.FunctionType(code, {}, name))
    return marked

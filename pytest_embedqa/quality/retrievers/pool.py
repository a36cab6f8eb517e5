"""The retrievers of a session."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from pytest_embedqa.encoders.retrievers.callables import name_of
from pytest_embedqa.encoders.retrievers.passage import Retriever
from pytest_embedqa.encoders.spec import Spec
from pytest_embedqa.quality.retrievers.choice import RetrieverChoice
from pytest_embedqa.quality.retrievers.pipeline import Pipeline, Progress
from pytest_embedqa.quality.retrievers.run_file import RunFile


class Retrievers:
    """The retrievers of a session. The last pipeline is kept, so that tests that share it share its results.

    Attributes:
        compared: Specs of the retrievers that a baseline is of; in a run that tests a model too, none.
    """

    def __init__(self, progress: Progress | None = None) -> None:
        """Open nothing yet."""
        self._progress: Progress = progress or (lambda label, total: nullcontext(_ignore))  # noqa: ARG005
        self._last: tuple[object, Pipeline] | None = None
        self.compared: set[Spec] = set()

    def of_run(self, choice: RetrieverChoice) -> RunFile:
        """Return the system of a run file."""
        assert choice.run  # noqa: S101  whoever asks has looked
        return RunFile(choice.run, choice.name)

    def of_pipeline(self, value: Any, top_k: int, fixture: str = "retriever") -> Pipeline:  # any callable
        """Return the system of a callable; the same system as before for the same object.

        Args:
            value: The callable.
            top_k: Number of passages to ask for.
            fixture: Name of its fixture, for a callable that has no name.
        """
        if self._last and self._last[0] is value and self._last[1].top_k == top_k:
            return self._last[1]
        return self._kept(value, Pipeline(value, _own_name(value) or fixture, top_k, self._progress, "fixture"))

    def of_service(self, choice: RetrieverChoice, top_k: int, open_service: Callable[[], Any]) -> Pipeline:
        """Return the system of a service; the same system as before for the same settings."""
        if self._last and self._last[0] == choice and self._last[1].top_k == top_k:
            return self._last[1]
        return self._kept(choice, Pipeline(open_service(), choice.name, top_k, self._progress, "http"))

    def _kept(self, value: object, system: Pipeline) -> Pipeline:
        self.close()
        self._last = value, system
        return system

    def close(self) -> None:
        """Let go of the last pipeline: the next test asks anew."""
        last, self._last = self._last, None
        if last:
            last[1].close()


def _own_name(value: Retriever) -> str:
    name = name_of(value)
    return "" if name == "<lambda>" else name


def _ignore(_done: int) -> None:
    """Ignore progress."""

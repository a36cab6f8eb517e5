"""``python:module:attribute``: any callable ``list[str] -> array``, also an asynchronous one, for a user's own encoder."""

from __future__ import annotations

import importlib
import os
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any, ClassVar

import numpy.typing as npt

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.arrays import as_array
from pytest_embedqa.encoders.awaiting import Loop
from pytest_embedqa.encoders.engine import Limits, estimated_lengths
from pytest_embedqa.encoders.prompts import Prompts
from pytest_embedqa.encoders.spec import Parser, Spec, positive

_PROBE = "A text to learn the dimension from."


class PythonEngine:
    """Engine that calls a user's function with each batch.

    The behaviour of a function can't be seen from outside, so its vectors are reused in later runs only if the
    spec vouches for them with ``version=``.
    """

    counts_tokens = False
    options: ClassVar[Mapping[str, Parser]] = {"version": str, "max_length": positive}
    revisions: ClassVar[bool] = False

    def __init__(self, function: Callable[[list[str]], Any], identity: Identity) -> None:
        """Wrap a callable."""
        self._function = function
        self._loop = Loop()
        self.identity = identity
        self.limits = Limits()
        self.prompts: Prompts | None = None

    @classmethod
    def load(cls, spec: Spec, options: Mapping[str, Any]) -> PythonEngine:
        """Import the callable; in ``module:attribute``, the attribute may be dotted."""
        module, _, attribute = spec.model.partition(":")
        if not module or not attribute:
            raise EngineError(
                f"The spec '{spec}' must be python:module:attribute, e.g. python:mypackage.encoders:encode."
            )
        # Like `python -m`, so that a spec can name a module beside the tests that is not installed.
        sys.path.insert(0, os.getcwd())  # noqa: PTH109
        try:
            target = reduce(getattr, attribute.split("."), importlib.import_module(module))
        except SystemExit as error:  # pytest would not keep it as a failure, and a command would end with its code
            raise EngineError(
                f"'{spec.model}' of the spec '{spec}' can't be imported: its module ends the program (SystemExit: {error}). "
                'Put what runs it as a script below  if __name__ == "__main__":'
            ) from error
        except Exception as error:
            raise EngineError(
                f"'{spec.model}' of the spec '{spec}' can't be imported: {error}. It is looked for in the current folder and among installed packages."
            ) from error
        finally:
            sys.path.remove(os.getcwd())  # noqa: PTH109
        function = target if callable(target) else getattr(target, "encode", None)
        if function is None:
            raise EngineError(
                f"'{spec.model}' is a {type(target).__name__}, neither a callable nor an object with encode(). Name a function that takes a list of texts."
            )
        version = options.get("version")
        return cls.around(
            function,
            spec.model,
            engine=spec.engine,
            max_length=options.get("max_length"),
            options={"version": version} if version else run_of_its_own(),
        )

    @classmethod
    def around(cls, function: Callable[[list[str]], Any], name: str, **facts: Any) -> PythonEngine:
        """Make an engine around a callable.

        Args:
            function: Takes a list of texts.
            name: Name of the callable, for errors and reports.
            facts: Further facts of its identity.

        Raises:
            EngineError: If it fails for a first text, or returns no vectors.
        """
        identity = Identity(**{"model": name, "engine": "python", "options": run_of_its_own(), **facts})
        engine = cls(function, identity)
        probe = engine.embed([_PROBE])
        if probe.ndim != 2 or len(probe) != 1 or not probe.size:  # noqa: PLR2004
            raise EngineError(_unexpected(name, f"{probe.dtype} of shape {probe.shape}", 1))
        engine.identity = replace(identity, full_dim=int(probe.shape[1]), dtype=str(probe.dtype))
        return engine

    def embed(self, texts: Sequence[str]) -> npt.NDArray[Any]:
        """Return the vectors of a batch, shape (n, full_dim)."""
        try:
            returned = self._function(list(texts))
            returned = self._loop.finished(returned)
        except (Exception, SystemExit) as error:
            raise EngineError(
                f"{self.identity.model} raised {type(error).__name__} on a batch of {len(texts)} texts: {error}"
            ) from error
        try:
            return as_array(returned)
        except TypeError as error:
            raise EngineError(_unexpected(self.identity.model, str(error), len(texts))) from error

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Estimate lengths in tokens, the unit of the batch limits."""
        return estimated_lengths(texts)

    def close(self) -> None:
        """End the thread that awaited awaitables, if there was any."""
        self._loop.close()


def run_of_its_own() -> dict[str, str]:
    """Return a fact of an identity that no other run shares, so that no other run reuses its vectors."""
    return {"run": uuid.uuid4().hex}


def _unexpected(name: str, returned: str, count: int) -> str:
    return (
        f"{name} returned {returned} for a list of {count}; real numbers of shape ({count}, dimensions) were expected."
    )

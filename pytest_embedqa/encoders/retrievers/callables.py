"""Callables that are retrievers: their names, and the refusal of what is none."""

from __future__ import annotations

import inspect

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.retrievers.passage import Retriever


def name_of(retriever: Retriever) -> str:
    """Return a retriever's name on one line: its ``name``, if that is a text, else its function or class."""
    given = (getattr(retriever, attribute, "") for attribute in ("name", "__name__"))
    texts = (" ".join(one.split()) for one in given if isinstance(one, str))
    return next(filter(None, texts), type(retriever).__name__)


def require_callable(given: object, fixture: str = "retriever") -> None:
    """Refuse a fixture's value that can't be called, so that a later ``TypeError`` is the pipeline's own.

    Raises:
        EngineError: If it can't be called with a question and a number.
    """
    kind, problem = type(given).__name__, "can't be called"
    if callable(given):
        try:
            inspect.signature(given).bind("question", 1)
        except TypeError as error:
            problem = f"takes no (query, k): {error}"
        except ValueError:  # a C function may have no signature
            return
        else:
            return
    raise EngineError(
        f"The fixture '{fixture}' returned a {kind}, which {problem}. It returns a callable, as in: lambda query, k: my_search(query)[:k]"
    )

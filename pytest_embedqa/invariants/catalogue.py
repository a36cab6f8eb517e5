"""The catalogue of all invariants by name, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

from pytest_embedqa.invariants.invariant import ENCODERS, Finding, Invariant, Tolerance

_MODULES = ("vectors", "stability", "reading", "prompting", "meaning", "weights", "tokens", "scores", "relevance")
_CATALOGUE: dict[str, Invariant] = {}

Check = TypeVar("Check", bound=Callable[[Any, float], Finding])


def invariant(
    measure: str,
    *,
    at_most: float | Tolerance | None = None,
    at_least: float | None = None,
    source: str,
    kinds: tuple[str, ...] = ENCODERS,
) -> Callable[[Check], Check]:
    """Add a function to the catalogue under its name; the first line of its docstring is the promise."""
    bound = at_most if at_most is not None else at_least
    assert bound is not None  # noqa: S101  a slip of ours

    def add(check: Check) -> Check:
        promise = (check.__doc__ or "").partition("\n")[0]
        _CATALOGUE[check.__name__] = Invariant(
            name=check.__name__,
            promise=promise,
            source=source,
            measure=measure,
            bound=bound,
            check=check,
            at_least=at_most is None,
            kinds=kinds,
        )
        return check

    return add


def catalogue() -> dict[str, Invariant]:
    """Return all invariants by name."""
    for module in _MODULES:
        import_module(f"pytest_embedqa.invariants.{module}")
    return dict(_CATALOGUE)

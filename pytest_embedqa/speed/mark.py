"""The parsing of the arguments of ``@throughput``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_embedqa.core.arguments import is_count, is_number, require_known
from pytest_embedqa.core.errors import SpecError
from pytest_embedqa.core.requirement import Kind, Requirement
from pytest_embedqa.encoders.load import read_all_options
from pytest_embedqa.encoders.spec import Spec, parse_spec

if TYPE_CHECKING:
    import pytest

MAX_LENGTH = "max"
BULK = ("texts_per_s", "pairs_per_s", "tokens_per_s")
LATENCY = ("p50_ms", "p95_ms", "p99_ms")
MEMORY = ("memory_mb", "gpu_memory_mb")
RATIO = "ratio"
_BOUNDS = {
    **{f"min_{name}": (Kind.MIN, name) for name in (*BULK, RATIO)},
    **{f"max_{name}": (Kind.MAX, name) for name in (*LATENCY, *MEMORY)},
}
_OTHERS = ("batch_size", "length", "against", "max_seconds")


@dataclass(frozen=True)
class SpeedMark:
    """The parsed arguments of ``@throughput``.

    Attributes:
        requirements: Bounds on the figures.
        batch_size: Texts in a batch; of a reranker, pairs.
        lengths: Tokens in each text or pair; ``max`` is the model's maximum. Each length makes a test.
        against: Spec of the model to compare with in the same run.
        max_seconds: Limit on that comparison in seconds.
    """

    requirements: tuple[Requirement, ...] = ()
    batch_size: int = 32
    lengths: tuple[int | str, ...] = (128,)
    against: Spec | None = None
    max_seconds: float = 60.0

    def compared(self, against: Spec, min_ratio: float) -> SpeedMark:
        """Return a copy that also requires ``min_ratio`` times the speed of another encoder, measured in turns."""
        return replace(
            self, requirements=(*self.requirements, Requirement(Kind.MIN, RATIO, min_ratio)), against=against
        )

    @property
    def measures(self) -> set[str]:
        """The names of the bounded measures."""
        return {requirement.measure for requirement in self.requirements}

    @property
    def only_latency(self) -> bool:
        """Whether only the latency of single queries is bounded."""
        return bool(self.measures) and self.measures <= set(LATENCY)


def read_mark(mark: pytest.Mark) -> SpeedMark:
    """Parse a marker.

    Raises:
        SpecError: If an argument is unknown or can't hold.
    """
    arguments = dict(mark.kwargs)
    require_known("throughput", arguments, (*_BOUNDS, *_OTHERS), mark.args)
    for name in (*_BOUNDS, "max_seconds"):
        value = arguments.get(name, 1)
        if not is_number(value) or value <= 0:
            raise SpecError(f"@throughput: {name}={value!r:.60} must be a number above 0.")
    against = arguments.get("against")
    if (against is None) is not ("min_ratio" not in arguments):
        raise SpecError(
            '@throughput: min_ratio= and against= need each other, e.g. min_ratio=0.9, against="st:ORG/OLD".'
        )
    if against is not None and not isinstance(against, str):
        raise SpecError(f'@throughput: against={against!r} must be a spec, e.g. against="st:ORG/OLD".')
    reference = parse_spec(against) if against else None
    if reference:
        read_all_options(reference)
    batch_size = arguments.get("batch_size", 32)
    if not is_count(batch_size):
        raise SpecError(f"@throughput: batch_size={batch_size!r} must be a whole number from 1 up.")
    return SpeedMark(
        tuple(Requirement(*_BOUNDS[name], float(arguments[name])) for name in _BOUNDS if name in arguments),
        batch_size,
        _lengths(arguments.get("length", SpeedMark.lengths)),
        reference,
        arguments.get("max_seconds", SpeedMark.max_seconds),
    )


def _lengths(value: Any) -> tuple[int | str, ...]:
    given = value if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
    if not given or not all(one == MAX_LENGTH or is_count(one) for one in given):
        raise SpecError(
            f'@throughput: length={value!r} must be a number of tokens, "{MAX_LENGTH}", or a list of those.'
        )
    return tuple(given)

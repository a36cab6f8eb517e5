"""Smaller vectors: the bytes they save, and the quality they cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_embedqa.core.arguments import is_count, is_number, require_known
from pytest_embedqa.core.errors import SpecError
from pytest_embedqa.core.requirement import MAIN_SCORE, Kind, Requirement
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.quantization import PRECISIONS, Quantization
from pytest_embedqa.encoders.spec import nearest
from pytest_embedqa.encoders.system import System
from pytest_embedqa.quality.task import Point, TaskScores

if TYPE_CHECKING:
    import pytest

_FLOAT_BITS = 32
# How the other kinds are made smaller: by keys of their specs, which are models of their own in a run.
_SMALLER = {
    "multi-vector": " sentence-transformers cuts no token vectors; it pools them: compare with a second --embedqa-model of "
    "the key pool_factor=2.",
    "sparse": " A sparse vector keeps its largest weights: compare with a second --embedqa-model of the key max_active_dims=64.",
}


@dataclass(frozen=True)
class Compression:
    """A way to make vectors smaller, with the loss that it may cause.

    Attributes:
        dim: Leading dimensions to keep (Matryoshka); all by default.
        precision: Number format to quantise to; float32 by default.
        rescore: Number of documents, divided by 10, to order again with float queries.
        max_loss: Allowed loss of the main score: a number, or numbers by model name. ``None`` only measures.
    """

    dim: int | None = None
    precision: str | None = None
    rescore: int | None = None
    max_loss: float | Mapping[str, float] | None = None

    @property
    def label(self) -> str:
        """Name of the way in tables."""
        return Quantization(self.precision, rescore=self.rescore).label if self.precision else f"@{self.dim}"

    def requirements(self, model: str | None = None) -> tuple[Requirement, ...]:
        """Return the requirements on a model; without a model, on any model, for the check at collection."""
        bounds = self.max_loss if isinstance(self.max_loss, Mapping) else {model: self.max_loss}
        return tuple(
            Requirement(Kind.MAX_LOSS, MAIN_SCORE, bound)
            for name, bound in bounds.items()
            if bound is not None and model in {None, name}
        )

    def applied(self, encoder: Encoder, whole: TaskScores) -> Encoder:
        """Return the encoder with such vectors, calibrated on the texts that it encoded for the task.

        Raises:
            SpecError: If the model has fewer dimensions.
        """
        if self.precision is None:
            return encoder.at(self.dim or 0)
        return encoder.quantized(Quantization(self.precision, whole.ranges, self.rescore))

    def bytes(self, full_dim: int) -> int:
        """Return the bytes of a vector in an index."""
        return math.ceil((self.dim or full_dim) * PRECISIONS.get(self.precision or "", _FLOAT_BITS) / 8)


def require_dense(system: System, compressions: Sequence[Compression], dims: Sequence[int | None]) -> None:
    """Refuse smaller vectors of a system that has no dense ones, before anything is evaluated.

    Raises:
        SpecError: If there are compressions or dimensions to measure, and its vectors are not dense.
    """
    if system.kind != "dense" and (compressions or any(dims)):
        what = f"'{compressions[0].label}' (@matryoshka, @quantized)" if compressions else "dims="
        smaller = _SMALLER.get(system.kind, "")
        raise SpecError(
            f"{what} makes dense vectors smaller, and '{system.spec}' has none: its kind is {system.kind}.{smaller}"
        )


def curve(whole: TaskScores, full_dim: int, parts: Sequence[tuple[Compression, TaskScores]]) -> list[Point]:
    """Return the curve of quality over size, the largest vectors first."""
    full = full_dim * _FLOAT_BITS // 8
    points = [Point("whole", whole.score(), 0.0, full, 0.0)]
    for compression, scores in parts:
        size = compression.bytes(full_dim)
        points.append(Point(compression.label, scores.score(), whole.score() - scores.score(), size, 1 - size / full))
    return sorted(points, key=lambda point: -point.bytes)


def read_compressions(marks: Sequence[pytest.Mark]) -> tuple[Compression, ...]:
    """Parse the markers ``matryoshka`` and ``quantized`` of a test.

    Raises:
        SpecError: If an argument is unknown or missing, or its requirement can't hold.
    """
    found = [one for mark in marks for one in (_cuts(mark) if mark.name == "matryoshka" else [_quantized(mark)])]
    labels = [one.label for one in found]
    twice = [label for label in labels if labels.count(label) > 1]
    if twice:
        raise SpecError(f"'{twice[0]}' is given twice on one test. Remove one of them.")
    for one in found:
        one.requirements()  # building them checks their bounds
    # Tables keep this order, whatever the order of the decorators.
    return tuple(sorted(found, key=lambda one: (one.precision or "", -(one.dim or 0), one.rescore or 0)))


def _cuts(mark: pytest.Mark) -> list[Compression]:
    arguments = mark.kwargs
    require_known(mark.name, arguments, ("dims", "max_loss"), mark.args)
    dims = arguments.get("dims")
    if isinstance(dims, str) or not isinstance(dims, Sequence) or not dims or not all(map(is_count, dims)):
        raise SpecError(f"@matryoshka: dims={dims!r} must be a list of dimensions, e.g. dims=[256, 512].")
    return [Compression(dim=dim, max_loss=_loss(mark, arguments)) for dim in dims]


def _quantized(mark: pytest.Mark) -> Compression:
    arguments = mark.kwargs
    require_known(mark.name, arguments, ("max_loss", "rescore"))
    precision = mark.args[0] if len(mark.args) == 1 else None
    if precision not in PRECISIONS:
        guess = nearest(precision, list(PRECISIONS)) if isinstance(precision, str) else ""
        raise SpecError(
            f"@quantized takes one precision, {' or '.join(PRECISIONS)}, but got {', '.join(map(repr, mark.args)) or 'none'}.{guess}"
        )
    rescore = arguments.get("rescore")
    if rescore is not None and not is_count(rescore):
        raise SpecError(f"@quantized: rescore={rescore!r} must be a whole number from 1 up.")
    return Compression(precision=precision, rescore=rescore, max_loss=_loss(mark, arguments))


def _loss(mark: pytest.Mark, arguments: Mapping[str, Any]) -> Any:
    loss = arguments.get("max_loss")
    for bound in loss.values() if isinstance(loss, Mapping) else [loss]:
        if bound is not None and not is_number(bound):
            raise SpecError(f"@{mark.name}: max_loss={loss!r} must be a number, or numbers by model name.")
    return loss

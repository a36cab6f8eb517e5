"""The parsing of the arguments of ``@parity``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_embedqa.core.arguments import is_count, is_number, require_known
from pytest_embedqa.core.errors import SpecError
from pytest_embedqa.core.requirement import Kind, Requirement
from pytest_embedqa.encoders.load import read_all_options
from pytest_embedqa.encoders.spec import Spec, nearest, parse_spec
from pytest_embedqa.engine_parity.comparison import BATCH_SIZES, MAX_TOKENS, MEASURES
from pytest_embedqa.engine_parity.texts import strata

if TYPE_CHECKING:
    import pytest

_ARGUMENTS = ("reference", *(f"min_{measure}" for measure in MEASURES), "batch_sizes", "strata", "max_tokens")


@dataclass(frozen=True)
class ParityMark:
    """The parsed arguments of ``@parity``.

    Attributes:
        reference: Spec of the encoder that the encoder under test should agree with.
        requirements: Bounds on the agreement.
        batch_sizes: Batch sizes to try.
        strata: Kinds of text to compare; all by default.
        max_tokens: Length of the longest texts to make.
    """

    reference: Spec
    requirements: tuple[Requirement, ...]
    batch_sizes: tuple[int, ...] = BATCH_SIZES
    strata: tuple[str, ...] | None = None
    max_tokens: int = MAX_TOKENS

    @property
    def ranks(self) -> bool:
        """Whether rankings are compared, not vectors."""
        return any(requirement.measure == "kendall" for requirement in self.requirements)


def read_mark(mark: pytest.Mark) -> ParityMark:
    """Parse a marker.

    Raises:
        SpecError: If an argument is unknown, missing or can't hold.
    """
    arguments = dict(mark.kwargs)
    require_known("parity", arguments, _ARGUMENTS, mark.args)
    if not isinstance(arguments.get("reference"), str):
        raise SpecError('@parity needs reference=SPEC, the encoder to agree with, e.g. reference="st:ORG/MODEL".')
    reference = parse_spec(arguments["reference"])
    read_all_options(reference)
    requirements = tuple(_bounds(arguments))
    if not requirements:
        raise SpecError(
            "@parity needs at least one bound: min_cosine=, min_mean_cosine= or min_overlap= on vectors, or min_kendall= on rankings."
        )
    names = {requirement.measure for requirement in requirements}
    if "kendall" in names and (mixed := sorted(names & {"cosine", "mean_cosine"})):
        raise SpecError(
            f"@parity: min_kendall= compares rankings, and min_{mixed[0]}= compares vectors. Ask for them in two tests."
        )
    if "kendall" in names and (given := [name for name in ("strata", "max_tokens") if name in arguments]):
        raise SpecError(
            f"@parity: {given[0]}= chooses texts whose vectors are compared; min_kendall= compares rankings. Leave it out."
        )
    (max_tokens,) = _numbers("max_tokens", [arguments.get("max_tokens", MAX_TOKENS)])
    return ParityMark(
        reference,
        requirements,
        _numbers("batch_sizes", arguments.get("batch_sizes", BATCH_SIZES)),
        _strata(arguments.get("strata")),
        max_tokens,
    )


def _bounds(arguments: dict[str, Any]) -> list[Requirement]:
    given = [(measure, arguments[f"min_{measure}"]) for measure in MEASURES if f"min_{measure}" in arguments]
    for measure, bound in given:
        if not is_number(bound):
            raise SpecError(f"@parity: min_{measure}={bound!r:.60} must be a number.")
    return [Requirement(Kind.MIN, measure, float(bound)) for measure, bound in given]


def _numbers(name: str, value: Any) -> tuple[int, ...]:
    if not isinstance(value, Sequence) or not value or not all(map(is_count, value)):
        raise SpecError(f"@parity: {name}={value!r} must hold whole numbers from 1 up.")
    return tuple(value)


def _strata(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    known = list(strata(within=8, beyond=8))
    names = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, Iterable) else (value,)
    if not all(isinstance(name, str) for name in names):
        raise SpecError(f"@parity: strata={value!r:.60} must be a name, or a list of names: {', '.join(known)}.")
    for name in names:
        if name not in known:
            raise SpecError(f"@parity has no stratum '{name}'.{nearest(name, known)} It has: {', '.join(known)}.")
    return names

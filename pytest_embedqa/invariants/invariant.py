"""The invariant, and the verdict that comes from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_embedqa.core.arguments import is_number
from pytest_embedqa.core.errors import SpecError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.core.requirement import Kind, Requirement
from pytest_embedqa.core.verdict import Verdict, judge
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.reranker import Reranker
from pytest_embedqa.encoders.spec import nearest

ENCODERS = ("dense", "sparse", "multi-vector")
RERANKER = "reranker"


class NotApplicableError(Exception):
    """Raised if a model promises nothing that this invariant could check. The text says what is missing."""


@dataclass(frozen=True)
class Finding:
    """The result of a check.

    Attributes:
        value: The measured number; the worst over all texts.
        example: Example that shows it: a text, two texts, a list.
        notes: Reasons for what was not checked.
    """

    value: float
    example: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tolerance:
    """The cosine distance that two computations of the same vector may have.

    Attributes:
        float32: Tolerance where the encoder computes in float32.
        other: Tolerance in any coarser or unknown number format.
    """

    float32: float = 1e-5
    other: float = 5e-3

    def of(self, identity: Identity) -> float:
        """Return the tolerance for an encoder."""
        return self.float32 if identity.dtype == "float32" else self.other


@dataclass(frozen=True)
class Invariant:
    """A named check of a model.

    Attributes:
        name: Name of the invariant, as in a test's id.
        promise: The property that holds, as a sentence.
        source: The public issue that it comes from.
        measure: Name of the measured quantity.
        bound: Limit that the value must not exceed, or must reach (``at_least``).
        check: Function that measures; its model neither stores nor reuses what it computed.
        at_least: Whether the bound is a minimum.
        kinds: Kinds of model that promise it.
    """

    name: str
    promise: str
    source: str
    measure: str
    bound: float | Tolerance
    check: Callable[[Any, float], Finding]
    at_least: bool = False
    kinds: tuple[str, ...] = ENCODERS

    def judge(self, model: Encoder | Reranker, bound: float | None = None) -> tuple[Verdict, Finding]:
        """Check a model.

        Args:
            model: The model. Its store is not used: stored rows say nothing about the computation.
            bound: Bound that replaces the invariant's own.

        Raises:
            NotApplicableError: If the model promises nothing to check.
            EmbedQAError: If the model fails.
        """
        if model.kind not in self.kinds:
            raise NotApplicableError(
                f"this is for {' and '.join(self.kinds)} models, and '{model.spec}' is {model.kind}"
            )
        if bound is None:
            bound = self.bound.of(model.identity) if isinstance(self.bound, Tolerance) else self.bound
        requirement = Requirement(Kind.MIN if self.at_least else Kind.MAX, self.measure, bound)
        finding = self.check(model.computing(), bound)
        verdict = Verdict.of(
            requirement,
            finding.value,
            judge(requirement, finding.value),
            model=str(model.spec),
            task=self.name,
            notes=finding.notes,
            digits=requirement.digits,
        )
        return verdict, finding


@dataclass(frozen=True)
class Chosen:
    """An invariant with the options of a test.

    Attributes:
        invariant: The invariant.
        bound: Bound that replaces the invariant's own.
        expected: Reason why it is expected to fail: for any model, or by model name.
    """

    invariant: Invariant
    bound: float | None = None
    expected: str | Mapping[str, str] | None = None

    def expected_for(self, model: Encoder | Reranker) -> str | None:
        """Return the reason why it is expected to fail for this model, if it is."""
        return self.expected.get(model.name) if isinstance(self.expected, Mapping) else self.expected


def choose(
    catalogue: Mapping[str, Invariant],
    only: Iterable[str] | None,
    bounds: Mapping[str, float],
    expected_failures: Mapping[str, str | Mapping[str, str]],
) -> list[Chosen]:
    """Return invariants by name, with the user's options for each.

    Raises:
        SpecError: If a name is unknown or a bound can't hold.
    """
    names = list(catalogue) if only is None else list(only)
    if not names:
        raise SpecError("only= names no invariant. Leave it out for all of them.")
    for name in [*names, *bounds, *expected_failures]:
        if name not in catalogue:
            raise SpecError(
                f"There is no invariant '{name}'.{nearest(name, catalogue)} There are: {', '.join(catalogue)}."
            )
    for name in [*bounds, *expected_failures]:
        if name not in names:
            raise SpecError(f"bounds= or expected_failures= names the invariant '{name}', but only= leaves it out.")
    for name, bound in bounds.items():
        one = catalogue[name]
        if not is_number(bound):
            raise SpecError(f"The bound of the invariant '{name}' must be a number, not {bound!r}.")
        Requirement(Kind.MIN if one.at_least else Kind.MAX, one.measure, bound)
    return [Chosen(catalogue[name], bounds.get(name), expected_failures.get(name)) for name in names]

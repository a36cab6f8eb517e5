"""What an invariant is, and how it becomes a verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from pytest_embedqa.core.arguments import is_number
from pytest_embedqa.core.errors import SpecError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.core.requirement import Kind, Requirement
from pytest_embedqa.core.verdict import Verdict, judge
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.spec import nearest


class NotApplicableError(Exception):
    """The encoder promises nothing that this invariant could look at. The text says what is missing."""


@dataclass(frozen=True)
class Finding:
    """What a check saw.

    Attributes:
        value: The measured number; the worst of all texts.
        example: What shows it: a text, two texts, a list.
        notes: What was not looked at, and why.
    """

    value: float
    example: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tolerance:
    """How far two computations of the same vector may be apart, as cosine distance.

    Attributes:
        float32: Where the encoder computes in float32.
        other: In any coarser or unknown number format.
    """

    float32: float = 1e-5
    other: float = 5e-3

    def of(self, identity: Identity) -> float:
        """The tolerance for an encoder."""
        return self.float32 if identity.dtype == "float32" else self.other


@dataclass(frozen=True)
class Invariant:
    """A named check.

    Attributes:
        name: Its name, as in a test's id.
        promise: What holds, in a sentence.
        source: The public issue it comes from.
        measure: What is measured.
        bound: What it must not exceed, or reach (``at_least``).
        check: Measures; it is given an encoder that neither stores nor reuses vectors.
        at_least: Whether the bound is a lower one.
    """

    name: str
    promise: str
    source: str
    measure: str
    bound: float | Tolerance
    check: Callable[[Encoder, float], Finding]
    at_least: bool = False

    def judge(self, encoder: Encoder, bound: float | None = None) -> tuple[Verdict, Finding]:
        """Check an encoder.

        Args:
            encoder: The encoder. Its store is not used: what was stored says nothing about what is computed.
            bound: Another bound than the invariant's own.

        Raises:
            NotApplicableError: If the encoder promises nothing to look at.
            EmbedQAError: If the encoder fails on the way.
        """
        if bound is None:
            bound = self.bound.of(encoder.identity) if isinstance(self.bound, Tolerance) else self.bound
        requirement = Requirement(Kind.MIN if self.at_least else Kind.MAX, self.measure, bound)
        finding = self.check(encoder.computing(), bound)
        verdict = Verdict.of(
            requirement,
            finding.value,
            judge(requirement, finding.value),
            model=str(encoder.spec),
            task=self.name,
            notes=finding.notes,
            digits=requirement.digits,
        )
        return verdict, finding


@dataclass(frozen=True)
class Chosen:
    """An invariant as a test asks for it.

    Attributes:
        invariant: Which.
        bound: Another bound than its own.
        expected: Why it is expected to fail: for any encoder, or by model name.
    """

    invariant: Invariant
    bound: float | None = None
    expected: str | Mapping[str, str] | None = None

    def expected_for(self, encoder: Encoder) -> str | None:
        """Why it is expected to fail for this encoder, if it is."""
        return self.expected.get(encoder.name) if isinstance(self.expected, Mapping) else self.expected


def choose(
    catalogue: Mapping[str, Invariant],
    only: Iterable[str] | None,
    bounds: Mapping[str, float],
    expected_failures: Mapping[str, str | Mapping[str, str]],
) -> list[Chosen]:
    """Invariants by name, with what the user says about them.

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
            raise SpecError(f"Something is said about the invariant '{name}', but only= leaves it out.")
    for name, bound in bounds.items():
        one = catalogue[name]
        if not is_number(bound):
            raise SpecError(f"The bound of the invariant '{name}' must be a number, not {bound!r}.")
        Requirement(Kind.MIN if one.at_least else Kind.MAX, one.measure, bound)
    return [Chosen(catalogue[name], bounds.get(name), expected_failures.get(name)) for name in names]

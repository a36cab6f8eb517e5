"""The verdicts of a comparison."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_embedqa.core.requirement import Kind, Requirement
from pytest_embedqa.core.verdict import Outcome, Verdict, judge
from pytest_embedqa.engine_parity.causes import norms_apart
from pytest_embedqa.engine_parity.comparison import ParityResult


def parity_verdicts(requirements: Iterable[Requirement], result: ParityResult) -> list[Verdict]:
    """Judge bounds on the agreement, and always require that both encoders normalise or neither does."""
    comparison = result.comparison
    model, task = str(result.encoder.spec), f"parity: {result.reference().spec}"
    texts = sum(stratum.texts for stratum in comparison.strata)
    verdicts = []
    for requirement in requirements:
        value = result[requirement.measure]
        verdicts.append(
            Verdict.of(
                requirement,
                value,
                judge(requirement, value),
                model=model,
                task=task,
                units=texts,
                notes=comparison.notes,
                digits=requirement.digits,
            )
        )
    for reason in norms_apart(comparison):
        value = max((norm for pair in comparison.norms for norm in pair), key=lambda norm: abs(norm - 1))
        requirement = Requirement(Kind.MAX if value > 1 else Kind.MIN, "norm", 1.0)
        judged = (Outcome.FAIL, requirement.bound, reason)
        verdicts.append(
            Verdict.of(requirement, value, judged, model=model, task=task, requirement="same norm", units=texts)
        )
    return verdicts

"""What travels in ``user_properties``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pytest_embedqa.core.verdict import Verdict

if TYPE_CHECKING:
    from pytest_embedqa.encoders.encoder import Encoder

VERDICT = "embedqa.verdict"
ENCODER = "embedqa.encoder"


def encoder_facts(encoder: Encoder) -> dict[str, Any]:
    """Spec and identity of an encoder, JSON-serialisable."""
    return {
        "spec": str(encoder.spec),
        "digest": encoder.identity.digest,
        "prompts_from": encoder.prompts.source,
        **encoder.identity.as_dict(),
    }


def verdicts_of(properties: Iterable[tuple[str, object]]) -> list[Verdict]:
    """Verdicts among the properties of a test report."""
    return [Verdict.from_dict(value) for name, value in properties if name == VERDICT and isinstance(value, dict)]

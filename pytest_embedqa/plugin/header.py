"""The lines of the run header: what is under test, and on which device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_embedqa.core.errors import EmbedQAError
from pytest_embedqa.encoders.wording import encoder_facts, identity_line, prompts_line

if TYPE_CHECKING:
    from pytest_embedqa.session import Session
    from pytest_embedqa.settings import Settings


def settings_lines(settings: Settings) -> list[str]:
    """Describe what is under test, as far as it is known before anything is loaded."""
    models = ", ".join(str(spec) for spec in settings.models)
    against = f", against {settings.baseline}" if settings.baseline else ""
    data = f"{settings.datasets}" if settings.datasets else "Hub"
    return [
        f"embedqa: {models}{against}; data: {data}; missing data: {settings.missing_data}; store: {settings.store or 'temporary'}"
    ]


def device_lines(settings: Settings) -> list[str]:
    """Say where encoders will run under pytest-xdist, if there can be several."""
    places = [", ".join(f"{name}={value}" for name, value in one.items()) or "any" for one in settings.devices]
    return [f"embedqa: {len(places)} encoders side by side: {'; '.join(places)}"] if len(places) > 1 else []


def encoder_lines(session: Session) -> list[str]:
    """Load the first encoder and describe it; further encoders are described in the summary."""
    spec = session.settings.models[0]
    try:
        encoder = session.system(spec)
    except EmbedQAError as error:
        return [f"embedqa: {str(error).splitlines()[0]}"]
    return [
        f"embedqa: {spec}: {identity_line(encoder_facts(encoder))}",
        f"embedqa: prompts: {prompts_line(encoder.prompts.origin, encoder.identity.prompts)}",
    ]

"""Facts from mteb's registry of models."""

from __future__ import annotations

import mteb


def registered_revision(model: str) -> str | None:
    """Return the revision in mteb's own entry of a model, or ``None`` if mteb does not know the model."""
    try:
        found: str | None = mteb.get_model_meta(model).revision
    except (KeyError, ValueError):
        return None
    return found

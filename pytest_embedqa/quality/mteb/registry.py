"""What mteb's registry of models says."""

from __future__ import annotations

import mteb


def registered_revision(model: str) -> str | None:
    """The revision of a model that mteb's own entry names, or ``None`` if mteb does not know the model."""
    try:
        found: str | None = mteb.get_model_meta(model).revision
    except (KeyError, ValueError):
        return None
    return found

"""The kind of a spec's system, as far as its text and its files tell before anything is loaded."""

from __future__ import annotations

from pytest_embedqa.core.errors import EmbedQAError
from pytest_embedqa.encoders.model_folder import find_folder, read_folder
from pytest_embedqa.encoders.model_kind import CLASSES
from pytest_embedqa.encoders.spec import Spec


def known_kind(spec: Spec) -> str | None:
    """Return the kind of a spec's system, without asking a network: ``dense``, ``reranker``, ..., or a composite's name.

    Returns:
        The kind; ``None`` where only the loaded model tells it, or its folder can't be read.
    """
    if spec.is_composite:
        return spec.engine
    if spec.engine == "builtin":
        return "dense"
    return _kind_of_folder(spec) if spec.engine == "st" else None


def _kind_of_folder(spec: Spec) -> str | None:
    try:
        path = find_folder(spec.model, spec.revision)
        folder = read_folder(path) if path else None
    except (EmbedQAError, OSError):
        return None  # loading says what is wrong
    if folder is None:
        return None
    kinds = {name: kind for kind, name in CLASSES.items()}
    return kinds.get(folder.kind) if folder.says_kind else spec.options.get("kind", kinds.get(folder.kind))

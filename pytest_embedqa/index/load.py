"""The making of the index that a test, or a probe file, names."""

from __future__ import annotations

from typing import Any

from pytest_embedqa.core.errors import IndexFaultError
from pytest_embedqa.index.protocol import Index
from pytest_embedqa.index.spec import IndexSpec, parse_index


def load_index(text: str, similarity: str) -> Index:
    """Make the index of a spec such as ``faiss:HNSW32?efSearch=64``.

    Raises:
        EmbedQAError: If the spec is wrong, or its package is missing.
    """
    return open_index(parse_index(text), similarity)


def open_index(given: Any, similarity: str) -> Index:
    """Make the index that a marker names.

    Raises:
        EmbedQAError: If its package is missing, or a user's class makes no index.
    """
    if isinstance(given, IndexSpec):
        return given.client_class(given.kind, given.settings, similarity)
    made = given if isinstance(given, Index) and not isinstance(given, type) else given()
    if not isinstance(made, Index):
        raise IndexFaultError(
            f"index={getattr(given, '__name__', given)!r:.60} gave {type(made).__name__}, which lacks build(vectors, ids) or search(queries, k)."
        )
    return made

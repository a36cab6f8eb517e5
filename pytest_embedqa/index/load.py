"""The making of the index that a test, or a probe file, names."""

from __future__ import annotations

from inspect import signature
from typing import Any

from pytest_embedqa.core.errors import IndexFaultError, SpecError
from pytest_embedqa.core.vector_index import VectorIndex
from pytest_embedqa.index.spec import IndexSpec, parse_index

# Settings that name a server.
_ADDRESSES = {"url", "uri"}


def parse_index_of_file(text: str) -> IndexSpec:
    """Parse the spec of an index that a probe file names, which is data: it starts and reaches no server.

    Raises:
        SpecError: If the spec is wrong, or its index is a server's.
    """
    spec = parse_index(text)
    if spec.client_class.serves or _ADDRESSES & spec.settings.keys():
        raise SpecError(
            f"index='{spec}' is on a server, and a probe file may only name an index in this process. A test file may name it: @index_recall."
        )
    return spec


def load_index(text: str, similarity: str) -> VectorIndex:
    """Make the index that a probe file names, such as ``faiss:HNSW32?efSearch=64``.

    Raises:
        EmbedQAError: If the spec is wrong or not for files, or its package is missing.
    """
    return open_index(parse_index_of_file(text), similarity)


def open_index(given: Any, similarity: str) -> VectorIndex:
    """Make the index that a marker names.

    Raises:
        EmbedQAError: If its package is missing, or a user's class makes no index.
    """
    if isinstance(given, IndexSpec):
        return given.client_class(given.kind, given.settings, similarity)
    made = given if isinstance(given, VectorIndex) and not isinstance(given, type) else _made(given)
    if not isinstance(made, VectorIndex):
        raise IndexFaultError(
            f"index={getattr(given, '__name__', given)!r:.60} gave {type(made).__name__}, which lacks build(vectors, ids) or search(queries, k)."
        )
    return made


def _made(given: Any) -> object:
    """Call what makes an index, without arguments; an error inside of it is its own."""
    try:
        signature(given).bind()
    except TypeError as error:
        raise IndexFaultError(
            f"index={getattr(given, '__name__', given)!r:.60} can't be called without arguments: {error}. Give them: index=lambda: YourIndex(...)."
        ) from None
    except ValueError:  # no signature is known of some functions in C
        pass
    return given()

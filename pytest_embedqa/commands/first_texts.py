"""What a model makes of its first texts: kind, size and numbers, for ``embedqa doctor``."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.prompts import DOCUMENT, QUERY, TextKind
from pytest_embedqa.encoders.representations import DENSE, MULTI_VECTOR
from pytest_embedqa.encoders.reranker import Reranker

_QUERY = "Where is my parcel?"
_ANSWER = "Parcels that can't be delivered wait at the depot."
_OTHER = "Bread is baked in an oven."


def described(model: Encoder | Reranker) -> Iterator[str]:
    """Encode a query and a document, or score two pairs, and yield lines about them."""
    if isinstance(model, Reranker):
        answer, other = model.score([(_QUERY, _ANSWER), (_QUERY, _OTHER)])
        yield f"2 pairs scored: {answer:.4f} with an answer, {other:.4f} with another document"
        return
    query, document = (model.encode([text], kind) for text, kind in ((_QUERY, QUERY), (_ANSWER, DOCUMENT)))
    if model.representation is DENSE:
        yield f"2 texts encoded: {query.shape[1]} dimensions, dot product {float(query[0] @ document[0]):.4f}"
        return
    for text, kind, made in ((_QUERY, QUERY, query), (_ANSWER, DOCUMENT, document)):
        yield f"{kind.value}: {_size(model, text, kind, made)}"
    yield f"similarity ({model.identity.similarity}): {float(model.similarity(query, document)[0, 0]):.4f}"


def _size(model: Encoder, text: str, kind: TextKind, made: object) -> str:
    """Describe the size of what a model makes of a text."""
    tokens = model.count_tokens([text], kind)
    (row,) = model.representation.rows(made, [text], model.identity)
    what = "token vectors" if model.representation is MULTI_VECTOR else "active dimensions"
    parts = [f"{tokens[0]} tokens" if tokens else "", f"{len(row)} {what}", f"{model.representation.size(row):,} bytes"]
    return ", ".join(part for part in parts if part)

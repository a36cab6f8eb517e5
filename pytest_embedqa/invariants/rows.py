"""Rows and their distances: what invariants compare, for each kind of encoder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pytest_embedqa.core.measures import Floats, normalised
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.prompts import DOCUMENT, QUERY, TaskContext, TextKind
from pytest_embedqa.encoders.representations import DENSE, MULTI_VECTOR, Row
from pytest_embedqa.invariants.invariant import Finding


def rows(
    encoder: Encoder, texts: Sequence[str], kind: TextKind = DOCUMENT, task: TaskContext | None = None
) -> list[Row]:
    """Encode texts, and return a row for each."""
    return encoder.representation.split(encoder.encode(texts, kind, task))


def numbers(row: Row) -> Floats:
    """Return the numbers of a row: components, or the weights of active dimensions."""
    found: Floats = row["weight"] if row.dtype.names else row
    return found


def are_finite(some: Sequence[Row]) -> bool:
    """Return whether no row holds NaN or infinity."""
    return all(bool(np.isfinite(numbers(row)).all()) for row in some)


def distances(encoder: Encoder, first: Sequence[Row], second: Sequence[Row]) -> Floats:
    """Return the cosine distance of rows that should be those of the same text, one by one, shape (n,)."""
    closeness = encoder.representation.closeness
    return np.array([1 - closeness(one, other) for one, other in zip(first, second, strict=True)])


def content_distances(encoder: Encoder, first: Sequence[Row], second: Sequence[Row]) -> Floats:
    """Return distances as ``distances`` does, but of texts that may have different numbers of tokens, shape (n,).

    Of multi-vectors it is the distance of the token that has no near one in the other text.
    """
    if encoder.kind != MULTI_VECTOR.name:
        return distances(encoder, first, second)
    found = []
    for one, other in zip(first, second, strict=True):
        cosines = normalised(one) @ normalised(other).T
        found.append(1 - min(cosines.max(axis=0).min(), cosines.max(axis=1).min()))
    return np.array(found)


def furthest(
    encoder: Encoder, first: Sequence[Row], second: Sequence[Row], texts: Sequence[str], where: str = ""
) -> Finding:
    """Return the text whose two rows are furthest apart."""
    apart = distances(encoder, first, second)
    row = int(np.argmax(apart))
    return Finding(float(apart[row]), f"{texts[row][:80]!r}{where}")


def similarities(encoder: Encoder, texts: Sequence[str], others: Sequence[str]) -> Floats:
    """Return how near texts are to others, shape (texts, others): as the model compares queries with documents.

    Dense vectors of texts in the same role are compared by their cosine: the texts are alike, and none asks.
    """
    if encoder.kind == DENSE.name:
        return DENSE.similarity(encoder.encode(texts), encoder.encode(others), "cosine")
    return encoder.similarity(encoder.encode(texts, QUERY), encoder.encode(others))

"""Dense vectors: one number for each dimension."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pytest_embedqa.core.identity import Identity
from pytest_embedqa.core.measures import Floats, normalised, same_text_cosine
from pytest_embedqa.encoders.checks import as_vectors, check_batch, check_one_width
from pytest_embedqa.encoders.representations.representation import Representation, Row

_ROUNDING = 1e-6


class Dense(Representation):
    """Vectors of float32, shape (dim,); joined, shape (n, dim)."""

    name = "dense"
    noun = "vector"

    def rows(self, returned: object, texts: Sequence[str], identity: Identity) -> list[Row]:
        """Return the vectors of a batch."""
        vectors = as_vectors(returned, identity)
        check_batch(vectors, texts, identity)
        return list(vectors)

    def join(self, rows: Sequence[Row], identity: Identity) -> Floats:
        """Return vectors of shape (n, dim)."""
        if not rows:
            return np.empty((0, identity.full_dim or 0), dtype=np.float32)
        check_one_width(rows, identity)
        return np.stack(rows)

    def equal(self, row: Row, other: Row) -> bool:
        """Return whether two vectors are equal but for rounding."""
        return bool(np.allclose(row, other, atol=_ROUNDING))

    def closeness(self, row: Row, other: Row) -> float:
        """Return the cosine of two vectors."""
        return float(same_text_cosine(row[None], other[None])[0])

    def similarity(self, queries: Floats, documents: Floats, by: str) -> Floats:
        """Return cosines or dot products."""
        if by != "dot":
            queries, documents = normalised(queries), normalised(documents)
        found: Floats = queries @ documents.T
        return found

    def size(self, row: Row) -> int:
        """Return four bytes for each dimension."""
        return 4 * len(row)


DENSE = Dense()

"""Multi-vectors: a vector for each token, compared by late interaction (ColBERT)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pytest_embedqa.core.errors import EncoderFaultError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.core.measures import Floats, same_text_cosine
from pytest_embedqa.encoders.checks import as_vectors, check_batch
from pytest_embedqa.encoders.representations.representation import Representation, Row

_ROUNDING = 1e-6
# Most similarities of tokens held at a time: 32 MiB of float32.
_SIMILARITIES = 1 << 23


class MultiVector(Representation):
    """Vectors of float32, shape (tokens, dim); joined, a list of these."""

    name = "multi-vector"
    noun = "multi-vector"
    closeness_name = "lowest cosine of a token"

    def rows(self, returned: object, texts: Sequence[str], identity: Identity) -> list[Row]:
        """Return the token vectors of each text of a batch, from a list of matrices or an array (texts, tokens, dim)."""
        matrices = list(returned) if hasattr(returned, "__iter__") else []
        if len(matrices) != len(texts):
            raise EncoderFaultError(
                f"The engine '{identity.engine}' ({identity.model}) returned {len(matrices)} matrices for {len(texts)} texts; one for each "
                "text was expected, of shape (tokens, dimensions)."
            )
        found = [as_vectors(matrix, identity) for matrix in matrices]
        for vectors, text in zip(found, texts, strict=True):
            if not len(vectors):
                raise EncoderFaultError(
                    f"The engine '{identity.engine}' ({identity.model}) returned no token vector for {text!r:.120}; at least one was expected."
                )
            check_batch(vectors, [text] * len(vectors), identity)
        return found

    def join(self, rows: Sequence[Row], identity: Identity) -> list[Floats]:
        """Return the matrices of the texts, shape (tokens, dim) each."""
        del identity
        return list(rows)

    def pack(self, row: Row) -> bytes:
        """Return the numbers of all token vectors."""
        return np.ascontiguousarray(row, dtype=np.float32).tobytes()

    def unpack(self, packed: bytes, identity: Identity) -> Row:
        """Return token vectors of shape (tokens, full_dim)."""
        return np.frombuffer(packed, dtype=np.float32).reshape(-1, identity.full_dim or 1)

    def equal(self, row: Row, other: Row) -> bool:
        """Return whether two texts have as many token vectors, equal but for rounding."""
        return row.shape == other.shape and bool(np.allclose(row, other, atol=_ROUNDING))

    def closeness(self, row: Row, other: Row) -> float:
        """Return the lowest cosine of two texts' tokens, one by one; 0 if they have different numbers of tokens."""
        return float(same_text_cosine(row, other).min()) if row.shape == other.shape else 0.0

    def similarity(self, queries: Sequence[Floats], documents: Sequence[Floats], by: str) -> Floats:
        """Return MaxSim: for each token of a query its best dot product in the document, summed over the query.

        ``meanmaxsim`` takes the mean over the query's tokens instead of the sum.
        """
        found = np.empty((len(queries), len(documents)), dtype=np.float32)
        if not queries or not documents:
            return found
        tokens = np.concatenate(queries)
        starts = np.cumsum([0, *(len(query) for query in queries[:-1])])
        counts = np.array([len(query) for query in queries], dtype=np.float32)[:, None]
        for first, last in _blocks(documents, len(tokens)):
            block = documents[first:last]
            begins = np.cumsum([0, *(len(document) for document in block[:-1])])
            best = np.maximum.reduceat(tokens @ np.concatenate(block).T, begins, axis=1)
            found[:, first:last] = np.add.reduceat(best, starts, axis=0)
        return found / counts if by == "meanmaxsim" else found

    def size(self, row: Row) -> int:
        """Return four bytes for each dimension of each token."""
        return 4 * row.size


MULTI_VECTOR = MultiVector()


def _blocks(documents: Sequence[Floats], tokens: int) -> list[tuple[int, int]]:
    """Return first and last (exclusive) document of each block whose similarities fit into memory."""
    most, bounds, used = max(1, _SIMILARITIES // tokens), [0], 0
    for place, document in enumerate(documents):
        if used and used + len(document) > most:
            bounds.append(place)
            used = 0
        used += len(document)
    return list(zip(bounds, [*bounds[1:], len(documents)], strict=True))

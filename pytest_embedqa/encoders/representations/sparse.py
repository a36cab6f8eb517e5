"""Sparse vectors: a weight for each of a few words of a large vocabulary (SPLADE, BGE-M3's lexical weights)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_embedqa.core.errors import EncoderFaultError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.core.measures import Floats
from pytest_embedqa.encoders.checks import as_vectors, check_finite, check_shape
from pytest_embedqa.encoders.representations.representation import Representation, Row

if TYPE_CHECKING:
    from scipy.sparse import coo_array, csr_array

# A row holds the active dimensions alone, in ascending order.
ACTIVE = np.dtype([("dimension", np.uint32), ("weight", np.float32)])
_ROUNDING = 1e-6


class Sparse(Representation):
    """Active dimensions and their weights; joined, a ``scipy.sparse.csr_array`` of float32, shape (n, vocabulary)."""

    name = "sparse"
    noun = "sparse vector"

    def rows(self, returned: object, texts: Sequence[str], identity: Identity) -> list[Row]:
        """Return the active dimensions of each text of a batch, from a sparse matrix of scipy or torch."""
        from scipy.sparse import csr_array

        try:
            matrix = csr_array(_of_torch(returned) if hasattr(returned, "is_sparse") else returned)
        except (TypeError, ValueError) as error:
            raise EncoderFaultError(
                f"The engine '{identity.engine}' ({identity.model}) returned a {type(returned).__name__}. "
                "A sparse matrix of shape (texts, vocabulary) is expected."
            ) from error
        matrix.sum_duplicates()
        weights = as_vectors(matrix.data, identity)
        check_shape(matrix.shape, texts, identity)
        finite = np.isfinite(weights)
        bounds = pairwise(matrix.indptr)
        check_finite(np.array([finite[start:stop].all() for start, stop in bounds], dtype=np.bool_), texts, identity)
        return _active(matrix, weights)

    def join(self, rows: Sequence[Row], identity: Identity) -> csr_array:
        """Return a matrix of shape (n, vocabulary)."""
        from scipy.sparse import csr_array

        ends = np.cumsum([0, *map(len, rows)])
        flat = np.concatenate(rows) if rows else np.empty(0, dtype=ACTIVE)
        shape = (len(rows), identity.full_dim or 0)
        return csr_array((flat["weight"], flat["dimension"].astype(np.int64), ends), shape=shape)

    def split(self, embeddings: csr_array) -> list[Row]:
        """Return the active dimensions of each text."""
        return _active(embeddings, embeddings.data)

    def pack(self, row: Row) -> bytes:
        """Return the active dimensions and their weights."""
        return np.ascontiguousarray(row, dtype=ACTIVE).tobytes()

    def unpack(self, packed: bytes, identity: Identity) -> Row:
        """Return the active dimensions and their weights."""
        del identity
        return np.frombuffer(packed, dtype=ACTIVE)

    def equal(self, row: Row, other: Row) -> bool:
        """Return whether the same dimensions are active, with weights equal but for rounding."""
        return np.array_equal(row["dimension"], other["dimension"]) and bool(
            np.allclose(row["weight"], other["weight"], atol=_ROUNDING)
        )

    def closeness(self, row: Row, other: Row) -> float:
        """Return the cosine; 1 of two vectors without an active dimension."""
        # In float32 the length of many weights is rounded by more than two computations of a text may differ.
        lengths = float(np.prod([np.linalg.norm(one["weight"].astype(np.float64)) for one in (row, other)]))
        if not lengths:
            return float(len(row) == len(other))
        _, here, there = np.intersect1d(row["dimension"], other["dimension"], assume_unique=True, return_indices=True)
        return float(row["weight"][here].astype(np.float64) @ other["weight"][there]) / lengths

    def similarity(self, queries: csr_array, documents: csr_array, by: str) -> Floats:
        """Return dot products, or cosines; 0 with a vector without an active dimension."""
        if by != "dot":
            queries, documents = _unit(queries), _unit(documents)
        found: Floats = (queries @ documents.T).toarray()
        return found

    def size(self, row: Row) -> int:
        """Return eight bytes for each active dimension: its place and its weight."""
        return ACTIVE.itemsize * len(row)


SPARSE = Sparse()


def _active(matrix: csr_array, weights: Floats) -> list[Row]:
    """Return the active dimensions of each row of a matrix, whose weights are given apart."""
    found = []
    for start, stop in pairwise(matrix.indptr):
        kept = start + np.flatnonzero(weights[start:stop])
        row = np.empty(len(kept), dtype=ACTIVE)
        row["dimension"], row["weight"] = matrix.indices[kept], weights[kept]
        found.append(row)
    return found


def _unit(matrix: csr_array) -> csr_array:
    from scipy.sparse import diags_array

    lengths = np.sqrt(matrix.multiply(matrix).sum(axis=1))
    return diags_array((1 / np.where(lengths > 0, lengths, 1)).astype(np.float32)) @ matrix


def _of_torch(tensor: Any) -> coo_array:  # torch need not be installed
    from scipy.sparse import coo_array

    flat = tensor.detach().cpu().to_sparse_coo().coalesce()
    return coo_array((flat.values().float().numpy(), flat.indices().numpy()), shape=tuple(flat.shape))

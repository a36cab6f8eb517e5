"""The comparison of a question's vectors with those of passages, as an index keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pytest_embedqa.core.errors import DataError
from pytest_embedqa.core.measures import Floats, normalised
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.representations import DENSE, Embeddings, Representation

# Significant digits of a score. In float32, sums in another order differ beyond them, and equal passages would not tie.
_DIGITS = 6
# Passages of a multi-vector model that are compared at a time: their vectors are copied for it.
_BLOCK = 256
_SCALES = {"cosine": "cosine", "dot": "dot product", "maxsim": "MaxSim", "meanmaxsim": "mean MaxSim"}


@dataclass(frozen=True)
class Metric:
    """The way in which the vectors of a model are compared.

    Attributes:
        representation: What the model makes of a text.
        by: ``cosine``, ``dot``, ``maxsim`` or ``meanmaxsim``.
    """

    representation: Representation = DENSE
    by: str = "cosine"

    @classmethod
    def of(cls, encoder: Encoder) -> Metric:
        """Return a model's own metric; dense vectors are compared by their cosine, as most indexes do."""
        representation = encoder.representation
        return cls(representation, "cosine" if representation is DENSE else encoder.identity.similarity)

    @property
    def scale(self) -> str:
        """What its scores are, in words."""
        return _SCALES.get(self.by, self.by)

    def kept(self, embeddings: Embeddings) -> Embeddings:
        """Return the vectors of passages as an index keeps them: dense ones of length 1."""
        return normalised(embeddings) if self.representation is DENSE else embeddings

    def scores(self, query: Embeddings, kept: Embeddings) -> Floats:
        """Return the similarity of a question with each passage, float64 of shape (passages,).

        Args:
            query: What the model made of a list that holds the question alone.
            kept: What ``kept`` returned of the passages.

        Raises:
            DataError: If vectors of the two have different widths.
        """
        count = len(kept) if isinstance(kept, list) else kept.shape[0]
        if not count:
            return np.empty(0)
        if (here := width(kept)) != (asked := width(query)):
            raise DataError(
                f"The index has vectors of {here} dimensions, but the model gave the query a vector of {asked}: they do not belong "
                "together. Build the index with the model that encodes the queries."
            )
        step = _BLOCK if isinstance(kept, list) else count
        parts = [
            self.representation.similarity(
                self.kept(query), kept[start : start + step], "dot" if self.representation is DENSE else self.by
            )
            for start in range(0, count, step)
        ]
        return rounded(np.concatenate([part[0] for part in parts]))


def width(embeddings: Embeddings) -> int:
    """Return the dimensions of vectors, of which there is at least one."""
    return int((embeddings[0] if isinstance(embeddings, list) else embeddings).shape[-1])


def rounded(scores: Floats) -> Floats:
    """Return scores, float64, rounded to so many digits that equal passages tie."""
    exact = scores.astype(np.float64)
    size = 10 ** np.ceil(np.log10(np.maximum(np.abs(exact), 1)))
    found: Floats = np.round(exact / size, _DIGITS) * size
    return found


def joined(first: Embeddings | None, second: Embeddings) -> Embeddings:
    """Return the vectors of more passages behind those of some."""
    if first is None:
        return second
    if isinstance(second, list):
        return [*first, *second]
    if isinstance(second, np.ndarray):
        return np.concatenate([first, second])
    from scipy.sparse import csr_array, vstack

    return csr_array(vstack([first, second]))


def chosen(embeddings: Any, positions: Sequence[int]) -> Embeddings:
    """Return the vectors of some passages, in their order."""
    if isinstance(embeddings, list):
        return [embeddings[position] for position in positions]
    return embeddings[list(positions)]

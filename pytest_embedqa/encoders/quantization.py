"""Coarser vectors, as an index would keep them: sentence-transformers' own quantisation."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field

import numpy as np

from pytest_embedqa.core.errors import MissingExtraError
from pytest_embedqa.encoders.engine import Vectors

# Bits for each dimension.
PRECISIONS = {"int8": 8, "ubinary": 1}


@dataclass(frozen=True)
class Quantization:
    """A quantisation, which makes vectors coarser.

    Attributes:
        precision: ``int8`` or ``ubinary``, in sentence-transformers' words.
        ranges: Smallest and largest value of each dimension, shape (2, dim), which int8 needs.
        rescore: Factor: queries stay as they are and order the best ``rescore`` x 10 documents again; ``None`` for no.
    """

    precision: str
    ranges: Vectors | None = field(default=None, compare=False, repr=False)
    rescore: int | None = None

    @property
    def label(self) -> str:
        """Name of the quantisation in tables and identities."""
        return f"{self.precision}, rescore={self.rescore}" if self.rescore else self.precision

    @property
    def largest(self) -> int:
        """Largest absolute value that it can hold."""
        return 1 if self.precision == "ubinary" else 128

    def __call__(self, vectors: Vectors) -> Vectors:
        """Return the vectors that an index holds, as numbers to compare, shape (n, dim): -128 to 127, or -1 and 1.

        The cosine of -1 and 1 has the order of the Hamming distance.

        Raises:
            MissingExtraError: If sentence-transformers is not installed.
        """
        if importlib.util.find_spec("sentence_transformers") is None:
            raise MissingExtraError("sentence-transformers", "st", "@quantized")
        from sentence_transformers.util.quantization import quantize_embeddings  # seconds to import

        held = quantize_embeddings(vectors, self.precision, ranges=self.ranges)
        if self.precision == "ubinary":
            held = np.unpackbits(held, axis=1)[:, : vectors.shape[1]].astype(np.float32) * 2 - 1
        return np.asarray(held, dtype=np.float32)

    def restored(self, held: Vectors) -> Vectors:
        """Return the vectors that ``held`` stands for, as far as they can be known: the middle of each step."""
        if self.precision == "ubinary" or self.ranges is None:
            return held
        low, high = self.ranges
        middle: Vectors = low + (held + 128.5) * (high - low) / 255
        return middle

"""What each representation of a text has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from pytest_embedqa.core.identity import Identity
from pytest_embedqa.core.measures import Floats

# What a model makes of a single text, as an array.
Row: TypeAlias = npt.NDArray[Any]
# What a model makes of texts, in the form that its users get.
Embeddings: TypeAlias = Any


class Representation(ABC):
    """A representation of texts.

    Attributes:
        name: ``dense``, ``sparse``, ``multi-vector`` or ``scores``.
        noun: What users call a row.
        closeness_name: What ``closeness`` measures.
        plain_texts: A few texts that any working model tells apart.
    """

    name: ClassVar[str]
    noun: ClassVar[str]
    closeness_name: ClassVar[str] = "cosine"
    plain_texts: ClassVar[tuple[str, ...]] = ("bread", "the night train", "42 degrees")

    @abstractmethod
    def rows(self, returned: object, texts: Sequence[str], identity: Identity) -> list[Row]:
        """Return what an engine returned for a batch of texts, one row a text, after checks of form and finiteness.

        Raises:
            EncoderFaultError: If it can't be right; the text names the fault and an input that shows it.
        """

    @abstractmethod
    def join(self, rows: Sequence[Row], identity: Identity) -> Embeddings:
        """Return rows in the form that users get; there may be none."""

    def split(self, embeddings: Embeddings) -> list[Row]:
        """Return the rows that ``join`` has joined."""
        return list(embeddings)

    @abstractmethod
    def similarity(self, queries: Embeddings, documents: Embeddings, by: str) -> Floats:
        """Return the similarity of each query with each document, shape (queries, documents).

        Args:
            queries: Queries, as ``join`` returns them.
            documents: Documents, likewise.
            by: The identity's ``similarity``.
        """

    @abstractmethod
    def equal(self, row: Row, other: Row) -> bool:
        """Return whether two rows are equal but for rounding."""

    @abstractmethod
    def closeness(self, row: Row, other: Row) -> float:
        """Return how close two rows of the same text are: 1 where they are equal, as a cosine."""

    @abstractmethod
    def size(self, row: Row) -> int:
        """Return the bytes that an index needs for a row: numbers as float32, and places as 32-bit integers."""

    def pack(self, row: Row) -> bytes:
        """Return the bytes that the store keeps of a row."""
        return np.ascontiguousarray(row, dtype=np.float32).tobytes()

    def unpack(self, packed: bytes, identity: Identity) -> Row:
        """Return the row whose bytes the store has kept."""
        del identity
        return np.frombuffer(packed, dtype=np.float32)

    def content(self, text: str, prompt_length: int) -> str:
        """Return the part of a prepared text by which it differs from others."""
        return text[prompt_length:]

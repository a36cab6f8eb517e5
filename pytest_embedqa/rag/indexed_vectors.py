"""The vectors of a corpus in a real index, which answers in place of exact search."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from pytest_embedqa.core.errors import EmbedQAError, EngineError
from pytest_embedqa.core.measures import Floats
from pytest_embedqa.core.vector_index import VectorIndex

_Result = TypeVar("_Result")

# Makes an empty index from a spec such as ``faiss:HNSW32?efSearch=64``, and the way in which vectors are compared.
IndexOf = Callable[[str, str], VectorIndex]


class IndexedVectors:
    """The vectors of a corpus in a real index, by their position.

    Attributes:
        spec: The spec of the index.
    """

    def __init__(self, spec: str, index: VectorIndex) -> None:
        """Wrap an empty index: ``add`` vectors, then ``build``."""
        self.spec = spec
        self._index = index
        self._parts: list[Floats] = []
        self._size = 0

    def add(self, vectors: Floats) -> None:
        """Append vectors as the encoder gave them: an index with another metric than the model's must show."""
        self._parts.append(np.asarray(vectors, dtype=np.float32))

    def build(self) -> None:
        """Build the index, after the last vector.

        Raises:
            EngineError: If the index fails.
        """
        vectors = np.concatenate(self._parts)
        self._parts, self._size = [], len(vectors)
        self._asked("build", lambda: self._index.build(vectors, [str(row) for row in range(self._size)]))

    def nearest(self, query: Floats, k: int) -> list[int]:
        """Return the positions that the index gives for a query of shape (1, dim), in its order; maybe fewer than ``k``.

        Raises:
            EngineError: If the index fails, or gives an id that it was not given.
        """
        asked = np.asarray(query, dtype=np.float32)
        (found,) = self._asked("search", lambda: self._index.search(asked, min(k, self._size)))
        positions = []
        for one in found[:k]:
            if not str(one).isdecimal() or int(one) >= self._size:
                raise EngineError(f"The index '{self.spec}' gave the id {one!r:.60}, which it was never given.")
            positions.append(int(one))
        return list(dict.fromkeys(positions))

    def close(self) -> None:
        """Free the index, if it has anything to free."""
        close = getattr(self._index, "close", None)
        if close:
            close()

    def _asked(self, what: str, call: Callable[[], _Result]) -> _Result:
        try:
            return call()
        except EmbedQAError:
            raise
        except Exception as error:
            raise EngineError(f"The index '{self.spec}' failed to {what}: {type(error).__name__}: {error}") from error

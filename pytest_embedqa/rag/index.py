"""Passages and their vectors: exact search by cosine, in memory or on disk, with the same results."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pytest_embedqa.core.errors import DataError, MissingExtraError
from pytest_embedqa.core.measures import Floats, normalised
from pytest_embedqa.core.search import best_of
from pytest_embedqa.encoders.engine import Vectors
from pytest_embedqa.encoders.retrievers.passage import Passage

if TYPE_CHECKING:
    from lancedb.table import Table

# Position of a passage in the corpus, and its score.
Hit = tuple[int, float]

# Decimals of a cosine. In float32, sums in another order differ beyond them, and equal passages would not tie.
_DECIMALS = 6


def best(scores: Floats, k: int) -> list[Hit]:
    """Return the ``k`` highest (k > 0) of scores of shape (n,), n > 0, the highest first, ties by position."""
    rows = best_of(scores, k)
    return list(zip(rows.tolist(), scores[rows].tolist(), strict=True))


class Index(Protocol):
    """Passages by their position in the corpus, with exact cosines of their vectors."""

    @property
    def size(self) -> int:
        """The number of passages."""
        ...

    def add(self, passages: Sequence[Passage], vectors: Vectors | None) -> None:
        """Append passages with their vectors, shape (n, dim), of any length; ``None`` if only words are searched."""
        ...

    def nearest(self, query: Vectors, k: int) -> list[Hit]:
        """Return the ``k`` (> 0) passages with the highest cosine to a query's vector, shape (dim,); ties by position.

        Raises:
            DataError: If the dimensions of query and passages differ.
        """
        ...

    def cosines(self, query: Vectors, positions: Sequence[int]) -> Floats:
        """Return the cosines of a query's vector with the vectors of some passages, in their order.

        Raises:
            DataError: If the dimensions of query and passages differ.
        """
        ...

    def passages(self, hits: Sequence[Hit]) -> list[Passage]:
        """Return the passages of hits, with their scores, in the same order."""
        ...

    def close(self) -> None:
        """Free memory and files."""
        ...


class MemoryIndex:
    """An index with the vectors in one array."""

    def __init__(self) -> None:
        self._passages: list[Passage] = []
        self._unit_vectors: Vectors = np.empty((0, 0), dtype=np.float32)

    @property
    def size(self) -> int:
        """The number of passages."""
        return len(self._passages)

    def add(self, passages: Sequence[Passage], vectors: Vectors | None) -> None:
        """Append passages, as ``Index.add``."""
        self._passages += passages
        if vectors is not None:
            unit = normalised(vectors)
            self._unit_vectors = np.concatenate([self._unit_vectors, unit]) if len(self._unit_vectors) else unit

    def nearest(self, query: Vectors, k: int) -> list[Hit]:
        """Return the nearest passages, as ``Index.nearest``."""
        return best(_cosines(self._unit_vectors, query), k)

    def cosines(self, query: Vectors, positions: Sequence[int]) -> Floats:
        """Return cosines, as ``Index.cosines``."""
        return _cosines(self._unit_vectors[list(positions)], query)

    def passages(self, hits: Sequence[Hit]) -> list[Passage]:
        """Return passages, as ``Index.passages``."""
        return [replace(self._passages[position], score=score) for position, score in hits]

    def close(self) -> None:
        """Free memory, as ``Index.close``."""
        self._passages, self._unit_vectors = [], np.empty((0, 0), dtype=np.float32)


class LanceIndex:
    """A LanceDB table of passages and vectors, without an approximate index: every search looks at every vector."""

    _TABLE = "passages"

    def __init__(self, folder: Path) -> None:
        """Make a new table in a folder; an older table is replaced.

        Raises:
            MissingExtraError: If LanceDB is not installed.
        """
        if importlib.util.find_spec("lancedb") is None:
            raise MissingExtraError("lancedb", "lancedb", "The index 'lancedb'")
        self._database = _lancedb().connect(folder)
        self._table: Table | None = None
        self._dim = 0
        self.size = 0

    def add(self, passages: Sequence[Passage], vectors: Vectors | None) -> None:
        """Append passages, as ``Index.add``."""
        import pyarrow as pa

        columns = {
            "position": pa.array(range(self.size, self.size + len(passages)), pa.int64()),
            "text": pa.array([one.text for one in passages], pa.string()),
            "source": pa.array([one.source for one in passages], pa.string()),
            "page": pa.array([one.page for one in passages], pa.int32()),
            "last_page": pa.array([one.last_page for one in passages], pa.int32()),
            "page_starts": pa.array([one.page_starts for one in passages], pa.list_(pa.int32())),
        }
        if vectors is not None:
            self._dim = vectors.shape[1]
            columns["vector"] = pa.FixedSizeListArray.from_arrays(normalised(vectors).ravel(), self._dim)
        rows = pa.table(columns)
        if self._table is None:
            self._table = self._database.create_table(self._TABLE, rows, mode="overwrite")
        else:
            self._table.add(rows)
        self.size += len(passages)

    def nearest(self, query: Vectors, k: int) -> list[Hit]:
        """Return the nearest passages, as ``Index.nearest``."""
        unit, limit = _unit(query, self._dim), k
        while True:
            limit = min(2 * limit, self.size)
            search: Any = self._opened.search(unit, vector_column_name="vector")
            rows = search.distance_type("dot").limit(limit).select(["position", "_distance"]).to_arrow()
            positions = rows["position"].to_numpy()
            scores = _rounded(1 - rows["_distance"].to_numpy())
            order = np.lexsort((positions, -scores))
            # LanceDB's limit may have cut off a passage that ties with the k-th.
            if limit == self.size or scores[order[-1]] < scores[order[k - 1]]:
                return list(zip(positions[order[:k]].tolist(), scores[order[:k]].tolist(), strict=True))

    def cosines(self, query: Vectors, positions: Sequence[int]) -> Floats:
        """Return cosines, as ``Index.cosines``."""
        vectors = [row["vector"] for row in self._rows(positions, ["vector"])]
        return _cosines(np.array(vectors, dtype=np.float32).reshape(-1, self._dim), query)

    def passages(self, hits: Sequence[Hit]) -> list[Passage]:
        """Return passages, as ``Index.passages``."""
        rows = self._rows([position for position, _ in hits], ["text", "source", "page", "last_page", "page_starts"])
        return [
            Passage(**{**row, "page_starts": tuple(row["page_starts"])}, score=score)
            for row, (_, score) in zip(rows, hits, strict=True)
        ]

    def close(self) -> None:
        """Close the table, as ``Index.close``; it stays in its folder."""
        self._table = None

    @property
    def _opened(self) -> Table:
        assert self._table is not None, "passages are added before they are searched"  # noqa: S101
        return self._table

    def _rows(self, positions: Sequence[int], columns: list[str]) -> list[dict[str, Any]]:
        """Return some columns of the passages at these positions, in the same order."""
        if not positions:
            return []
        search = self._opened.search().where(f"position IN ({', '.join(map(str, positions))})").limit(len(positions))
        found = {row.pop("position"): row for row in search.select(["position", *columns]).to_list()}
        return [found[position] for position in positions]


def _lancedb() -> Any:  # a module
    """Import LanceDB, which reads its log level at import; by default it warns about each new table."""
    level = os.environ.get("LANCEDB_LOG")
    os.environ["LANCEDB_LOG"] = level or "error"
    try:
        import lancedb
    finally:
        if level is None:
            del os.environ["LANCEDB_LOG"]
    return lancedb


def _unit(query: Vectors, dim: int) -> Vectors:
    """Return the vector, shape (dim,), scaled to length 1."""
    if len(query) != dim:
        raise DataError(
            f"The index has vectors of {dim} dimensions, but the model gave the query a vector of {len(query)}: they do not belong "
            "together. Build the index with the model that encodes the queries."
        )
    unit: Vectors = normalised(query[None])[0]
    return unit


def _cosines(unit_vectors: Vectors, query: Vectors) -> Floats:
    """Return the cosine of each row of (n, dim), of length 1, with a query's vector, shape (dim,)."""
    return _rounded(unit_vectors @ _unit(query, unit_vectors.shape[1]))


def _rounded(cosines: Floats) -> Floats:
    rounded: Floats = np.round(cosines.astype(np.float64), _DECIMALS)
    return rounded

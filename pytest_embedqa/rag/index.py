"""Passages and their vectors: exact search, in memory or on disk, with the same results."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pytest_embedqa.core.errors import MissingExtraError, SpecError
from pytest_embedqa.core.measures import Floats
from pytest_embedqa.core.search import best_of
from pytest_embedqa.encoders.representations import DENSE, SPARSE, Embeddings
from pytest_embedqa.encoders.retrievers.passage import Passage
from pytest_embedqa.rag.fusion import Hit
from pytest_embedqa.rag.metric import Metric, chosen, joined, rounded, width

if TYPE_CHECKING:
    from lancedb.table import Table

# Passages that are read from the disk at a time.
_SLICE = 4096


def best(scores: Floats, k: int) -> list[Hit]:
    """Return the ``k`` highest (k > 0) of scores of shape (n,), n > 0, the highest first, ties by position."""
    rows = best_of(scores, k)
    return list(zip(rows.tolist(), scores[rows].tolist(), strict=True))


class Index(Protocol):
    """Passages by their position in the corpus, with the vectors that some models make of them, and exact similarities."""

    @property
    def size(self) -> int:
        """The number of passages."""
        ...

    def column(self, metric: Metric) -> int:
        """Make room for the vectors of a model, before passages are added, and return the number of their column.

        Raises:
            SpecError: If such vectors can't be kept.
        """
        ...

    def add(self, passages: Sequence[Passage], vectors: Sequence[Embeddings] = ()) -> None:
        """Append passages with their vectors of each column, as ``Encoder.encode`` returns them."""
        ...

    def nearest(self, query: Embeddings, k: int, column: int = 0) -> list[Hit]:
        """Return the ``k`` (> 0) passages that are most similar to a question; ties by position.

        Args:
            query: What the model made of a list that holds the question alone.
            k: Number of passages.
            column: The model's column.

        Raises:
            DataError: If the dimensions of query and passages differ.
        """
        ...

    def scores(self, query: Embeddings, positions: Sequence[int], column: int = 0) -> Floats:
        """Return the similarities of a question with some passages, in their order.

        Raises:
            DataError: If the dimensions of query and passages differ.
        """
        ...

    def passages(self, hits: Sequence[Hit]) -> list[Passage]:
        """Return the passages of hits, with their scores, in the same order."""
        ...

    def matching(self, holds: Callable[[Passage], bool]) -> list[int]:
        """Return the positions of all passages for which a condition holds."""
        ...

    def close(self) -> None:
        """Free memory and files."""
        ...


class MemoryIndex:
    """An index with all vectors in memory."""

    def __init__(self) -> None:
        self._passages: list[Passage] = []
        self._metrics: list[Metric] = []
        self._vectors: list[Embeddings] = []

    @property
    def size(self) -> int:
        """The number of passages."""
        return len(self._passages)

    def column(self, metric: Metric) -> int:
        """Make room for vectors, as ``Index.column``."""
        self._metrics.append(metric)
        self._vectors.append(None)
        return len(self._vectors) - 1

    def add(self, passages: Sequence[Passage], vectors: Sequence[Embeddings] = ()) -> None:
        """Append passages, as ``Index.add``."""
        self._passages += passages
        for column, (metric, some) in enumerate(zip(self._metrics, vectors, strict=True)):
            self._vectors[column] = joined(self._vectors[column], metric.kept(some))

    def nearest(self, query: Embeddings, k: int, column: int = 0) -> list[Hit]:
        """Return the nearest passages, as ``Index.nearest``."""
        return best(self._metrics[column].scores(query, self._vectors[column]), k)

    def scores(self, query: Embeddings, positions: Sequence[int], column: int = 0) -> Floats:
        """Return similarities, as ``Index.scores``."""
        return self._metrics[column].scores(query, chosen(self._vectors[column], positions))

    def passages(self, hits: Sequence[Hit]) -> list[Passage]:
        """Return passages, as ``Index.passages``."""
        return [replace(self._passages[position], score=score) for position, score in hits]

    def matching(self, holds: Callable[[Passage], bool]) -> list[int]:
        """Return positions, as ``Index.matching``."""
        return [position for position, passage in enumerate(self._passages) if holds(passage)]

    def close(self) -> None:
        """Free memory, as ``Index.close``."""
        self._passages, self._vectors = [], []


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
        self._metrics: list[Metric] = []
        self.size = 0

    def column(self, metric: Metric) -> int:
        """Make room for vectors, as ``Index.column``."""
        if metric.representation is SPARSE:
            raise SpecError(
                "The index 'lancedb' can't keep sparse vectors: LanceDB has columns for dense and multi-vectors alone. "
                "Take  index: memory."
            )
        self._metrics.append(metric)
        return len(self._metrics) - 1

    def add(self, passages: Sequence[Passage], vectors: Sequence[Embeddings] = ()) -> None:
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
        for column, (metric, some) in enumerate(zip(self._metrics, vectors, strict=True)):
            columns[_name(column)] = _arrow(metric.kept(some))
        rows = pa.table(columns)
        if self._table is None:
            self._table = self._database.create_table(self._TABLE, rows, mode="overwrite")
        else:
            self._table.add(rows)
        self.size += len(passages)

    def nearest(self, query: Embeddings, k: int, column: int = 0) -> list[Hit]:
        """Return the nearest passages, as ``Index.nearest``."""
        metric, limit = self._metrics[column], k
        asked, most = metric.kept(query)[0], 1.0
        self.scores(query, [0], column)  # refuses a query of another width
        if metric.representation is not DENSE:
            most = float(len(asked))  # LanceDB adds up a distance, 1 - dot product, for each vector of the query
        while True:
            limit = min(2 * limit, self.size)
            search: Any = self._opened.search(asked, vector_column_name=_name(column))
            rows = search.distance_type("dot").limit(limit).select(["position", "_distance"]).to_arrow()
            positions = rows["position"].to_numpy()
            found = most - rows["_distance"].to_numpy()
            scores = rounded(found / len(asked) if metric.by == "meanmaxsim" else found)
            order = np.lexsort((positions, -scores))
            # LanceDB's limit may have cut off a passage that ties with the k-th.
            if limit == self.size or scores[order[-1]] < scores[order[k - 1]]:
                return list(zip(positions[order[:k]].tolist(), scores[order[:k]].tolist(), strict=True))

    def scores(self, query: Embeddings, positions: Sequence[int], column: int = 0) -> Floats:
        """Return similarities, as ``Index.scores``."""
        rows = [np.array(row[_name(column)], dtype=np.float32) for row in self._rows(positions, [_name(column)])]
        metric = self._metrics[column]
        return metric.scores(query, np.array(rows) if metric.representation is DENSE else rows)

    def passages(self, hits: Sequence[Hit]) -> list[Passage]:
        """Return passages, as ``Index.passages``."""
        rows = self._rows([position for position, _ in hits], _OF_PASSAGE)
        return [replace(_passage(row), score=score) for row, (_, score) in zip(rows, hits, strict=True)]

    def matching(self, holds: Callable[[Passage], bool]) -> list[int]:
        """Return positions, as ``Index.matching``; one slice of the passages is in memory at a time."""
        return [position for position, passage in self._all() if holds(passage)]

    def close(self) -> None:
        """Close the table, as ``Index.close``; it stays in its folder."""
        self._table = None

    @property
    def _opened(self) -> Table:
        assert self._table is not None, "passages are added before they are searched"  # noqa: S101
        return self._table

    def _all(self) -> Iterator[tuple[int, Passage]]:
        for start in range(0, self.size, _SLICE):
            positions = range(start, min(start + _SLICE, self.size))
            yield from zip(positions, map(_passage, self._rows(positions, _OF_PASSAGE)), strict=True)

    def _rows(self, positions: Sequence[int], columns: list[str]) -> list[dict[str, Any]]:
        """Return some columns of the passages at these positions, in the same order."""
        if not positions:
            return []
        search = self._opened.search().where(f"position IN ({', '.join(map(str, positions))})").limit(len(positions))
        found = {row.pop("position"): row for row in search.select(["position", *columns]).to_list()}
        return [found[position] for position in positions]


_OF_PASSAGE = ["text", "source", "page", "last_page", "page_starts"]


def _name(column: int) -> str:
    return f"vector{column}"


def _passage(row: dict[str, Any]) -> Passage:
    return Passage(**{**row, "page_starts": tuple(row["page_starts"])})


def _arrow(vectors: Embeddings) -> Any:  # a column of pyarrow
    """Return dense vectors as lists of one length, and multi-vectors as lists of these."""
    import pyarrow as pa

    if not isinstance(vectors, list):
        return pa.FixedSizeListArray.from_arrays(vectors.ravel(), vectors.shape[1])
    ends = np.cumsum([0, *map(len, vectors)]).astype(np.int32)
    tokens = pa.FixedSizeListArray.from_arrays(np.concatenate(vectors).ravel(), width(vectors))
    return pa.ListArray.from_arrays(pa.array(ends), tokens)


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

"""Growing data to the number of rows that production has."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pytest_embedqa.core.errors import SpecError
from pytest_embedqa.core.measures import Floats, normalised
from pytest_embedqa.index.data import Data

_SEED = 42


def grown(data: Data, rows: int | None) -> Data:
    """Add made rows until there are as many as asked for: each lies between two of the task's documents.

    Raises:
        SpecError: If the task has more documents than that.
    """
    if rows is None or rows == len(data.ids):
        return data
    if rows < len(data.ids):
        raise SpecError(
            f"rows={rows} is less than the {len(data.ids)} documents of {data.name}. Leave it out, or take more."
        )
    extra = rows - len(data.ids)
    made = _between(data.vectors, extra)
    note = f"{extra:,} of {rows:,} rows are made: each lies between two documents of the task."
    ids = [*data.ids, *(f"made-{number}" for number in range(extra))]
    return replace(data, ids=ids, vectors=np.concatenate([data.vectors, made]), notes=(*data.notes, note))


def _between(vectors: Floats, count: int) -> Floats:
    """Return points between pairs of vectors, as long as the first of the two, shape (count, dim)."""
    random = np.random.default_rng(_SEED)
    first, second = vectors[random.integers(0, len(vectors), count)], vectors[random.integers(0, len(vectors), count)]
    share = random.uniform(0.5, 1.0, (count, 1)).astype(np.float32)
    mixed = (share * first + (1 - share) * second).astype(np.float32)
    lengths = np.linalg.norm(first, axis=1, keepdims=True)
    made: Floats = (normalised(mixed) * lengths).astype(np.float32)
    return made

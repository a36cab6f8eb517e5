"""The documents of a retrieval task, read from disk as needed: a corpus may be larger than memory."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset
from mteb._create_dataloaders import _corpus_to_dict

from pytest_embedqa.core.errors import DataError

# Numbers of ids read and of rows written at a time.
_IDS, _ROWS = 1 << 16, 10_000


class Corpus:
    """Documents by their number, from mteb's Arrow table."""

    def __init__(self, rows: Any) -> None:  # mteb's data
        """Wrap the rows; documents are read when they are asked for."""
        self._rows = rows

    def __len__(self) -> int:
        """Return the number of documents."""
        return len(self._rows)

    def texts(self, numbers: Sequence[int] | slice) -> list[str]:
        """Return documents as a model reads them: mteb joins title and text."""
        columns = self._rows[numbers if isinstance(numbers, slice) else list(numbers)]
        names = [name for name in ("id", "title", "text") if name in columns]
        rows = zip(*(columns[name] for name in names), strict=True)
        return [_corpus_to_dict(dict(zip(names, row, strict=True)))["text"] for row in rows]

    def bodies(self, numbers: Sequence[int] | slice) -> list[str]:
        """Return documents without their titles."""
        found: list[str] = self._rows[numbers if isinstance(numbers, slice) else list(numbers)]["text"]
        return found

    def ids(self, numbers: Sequence[int]) -> list[str]:
        """Return the ids of documents."""
        found: list[str] = self._rows["id"][list(numbers)]
        return found

    def numbers(self, wanted: Collection[str]) -> dict[str, int]:
        """Return the numbers of documents by id; missing ids are left out."""
        return {
            id_: start + row
            for start in range(0, len(self), _IDS)
            for row, id_ in enumerate(self._rows["id"][start : start + _IDS])
            if id_ in wanted
        }


def on_disk(path: Path, rows: Iterator[dict[str, str]]) -> Any:  # mteb's data
    """Return rows as a table that is read from ``path``; they are written there first if the file is missing.

    Args:
        path: An Arrow file in this package's cache.
        rows: Documents with their ``id``, ``title`` and ``text``.

    Raises:
        DataError: If the file can't be written.
    """
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=path.parent) as folder:
                draft = Path(folder) / path.name
                _write(draft, rows)
                draft.replace(path)  # whole or not at all, also beside another process
    except OSError as error:
        raise DataError(
            f"The corpus can't be kept in {path.parent}: {error}. Let XDG_CACHE_HOME name a folder that can be written and has room for it."
        ) from error
    return Dataset.from_file(str(path))


def _write(path: Path, rows: Iterator[dict[str, str]]) -> None:
    schema = pa.schema([(name, pa.large_string()) for name in ("id", "title", "text")])
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
        while some := list(itertools.islice(rows, _ROWS)):
            writer.write_batch(pa.RecordBatch.from_pylist(some, schema))

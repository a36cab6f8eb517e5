"""What an evaluation costs before it is run: the texts that it encodes, and how long an encoder takes for them."""

from __future__ import annotations

import math
from pathlib import Path

from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.quality.task import TaskQuery
from pytest_embedqa.quality.work import Work

# Less than this says more about the first batch than about the encoder.
_ENOUGH_SECONDS = 0.5


class Pace:
    """How long an encoder takes for a text, as measured on what it has encoded so far.

    No trial comes before: on a busy machine it took twenty seconds of the run, and left out all tests by a guess. The
    first is better run and stopped, for what it encodes is stored.
    """

    def __init__(self, max_tokens: int | None) -> None:
        """Of a model with this longest input."""
        self._max_tokens = max_tokens
        self._measured: dict[int, tuple[int, float]] = {}

    def count(self, work: Work, texts: int, seconds: float) -> None:
        """Note how long ``texts`` of this work took."""
        size = self._size(work)
        before, took = self._measured.get(size, (0, 0.0))
        self._measured[size] = before + texts, took + seconds

    def seconds(self, work: Work) -> float | None:
        """How long this work takes; ``None`` before there is a measurement.

        Where nothing as long was measured, the nearest length stands for it: of four times the characters a text takes
        as long where what it costs is the call, four times as long where it is the tokens, so twice as long.
        """
        size, known = self._size(work), {at: one for at, one in self._measured.items() if one[1] > _ENOUGH_SECONDS}
        if not known:
            return None
        nearest = min(known, key=lambda at: abs(at - size))
        texts, seconds = known[nearest]
        return float(work.texts * seconds / max(1, texts) * 2 ** ((size - nearest) / 2))

    def _size(self, work: Work) -> int:
        """Lengths within a factor of two are one."""
        return round(math.log2(max(1.0, work.length(self._max_tokens))))


def work(query: TaskQuery) -> Work | None:
    """What an evaluation encodes, as far as is known without reading a task's data: from mteb's own statistics of it.

    Files of the user's own are counted.

    Returns:
        ``None`` where mteb has no statistics.

    Raises:
        TaskError, DataError: If there is no such task, or its file is not as it must be.
    """
    from pytest_embedqa.quality.mteb import cost  # noqa: PLC0415  imports mteb: seconds

    return cost.estimated(query)


def missing(query: TaskQuery, encoder: Encoder, datasets: Path | None = None) -> Work:
    """What an evaluation still has to encode: its data is read, and what the store has is left out.

    Args:
        query: Which part of which task.
        encoder: The encoder, with its store.
        datasets: Folder with data in the Hub's layout, used instead of the Hub.

    Raises:
        TaskError, MissingDataError, DataError: If there is nothing to evaluate on.
    """
    from pytest_embedqa.quality.mteb import cost  # noqa: PLC0415

    return cost.missing(query, encoder, datasets)

"""Cost of an evaluation, known before it runs: the texts to encode, and the time that an encoder takes for them."""

from __future__ import annotations

import math
from pathlib import Path

from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.quality.task import TaskQuery
from pytest_embedqa.quality.work import Work

# A shorter time tells more about the first batch than about the encoder.
_ENOUGH_SECONDS = 0.5


class Pace:
    """The time that an encoder takes for a text, measured on the texts that it has encoded so far.

    There is no trial beforehand: on a busy machine it took twenty seconds of the run, and a guess left out all tests.
    The first evaluation is better run and stopped, as the texts it encodes are stored.
    """

    def __init__(self, max_tokens: int | None) -> None:
        """Start without measurements, for a model with this longest input."""
        self._max_tokens = max_tokens
        self._measured: dict[int, tuple[int, float]] = {}

    def count(self, work: Work, texts: int, seconds: float) -> None:
        """Record the time that ``texts`` texts of this work took."""
        size = self._size(work)
        before, took = self._measured.get(size, (0, 0.0))
        self._measured[size] = before + texts, took + seconds

    def seconds(self, work: Work) -> float | None:
        """Return the seconds that this work takes; ``None`` before there is a measurement.

        Where no texts as long were measured, the nearest length is used. A text of four times the characters takes as
        long where the call costs the time, and four times as long where the tokens do, so twice as long is assumed.
        """
        size, known = self._size(work), {at: one for at, one in self._measured.items() if one[1] > _ENOUGH_SECONDS}
        if not known:
            return None
        nearest = min(known, key=lambda at: abs(at - size))
        texts, seconds = known[nearest]
        return float(work.texts * seconds / max(1, texts) * 2 ** ((size - nearest) / 2))

    def _size(self, work: Work) -> int:
        """Return a number that is equal for lengths within a factor of two."""
        return round(math.log2(max(1.0, work.length(self._max_tokens))))


def work(query: TaskQuery) -> Work | None:
    """Return the work of an evaluation as far as it is known from mteb's own statistics, without reading a task's data.

    Texts in files of the user's own are counted.

    Returns:
        ``None`` where mteb has no statistics.

    Raises:
        TaskError, DataError: If there is no such task, or its file is malformed.
    """
    from pytest_embedqa.quality.mteb import cost  # imports mteb: seconds

    return cost.estimated(query)


def missing(query: TaskQuery, encoder: Encoder, datasets: Path | None = None) -> Work:
    """Return the work that is left of an evaluation: its data is read, and stored texts are left out.

    Args:
        query: The task, or the part of a task.
        encoder: The encoder, with its store.
        datasets: Folder with data in the Hub's layout, used instead of the Hub.

    Raises:
        TaskError, MissingDataError, DataError: If there is nothing to evaluate on.
    """
    from pytest_embedqa.quality.mteb import cost

    return cost.missing(query, encoder, datasets)

"""A batch in parts, side by side, each in its own thread: on a CPU no core then waits for the others at every layer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from threading import Barrier
from typing import TYPE_CHECKING

import numpy as np

from pytest_embedqa.encoders.engine import Limits, Vectors
from pytest_embedqa.encoders.engines.torch_cpu import compute, tokenize

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# Characters of a part, some 1,000 tokens of English: Python between the layers then takes little time.
# Twice as many gain 1 to 4 % more, and leave 100 MiB of holes in the heap.
_PART = 4000
# All of torch's threads together are faster with fewer characters.
_ALONE = 2000
# Work of a stream in a batch: tokens times the weights of a square layer times layers. It takes a core some seconds,
# after which progress is shown and vectors are stored, so large models get smaller batches.
_BATCH = 16384 * 384**2 * 6
# More streams than these would wait for Python, which one thread runs at a time; each computes with several threads instead.
_MOST = 8


class Streams:
    """Threads that embed with a model rebuilt by ``torch_cpu.speed_up``; together they use all of torch's threads.

    Attributes:
        limits: Limits of a batch, large enough that streams seldom wait for the last of them at its end.
    """

    def __init__(self, model: SentenceTransformer) -> None:
        """Start the threads."""
        import torch

        threads = torch.get_num_threads()
        self._model = model
        each = math.ceil(threads / _MOST)
        self._count = threads // each
        self._pool = ThreadPoolExecutor(self._count, "embedqa-stream")
        config = model[0].config
        tokens = min(16384, max(4096, _BATCH // (config.hidden_size**2 * config.num_hidden_layers))) * self._count
        self.limits = Limits(batch_tokens=tokens, batch_size=tokens // 16)
        started = Barrier(self._count)

        def start(_: int) -> None:
            torch.get_num_threads()  # a thread reads torch's number at its first call, so before that changes
            torch.set_num_threads(each)
            started.wait()

        list(self._pool.map(start, range(self._count)))
        torch.set_num_threads(threads)  # new threads of other libraries take this number

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of a batch, shape (n, full_dim), in the given order."""
        parts = list(_parts(texts, self._count))
        # Tokenizers can't be used by several threads at once: this thread goes ahead of the streams.
        inputs = (tokenize(self._model, part) for part in parts)
        if len(parts) == 1:
            return compute(self._model, next(inputs))
        return np.concatenate(list(self._pool.map(partial(compute, self._model), inputs)))

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()


def _parts(texts: Sequence[str], streams: int) -> Iterator[Sequence[str]]:
    """Split texts into parts of about as many characters, as many for each stream; few texts are a single part."""
    ends = np.cumsum([len(text) for text in texts])
    count = streams * math.ceil(ends[-1] / _PART / streams) if ends[-1] > _ALONE else 1
    edges = np.unique(np.searchsorted(ends, ends[-1] * np.arange(1, count) / count) + 1)
    for first, last in pairwise([0, *edges[edges < len(texts)], len(texts)]):
        yield texts[first:last]

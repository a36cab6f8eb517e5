"""Asking a retriever the questions of probes, and judging the answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from weakref import WeakKeyDictionary

from pytest_embedqa.encoders.awaiting import Loop
from pytest_embedqa.encoders.retrievers.callables import name_of
from pytest_embedqa.encoders.retrievers.passage import Passage, Retriever
from pytest_embedqa.encoders.retrievers.returned import notes_on, passages_of
from pytest_embedqa.rag.judging import Answer, judge
from pytest_embedqa.rag.probe import Probe
from pytest_embedqa.rag.retrieval import Chain

# A function that asks one retriever a question, for a number of passages.
Search = Callable[[str, int], list[Passage]]

# Noise of the machine only ever adds time, so the best of a few calls is the time of retrieval.
_TIMED_CALLS = 3


class Asker:
    """Asks probes, and judges each answer anew.

    Results of the built-in chain are kept as long as the chain is: its index can't change. A pipeline of the user's
    own, or a live system, may answer otherwise the next time, and is asked each time.
    """

    def __init__(self) -> None:
        """Start without any results."""
        self._loop = Loop()
        self._found: WeakKeyDictionary[Chain, dict[tuple[str, int], list[Passage]]] = WeakKeyDictionary()

    def ask(self, retriever: Retriever, probe: Probe, k: int) -> Answer:
        """Ask a probe's question and judge the answer.

        Args:
            retriever: The retriever to ask.
            probe: The probe to ask.
            k: Number of passages to ask for.

        Raises:
            EmbedQAError: If the retriever fails, or returns a thing that is no passage.
        """
        limit = probe.max_latency_ms
        passages = self.search(retriever, probe.ask, k)
        notes = () if isinstance(retriever, Chain) else notes_on(passages, k)
        time_taken = None if limit is None else self._milliseconds(retriever, probe, k, limit)
        ranks_of = retriever.by if isinstance(retriever, Chain) and retriever.scale == "ranks" else ""
        return judge(probe, passages[:k], time_taken, notes, ranks_of)

    def search(self, retriever: Retriever, query: str, k: int) -> list[Passage]:
        """Return all passages that a retriever finds, which may be more than it was asked for.

        Raises:
            EmbedQAError: As for ``ask``.
        """
        if not isinstance(retriever, Chain):
            return passages_of(self._loop.finished(retriever(query, k)), name_of(retriever))
        kept = self._found.setdefault(retriever, {})
        if (query, k) not in kept:
            kept[query, k] = retriever(query, k)
        return kept[query, k]

    def close(self) -> None:
        """End the thread that waits for asynchronous retrievers, if there is one."""
        self._loop.close()

    def _milliseconds(self, retriever: Retriever, probe: Probe, k: int, limit: float) -> float:
        """Return the time of one retrieval with its query encoded anew; measured again while it exceeds the limit."""
        timed = retriever.fresh() if isinstance(retriever, Chain) else retriever
        best = float("inf")
        for _ in range(_TIMED_CALLS):
            began = time.perf_counter()
            self._loop.finished(timed(probe.ask, k))
            best = min(best, (time.perf_counter() - began) * 1000)
            if best <= limit:
                break
        return best

"""Asks a retriever what probes ask, and judges what it finds."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from weakref import WeakKeyDictionary

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.awaiting import Loop
from pytest_embedqa.rag.judging import Answer, judge
from pytest_embedqa.rag.passage import Passage, Retriever
from pytest_embedqa.rag.probe import Probe
from pytest_embedqa.rag.retrieval import Chain
from pytest_embedqa.rag.returned import notes_on, passages_of

# A question to one retriever, and how many passages to ask for.
Search = Callable[[str, int], list[Passage]]

# Noise of a machine only ever adds time, so the best of a few calls is what retrieval takes.
_TIMED_CALLS = 3


def name_of(retriever: Retriever) -> str:
    """What to call a retriever, in one line: by its ``name``, if that is a text, else by its function or class."""
    given = (getattr(retriever, attribute, "") for attribute in ("name", "__name__"))
    texts = (" ".join(one.split()) for one in given if isinstance(one, str))
    return next(filter(None, texts), type(retriever).__name__)


def whereabouts(size: int | None, search: Search, answer: Answer) -> list[str]:
    """For each piece that did not come back, where it is beyond the k passages; in sentences.

    Args:
        size: How many passages the retriever has; one that does not know can't be asked for all of them.
        search: Asks it.
        answer: What came back before.
    """
    expect = answer.probe.expect
    if not size or not expect:
        return []
    lost = [piece for piece, rank in zip(expect.pieces, answer.ranks, strict=True) if rank is None]
    everything = search(answer.probe.ask, size) if lost else []
    lines = []
    for piece in lost:
        rank = next((rank for rank, one in enumerate(everything, 1) if piece.matches(one)), None)
        if rank:
            lines.append(f"{piece} is at rank {rank} of {size:,} passages.")
        elif len(everything) < size:
            lines.append(f"{piece} is not among the {len(everything):,} of {size:,} passages that are found at all.")
        else:
            lines.append(f"{piece} is in none of the {size:,} passages: check its text, or how documents are cut.")
    return lines


class Asker:
    """Asks probes, and judges what comes back each time anew.

    What the built-in chain finds for a question is kept as long as the chain is: its index can't change. A pipeline of
    the user's own, or a live system, may answer otherwise the next time, and is asked each time.
    """

    def __init__(self) -> None:
        """Nothing was asked yet."""
        self._loop = Loop()
        self._found: WeakKeyDictionary[Chain, dict[tuple[str, int], list[Passage]]] = WeakKeyDictionary()

    def ask(self, retriever: Retriever, probe: Probe, k: int) -> Answer:
        """Ask a probe's question and judge what comes back.

        Args:
            retriever: What finds passages.
            probe: What to ask.
            k: Passages to ask for.

        Raises:
            EmbedQAError: If the retriever fails, or returns what is no passage.
        """
        limit = probe.max_latency_ms
        passages = self.search(retriever, probe.ask, k)
        notes = () if isinstance(retriever, Chain) else notes_on(passages, k)
        time_taken = None if limit is None else self._milliseconds(retriever, probe, k, limit)
        return judge(probe, passages[:k], time_taken, notes)

    def search(self, retriever: Retriever, query: str, k: int) -> list[Passage]:
        """All that a retriever finds, which may be more than it was asked for.

        Raises:
            EmbedQAError: As ``ask``.
        """
        if not isinstance(retriever, Chain):
            return passages_of(self._loop.finished(retriever(query, k)), name_of(retriever))
        kept = self._found.setdefault(retriever, {})
        if (query, k) not in kept:
            kept[query, k] = retriever(query, k)
        return kept[query, k]

    def close(self) -> None:
        """End the thread in which asynchronous retrievers were waited for, if there were any."""
        self._loop.close()

    def _milliseconds(self, retriever: Retriever, probe: Probe, k: int, limit: float) -> float:
        """Time of one retrieval, its query encoded anew; measured again while it is over the limit."""
        timed = retriever.fresh() if isinstance(retriever, Chain) else retriever
        best = float("inf")
        for _ in range(_TIMED_CALLS):
            began = time.perf_counter()
            self._loop.finished(timed(probe.ask, k))
            best = min(best, (time.perf_counter() - began) * 1000)
            if best <= limit:
                break
        return best


def require_callable(given: object) -> None:
    """Refuse what a project's fixture ``retriever`` can't have meant, before a ``TypeError`` of the call could be one of its own.

    Raises:
        EngineError: If it can't be called with a question and a number.
    """
    kind, problem = type(given).__name__, "can't be called"
    if callable(given):
        try:
            inspect.signature(given).bind("question", 1)
        except TypeError as error:
            problem = f"takes no (query, k): {error}"
        except ValueError:  # one of C may have no signature
            return
        else:
            return
    raise EngineError(
        f"The fixture 'retriever' returned a {kind}, which {problem}. It returns a callable, as in: lambda query, k: my_search(query)[:k]"
    )

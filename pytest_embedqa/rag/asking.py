"""Asks a retriever what probes ask, and judges what it finds."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.rag.judging import Answer, judge
from pytest_embedqa.rag.passage import Passage, Retriever
from pytest_embedqa.rag.probe import Probe
from pytest_embedqa.rag.retrieval import Chain

# Noise of a machine only ever adds time, so the best of a few calls is what retrieval takes.
_TIMED_CALLS = 3


def _milliseconds(retriever: Retriever, probe: Probe, k: int, limit: float) -> float:
    """Time of one retrieval, its query encoded anew; measured again while it is over the limit."""
    timed: Retriever = getattr(retriever, "fresh", lambda: retriever)()
    best = float("inf")
    for _ in range(_TIMED_CALLS):
        began = time.perf_counter()
        timed(probe.ask, k)
        best = min(best, (time.perf_counter() - began) * 1000)
        if best <= limit:
            break
    return best


def passages_of(found: Any, retriever: Retriever) -> list[Passage]:  # noqa: ANN401  whatever a user's retriever returns
    """What a retriever returned, as passages: it may also give texts, or mappings with the fields of a passage.

    Raises:
        EngineError: If it is anything else.
    """
    if isinstance(found, str | Mapping) or not isinstance(found, Iterable):
        raise EngineError(
            f"{name_of(retriever)} returned a {type(found).__name__}, but must return a list of passages."
        )
    return [_passage(one, retriever) for one in found]


def _passage(found: Any, retriever: Retriever) -> Passage:  # noqa: ANN401
    if isinstance(found, Passage):
        return found
    if isinstance(found, str):
        return Passage(found)
    if isinstance(found, Mapping) and isinstance(found.get("text"), str) and found.keys() <= vars(Passage("")).keys():
        return Passage(**found)
    raise EngineError(
        f"{name_of(retriever)} returned a {type(found).__name__} among its passages: {found!r:.100}. "
        "A passage is Passage(text, source=, page=, score=) of pytest_embedqa, such a mapping, or a text."
    )


def name_of(retriever: Retriever) -> str:
    """What to call a retriever."""
    named: str = getattr(retriever, "name", "") or getattr(retriever, "__name__", "") or type(retriever).__name__
    return named


def whereabouts(retriever: Retriever, answer: Answer) -> list[str]:
    """For each piece that did not come back, where it is beyond the k passages; in sentences.

    Only for retrievers that know how many passages they have: others can't be asked for all of them.
    """
    size: int | None = getattr(retriever, "size", None)
    expect = answer.probe.expect
    if not size or not expect:
        return []
    lost = [piece for piece, rank in zip(expect.pieces, answer.ranks, strict=True) if rank is None]
    everything = passages_of(retriever(answer.probe.ask, size), retriever) if lost else []
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
        passages = self._passages(retriever, probe.ask, k)
        return judge(probe, passages, None if limit is None else _milliseconds(retriever, probe, k, limit))

    def _passages(self, retriever: Retriever, query: str, k: int) -> list[Passage]:
        if not isinstance(retriever, Chain):
            return passages_of(retriever(query, k), retriever)[:k]
        kept = self._found.setdefault(retriever, {})
        if (query, k) not in kept:
            kept[query, k] = retriever(query, k)
        return kept[query, k]

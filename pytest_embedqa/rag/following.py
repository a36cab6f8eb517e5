"""The following of expected passages through a retriever: which stage lost them, and what would bring them back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from pytest_embedqa.rag.absence import why_absent
from pytest_embedqa.rag.blame import (
    BM25,
    CHUNKING,
    CUT,
    FUSION,
    INDEX,
    MODEL,
    PAGE,
    RERANKER,
    SEARCH,
    SOURCE,
    Followed,
    Loss,
    Rank,
)
from pytest_embedqa.rag.judging import place_of
from pytest_embedqa.rag.probe import Pattern

if TYPE_CHECKING:
    from pytest_embedqa.encoders.retrievers.passage import Passage
    from pytest_embedqa.rag.documents import Document
    from pytest_embedqa.rag.judging import Answer
    from pytest_embedqa.rag.retrieval import Chain

# Passages that a live system or a pipeline is asked for to see where an answer is: so many times k, and no fewer.
_MORE, _LEAST = 4, 50
# A larger k that is named beside another remedy is at most so many times as large.
_STILL = 10
_REMEDIES = {
    MODEL: "Another model, or words beside it (by: rrf), may.",
    BM25: "Its words are in other passages more: meaning beside them (by: rrf) may.",
    RERANKER: "Another reranker may.",
    INDEX: "Let the index look at more (such as efSearch, ef or nprobes), or check its metric and its vectors.",
}


def losses(chain: Chain, answer: Answer, k: int) -> list[Loss]:
    """Say for each piece that did not come back which stage lost it, and for each rejected one which stage let it in.

    Args:
        chain: The built-in chain.
        answer: Its judged answer.
        k: Number of passages that came back at most.
    """
    probe, found = answer.probe, []
    for piece in _missing(answer):
        places = chain.matching(piece.matches)
        if places:
            wanted, strict = min(k, piece.rank or k), piece.rank is not None and piece.rank < k
            found.append(_lost(piece, chain.follow(probe.ask, places, wanted, strict=strict), wanted, strict=strict))
        else:
            found.append(why_absent(piece, chain.documents(), lambda source: _passages_of(chain, source), chain.size))
    for reject in probe.reject if answer.intruders else ():
        wanted = min(k, reject.pattern.rank or k)
        if any(reject.pattern.matches(one, lenient=True) for one in answer.passages[:wanted]):
            places = chain.matching(partial(reject.pattern.matches, lenient=True))
            found.append(_let_in(reject.pattern, chain.follow(probe.ask, places, wanted), wanted))
    return found


def _passages_of(chain: Chain, source: str) -> list[Passage]:
    return chain.at(chain.matching(lambda one: one.source == source))


def _missing(answer: Answer) -> Iterator[Pattern]:
    pieces = answer.probe.expect.pieces if answer.probe.expect else ()
    yield from (piece for piece, rank in zip(pieces, answer.ranks, strict=True) if rank is None)


def _lost(piece: Pattern, followed: Followed, wanted: int, *, strict: bool) -> Loss:
    """Put what was found out about a piece into words."""
    stage = CUT if followed.near else followed.stage
    rank = followed.rank or followed.ranks[0].rank
    larger = ""
    if stage == CUT or (followed.rank and not followed.sure and followed.rank <= _STILL * wanted):
        larger = f"k={rank} would bring it back."
    if strict:
        larger = "It must come first." if wanted == 1 else f"It must be among the first {wanted}, whatever k is."
    own = "" if stage == CUT else followed.remedy or _REMEDIES.get(stage, "")
    return Loss(str(piece), stage, followed.ranks, remedy=f"{larger} {own}".strip())


def _let_in(pattern: Pattern, followed: Followed, wanted: int) -> Loss:
    """Name the stage that put a rejected passage among the wanted."""
    *before, last = followed.ranks
    high = [one for one in before if one.rank is not None and one.rank <= wanted]
    stage = last.kind
    if stage in {FUSION, INDEX} and high:
        stage = min(high, key=lambda one: one.rank or 0).kind
    return Loss(str(pattern), stage, followed.ranks, let_in=True)


def losses_of_live(
    search: Callable[[str, int], Sequence[Passage]],
    answer: Answer,
    k: int,
    documents: Callable[[], Iterable[Document]] | None = None,
) -> list[Loss]:
    """Say where the pieces are that a live system or a pipeline did not give, as far as its answers show.

    Args:
        search: Asks it for a number of passages.
        answer: Its judged answer.
        k: Number of passages that it was asked for.
        documents: Returns the documents as it has read them; ``None`` where it does not say.
    """
    missing = list(_missing(answer))
    asked = max(_MORE * k, _LEAST)
    passages = search(answer.probe.ask, asked) if missing else ()
    return [_lost_live(piece, passages, asked, k, documents) for piece in missing]


def _lost_live(
    piece: Pattern,
    passages: Sequence[Passage],
    asked: int,
    k: int,
    documents: Callable[[], Iterable[Document]] | None,
) -> Loss:
    rank = next((rank for rank, one in enumerate(passages, 1) if piece.matches(one)), None)
    wanted, count = min(k, piece.rank or k), len(passages)
    ranks = (Rank(SEARCH, "its search", rank, count),)
    if rank is not None:
        strict = piece.rank is not None and piece.rank < k
        return _lost(
            piece, Followed(ranks, rank, SEARCH, near=not strict and rank <= _MORE * wanted), wanted, strict=strict
        )
    elsewhere = [place_of(one) for one in passages if piece.has_text and piece.matches_text(one)]
    if elsewhere:
        stage = PAGE if any(piece.matches_text(one) and piece.matches_source(one) for one in passages) else SOURCE
        return Loss(
            str(piece),
            stage,
            found=f"not there: its text is in {elsewhere[0]}",
            remedy=f"Correct {stage} in the probe.",
        )
    if read := list(documents()) if documents else []:
        lost = why_absent(replace(piece, page=()), read, lambda _: (), count)
        if lost.stage != CHUNKING or count < asked:
            return lost
    few = f" It gave {count} of {asked} that were asked for." if count < asked else ""
    return Loss(str(piece), SEARCH, ranks, remedy=f"Its own stages can't be seen from outside.{few}")

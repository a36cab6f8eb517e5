"""Stages made of others: lists that are fused, and candidates that are ordered once more."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from pytest_embedqa.rag.blame import CANDIDATES, FUSION, MODEL, RERANKER, Followed, Rank, best_rank, reach
from pytest_embedqa.rag.fusion import Hit, Share, fused
from pytest_embedqa.rag.stages import PairStage, Stage, positions_of, present

# What a first stage has within so many times its candidates, or so far up, is worth another try with more of them.
_MORE, _ENOUGH = 2, 100


class Fused(Stage):
    """A stage that fuses the lists of several. What a list does not hold has no rank in it."""

    def __init__(
        self, parts: Sequence[Stage], fusion: tuple[str, Share], weights: Sequence[float], length: int, *, grows: bool
    ) -> None:
        """Assemble.

        Args:
            parts: The stages that search.
            fusion: Its name and its function.
            weights: Weight of each part.
            length: Length of the list of each part.
            grows: Whether lists are as long as the number of passages that are asked for, where that is more.
        """
        name, self._share = fusion
        self.name = f"{name} of {' and '.join(part.name for part in parts)}"
        self.scale = "ranks" if name == "rrf" else f"fused scores ({name})"
        self._parts, self._fusion, self._weights, self._length, self._grows = parts, fusion, weights, length, grows

    def __call__(self, query: str, k: int) -> list[Hit]:
        """Return the best of all lists."""
        return self._fused([part(query, self._most(k)) for part in self._parts])[:k]

    def order(self, query: str, positions: Sequence[int]) -> list[Hit]:
        """Return the passages, by the lists that the parts make of them; last those that no part finds."""
        lists = [part.order(query, positions) for part in self._parts]
        found = self._fused(
            [one if part.finds_all else present(one) for part, one in zip(self._parts, lists, strict=True)]
        )
        known = {position for position, _ in found}
        return [*found, *((position, 0.0) for position in sorted(set(positions) - known))]

    def follow(self, query: str, places: Collection[int], wanted: int, *, strict: bool = False) -> Followed:
        """Follow passages: what one list has among the wanted, the fusion loses; what none has, its lists."""
        length = self._most(wanted)
        parts = [part.follow(query, places, length) for part in self._parts]
        order = self._order(query, length)
        rank = best_rank(order, places)
        ranks = (*(one for part in parts for one in part.ranks), Rank(FUSION, self.name, rank, len(order)))
        if rank is not None and rank <= wanted:
            return Followed(ranks, rank)
        causes = [part.follow(query, places, wanted, strict=strict) for part in self._parts]
        if sure := next((one for one in causes if one.sure), None):
            return replace(sure, ranks=ranks, rank=rank)
        best, name = min(
            ((one.rank, part.name) for part, one in zip(self._parts, parts, strict=True) if one.rank), default=(0, "")
        )
        if 0 < best <= wanted:
            return Followed(ranks, rank, FUSION, f"Give {name} more weight, or take it alone.")
        if length < best <= max(_MORE * length, _ENOUGH):
            longer = best_rank(self._order(query, best)[:wanted], places)
            if longer:
                return Followed(ranks, rank, CANDIDATES, f"Lists of {best:,} passages would bring it to rank {longer}.")
        near = not strict and rank is not None and rank <= reach(wanted, len(order))
        lost = next((one for one in causes if one.stage == MODEL), causes[0])
        return replace(lost, ranks=ranks, rank=rank, near=near)

    def exact(self) -> Fused:
        """Return the stage with exact parts."""
        return self._of([part.exact() for part in self._parts])

    def prepare(self, queries: Sequence[str]) -> None:
        """Prepare all parts."""
        for part in self._parts:
            part.prepare(queries)

    def fresh(self) -> Fused:
        """Return the stage with fresh parts."""
        return self._of([part.fresh() for part in self._parts])

    def _of(self, parts: Sequence[Stage]) -> Fused:
        return Fused(parts, self._fusion, self._weights, self._length, grows=self._grows)

    def _order(self, query: str, length: int) -> list[int]:
        return positions_of(self._fused([part(query, length) for part in self._parts]))

    def _most(self, k: int) -> int:
        return max(k, self._length) if self._grows else self._length

    def _fused(self, lists: Sequence[list[Hit]]) -> list[Hit]:
        return fused(lists, self._weights, self._share)


class Reranked(Stage):
    """A stage that orders the candidates of another, all of them."""

    def __init__(self, first: Stage, second: Stage, candidates: int, *, grows: bool) -> None:
        """Assemble.

        Args:
            first: The stage that finds candidates.
            second: The stage that orders them.
            candidates: Number of candidates.
            grows: Whether there are as many candidates as passages that are asked for, where that is more.
        """
        self.name = f"{second.name} on {first.name}"
        self.scale = second.scale
        self._first, self._second, self._candidates, self._grows = first, second, candidates, grows

    def __call__(self, query: str, k: int) -> list[Hit]:
        """Return the best candidates."""
        return self._second.order(query, self._found(query, self._taken(k)))[:k]

    def order(self, query: str, positions: Sequence[int]) -> list[Hit]:
        """Return the candidates that the first stage chooses of these passages; the others are lost, as in a search."""
        chosen = [position for position, _ in self._first.order(query, positions)][: self._candidates]
        return self._second.order(query, chosen)

    def follow(self, query: str, places: Collection[int], wanted: int, *, strict: bool = False) -> Followed:
        """Follow passages: what is no candidate, the first stage loses, or the cut of its candidates; else the reranker."""
        taken = self._taken(wanted)
        first = self._first.follow(query, places, taken)
        order = positions_of(self._second.order(query, self._found(query, taken)))
        rank = best_rank(order, places)
        ranks = (*first.ranks, Rank(RERANKER, self._second.name, rank, len(order)))
        if rank is not None and rank <= wanted:
            return Followed(ranks, rank)
        if rank is not None:
            if first.rank is not None and first.rank <= wanted:
                return Followed(ranks, rank, RERANKER, f"Without it, it would come back at rank {first.rank}.")
            return Followed(ranks, rank, RERANKER, near=not strict and rank <= reach(wanted, len(order)))
        more = first.rank
        if more and more <= max(_MORE * taken, _ENOUGH) and not first.sure:
            again = best_rank(positions_of(self._second.order(query, self._found(query, more)))[:wanted], places)
            if again:
                return Followed(ranks, None, CANDIDATES, f"candidates: {more} would bring it to rank {again}.")
        return replace(first, ranks=ranks, rank=None, near=False)

    def exact(self) -> Reranked:
        """Return the stage with an exact first stage."""
        return Reranked(self._first.exact(), self._second, self._candidates, grows=self._grows)

    def prepare(self, queries: Sequence[str]) -> None:
        """Prepare the first stage, and score the candidates that it finds."""
        self._first.prepare(queries)
        if isinstance(self._second, PairStage):
            self._second.prepare_pairs((query, self._found(query, self._candidates)) for query in queries)
        else:
            self._second.prepare(queries)

    def fresh(self) -> Reranked:
        """Return the stage with fresh parts."""
        return Reranked(self._first.fresh(), self._second.fresh(), self._candidates, grows=self._grows)

    def _taken(self, k: int) -> int:
        return max(k, self._candidates) if self._grows else self._candidates

    def _found(self, query: str, count: int) -> list[int]:
        return positions_of(self._first(query, count))

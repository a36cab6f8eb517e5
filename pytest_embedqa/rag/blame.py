"""The stage that lost an expected passage: the words for it, shared by everything that follows passages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

# The stages, in the order in which a passage goes through them.
EXTRACTION, CHUNKING, SOURCE, PAGE = "extraction", "chunking", "source", "page"
MODEL, PROMPT, INDEX, BM25, SEARCH = "model", "prompt", "index", "bm25", "search"
FUSION, CANDIDATES, RERANKER, CUT = "fusion", "candidates", "reranker", "cut"
STAGES: Mapping[str, str] = {
    EXTRACTION: "in extraction",
    CHUNKING: "in chunking",
    SOURCE: "at another source",
    PAGE: "on another page",
    PROMPT: "by the prompt",
    MODEL: "by the model",
    INDEX: "by the index",
    BM25: "by BM25",
    SEARCH: "by the search",
    FUSION: "by the fusion",
    CANDIDATES: "by the cut of the candidates",
    RERANKER: "by the reranker",
    CUT: "by the cut at k",
}
# A passage at up to so many times k is lost by the cut, and one further down by what ranks it.
_NEAR = 4


@dataclass(frozen=True)
class Rank:
    """The rank of a passage at one stage.

    Attributes:
        kind: The kind of the stage, one of ``STAGES``.
        stage: Name of the stage, in words.
        rank: The rank, from 1; ``None`` where the stage does not give the passage.
        of: Number of passages that the stage gives.
    """

    kind: str
    stage: str
    rank: int | None
    of: int

    def __str__(self) -> str:
        """Return the rank, in words that continue "... is "."""
        if self.rank is None:
            return f"not among the {self.of:,} of {self.stage}"
        return f"at rank {self.rank:,} of {self.of:,} by {self.stage}"


@dataclass(frozen=True)
class Followed:
    """The way of some passages through a stage and the stages before it.

    Attributes:
        ranks: Rank of the best of them at each stage.
        rank: Rank at the last stage; ``None`` if it does not give them.
        stage: Stage that loses them; empty if they are among the wanted.
        remedy: A sentence on what would bring them back; empty if nothing better is known than a larger number.
        near: Whether the number of wanted passages is to blame rather than a stage.
        sure: Whether the stage is known to be at fault: done as it should be, it would not have lost them.
    """

    ranks: tuple[Rank, ...]
    rank: int | None
    stage: str = ""
    remedy: str = ""
    near: bool = False
    sure: bool = False


@dataclass(frozen=True)
class Loss:
    """The stage that lost an expected passage, or let a rejected passage in.

    Attributes:
        piece: The passage, as the probe describes it.
        stage: The stage, one of ``STAGES``.
        ranks: Rank at each stage; empty if no passage holds the text.
        found: What was found out, where there are no ranks; continues "... is ".
        remedy: What would bring it back, as sentences.
        let_in: Whether the passage was rejected and came back.
    """

    piece: str
    stage: str
    ranks: tuple[Rank, ...] = ()
    found: str = ""
    remedy: str = ""
    let_in: bool = False

    @property
    def line(self) -> str:
        """The loss in one line, which continues "lost " or "let in "."""
        seen = ", ".join(map(str, self.ranks)) or self.found
        return f"{STAGES[self.stage]}: {self.piece} is {seen}. {self.remedy}".rstrip()

    def facts(self) -> dict[str, Any]:
        """Return the loss, JSON-serialisable."""
        return {**asdict(self), "ranks": [asdict(one) for one in self.ranks], "line": self.line}


def reach(wanted: int, size: int) -> int:
    """Return the largest rank at which a larger ``k`` is the remedy.

    The best quarter of a corpus is no sign of a good ranking: one passage in four is there by chance.
    """
    return max(wanted, min(_NEAR * wanted, size // 4))


def counts(losses: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Count losses by their stage, in the order of the stages."""
    found = Counter(one["stage"] for one in losses if not one["let_in"])
    return Counter({stage: found[stage] for stage in STAGES if found[stage]})


def counted(losses: Iterable[Mapping[str, Any]]) -> str:
    """Return the numbers of losses by stage, in words; empty without any."""
    numbers = counts(losses).most_common()
    return ", ".join(f"{number} {STAGES[stage]}" for stage, number in numbers)


def best_rank(order: Sequence[int], places: Iterable[int]) -> int | None:
    """Return the rank, from 1, of the first of some positions in an order."""
    wanted = set(places)
    return next((rank for rank, position in enumerate(order, 1) if position in wanted), None)

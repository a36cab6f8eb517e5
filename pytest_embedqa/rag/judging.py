"""The judging of passages that came back against the expectations of a probe."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.core.requirement import Kind, Requirement
from pytest_embedqa.core.verdict import Outcome, Verdict
from pytest_embedqa.encoders.retrievers.passage import Passage
from pytest_embedqa.rag.blame import Loss
from pytest_embedqa.rag.folding import stands_in
from pytest_embedqa.rag.probe import PageSpan, Pattern, Probe, Reject

FOUND, REJECTED, LATENCY = "found", "rejected", "latency_ms"
_SNIPPET = 80
_UNKNOWN_PAGE = "It is of several pages, and does not say where each begins: let the retriever give page_starts"


@dataclass(frozen=True)
class Answer:
    """The judged answer of a retriever to a probe.

    Attributes:
        probe: The probe that was asked.
        passages: Passages that came back, the best first.
        ranks: For each expected piece, the rank of the first passage that matches it, from 1; ``None`` if none does.
        missing: Faults of the expected passages, as sentences.
        intruders: Rejected passages that came back, as sentences.
        span: Pages between the first and the last passage that answers; ``None`` where no passage has a page.
        milliseconds: Time of the retrieval, where it is limited.
        notes: Oddities of the answer that decide nothing, as sentences.
        in_short: Fault of the passages in a few words, the worst first; empty if there is none.
        lost: Stage that lost each piece that did not come back, or let each rejected one in, if they were followed.
    """

    probe: Probe
    passages: tuple[Passage, ...]
    ranks: tuple[int | None, ...]
    missing: tuple[str, ...]
    intruders: tuple[str, ...]
    span: int | None = None
    milliseconds: float | None = None
    notes: tuple[str, ...] = ()
    in_short: str = ""
    lost: tuple[Loss, ...] = ()

    @property
    def rank(self) -> int | None:
        """The rank of the first expected passage; ``None`` if none came back."""
        return min((rank for rank in self.ranks if rank), default=None)

    @property
    def recall(self) -> float | None:
        """The share of the expected pieces that came back, in [0, 1]; ``None`` if nothing was expected."""
        return sum(rank is not None for rank in self.ranks) / len(self.ranks) if self.ranks else None

    @property
    def too_slow(self) -> bool:
        """Whether the retrieval exceeded its time limit."""
        limit = self.probe.max_latency_ms
        return limit is not None and self.milliseconds is not None and self.milliseconds > limit

    @property
    def holds(self) -> bool:
        """Whether the probe holds in every respect."""
        return not (self.missing or self.intruders or self.too_slow)

    def verdicts(self, model: str) -> list[Verdict]:
        """Return a verdict each for expected passages, rejected passages and time, if the probe bounds them."""
        probe, verdicts = self.probe, []

        def verdict(called: str, promise: Requirement, value: float, problems: Iterable[str]) -> None:
            reason = " ".join(problems)
            outcome = Outcome.FAIL if reason else Outcome.PASS
            judged = (outcome, promise.bound, reason or f"{promise.measure} {value:g} is as required.")
            verdicts.append(Verdict.of(promise, value, judged, model=model, task=probe.name, requirement=called))

        if probe.expect:
            verdict("expect", Requirement(Kind.MIN, FOUND, 1.0), self.recall or 0.0, self.missing)
        if probe.reject:
            none = Requirement(Kind.MAX, REJECTED, 0.0)
            verdict("reject", none, float(len(self.intruders)), self.intruders)
        if probe.max_latency_ms is not None and self.milliseconds is not None:
            limit = Requirement(Kind.MAX, LATENCY, probe.max_latency_ms)
            slow = [f"Retrieval took {self.milliseconds:,.1f} ms; {probe.max_latency_ms:g} ms are allowed."]
            verdict(str(limit), limit, self.milliseconds, slow if self.too_slow else [])
        return verdicts


def judge(
    probe: Probe,
    passages: Sequence[Passage],
    milliseconds: float | None = None,
    notes: tuple[str, ...] = (),
    ranks_of: str = "",
) -> Answer:
    """Judge the passages that came back for a probe.

    Args:
        probe: The probe that was asked.
        passages: Passages that came back, the best first.
        milliseconds: Time of the retrieval, where it is limited.
        notes: Oddities of the answer that decide nothing.
        ranks_of: The way to search, if its scores only say ranks; empty if they can be compared.

    Raises:
        EngineError: If the probe has a margin, and passages have no scores or scores that contradict their order.
    """
    pieces = probe.expect.pieces if probe.expect else ()
    ranks = tuple(_rank(piece, passages) for piece in pieces)
    lost = [_absence(piece, passages) for piece, rank in zip(pieces, ranks, strict=True) if rank is None]
    missing, short = [sentence for sentence, _ in lost], [words for _, words in lost]
    if len(pieces) > 1 and lost:
        short = [f"{len(pieces) - len(lost)} of {len(pieces)} as expected"]
    answering = [(piece, passage) for passage in passages for piece in pieces if piece.matches(passage)]
    span = _span(answering)
    if probe.expect and probe.expect.page_span and not (span is not None and probe.expect.page_span.holds(span)):
        doubt = f" {_UNKNOWN_PAGE}." if any(piece.in_doubt(passage) for piece, passage in answering) else ""
        missing.append(_wrong_span(probe.expect.page_span, span) + doubt)
        short.append("no pages to compare" if span is None else f"{span} pages apart, not {probe.expect.page_span}")
    best = min((rank for rank in ranks if rank), default=None)
    intrusions = [intrusion for reject in probe.reject for intrusion in _intrusions(reject, passages, best, ranks_of)]
    intruders = tuple(sentence for sentence, _ in intrusions)
    first = next(iter([*(words for _, words in intrusions), *short]), "")
    return Answer(
        probe, tuple(passages), ranks, tuple(missing), intruders, span, milliseconds, notes=notes, in_short=first
    )


def unanswered(probe: Probe, problem: str) -> Answer:
    """Return the answer of a retriever that failed: everything is missed, for the given reason."""
    ranks = (None,) * len(probe.expect.pieces if probe.expect else ())
    return Answer(probe, (), ranks, (problem,), (), in_short="no answer: an error")


def _rank(piece: Pattern, passages: Sequence[Passage]) -> int | None:
    within = passages[: piece.rank]
    return next((rank for rank, passage in enumerate(within, 1) if piece.matches(passage)), None)


def _absence(piece: Pattern, passages: Sequence[Passage]) -> tuple[str, str]:
    """Say why no passage is the expected one, by the passage that comes closest: in a sentence, and in a few words."""
    for rank, passage in enumerate(passages, 1):
        if piece.matches(passage):
            sentence = f"{piece} came back at rank {rank}; rank {piece.rank} or better was expected."
            return sentence, f"rank {rank}, not in the top {piece.rank}"
    with_text = [(rank, passage) for rank, passage in enumerate(passages, 1) if piece.matches_text(passage)]
    if piece.has_text and with_text:
        rank, passage = next((one for one in with_text if piece.matches_source(one[1])), with_text[0])
        pages = piece.pages_in(passage)
        there = replace(passage, page=pages[0], last_page=pages[-1]) if pages else passage
        sentence = f"the text of {piece} came back at rank {rank}, but from {place_of(there)}.{_doubt(piece, passage)}"
        return sentence, _wrong_place(piece, passage)
    if not passages:
        return f"{piece}: nothing came back.", "nothing came back"
    doubt = "" if piece.has_text else next((doubt for passage in passages if (doubt := _doubt(piece, passage))), "")
    return (
        f"{piece} is not among the {len(passages)} passages that came back.{doubt}",
        "source or page unknown" if doubt else "not found",
    )


def _wrong_place(pattern: Pattern, passage: Passage) -> str:
    """Say in a few words what is wrong with the place of a passage that has the right text."""
    if not pattern.matches_source(passage):
        return f"wrong source: {passage.source}" if passage.source else "source unknown"
    return f"wrong page: {_pages(passage)}" if passage.page else "page unknown"


def _doubt(pattern: Pattern, passage: Passage) -> str:
    """Say in a sentence which part of a pattern a passage leaves unknown; empty if it leaves none."""
    if pattern.source is not None and passage.source is None:
        return " It does not say from which document it is: leave source out, or let the retriever say it."
    if pattern.page and passage.page is None and pattern.matches_source(passage, lenient=True):
        return " That document has no pages, or the retriever does not say them: leave page out."
    if pattern.page and pattern.in_doubt(passage) and not pattern.matches_page(passage):
        return f" {_UNKNOWN_PAGE}, or leave page out."
    return ""


def _span(answering: Iterable[tuple[Pattern, Passage]]) -> int | None:
    """Return the largest distance in pages between two places of these pieces in one document."""
    pages: dict[str | None, list[int]] = {}
    for piece, passage in answering:
        pages.setdefault(passage.source, []).extend(piece.pages_in(passage))
    return max((max(numbers) - min(numbers) for numbers in pages.values() if numbers), default=None)


def _wrong_span(wanted: PageSpan, span: int | None) -> str:
    if span is None:
        return f"page_span {wanted}: no passage that answers has a page."
    return f"page_span {wanted}: the passages that answer lie {span} pages apart."


def _intrusions(
    reject: Reject, passages: Sequence[Passage], best: int | None, ranks_of: str
) -> Iterable[tuple[str, str]]:
    """Yield each rejected passage that came back: in a sentence, and in a few words."""
    short = "rejected text came back"
    for rank, passage in enumerate(passages[: reject.pattern.rank], 1):
        if not reject.pattern.matches(passage, lenient=True):
            continue
        at = f"{reject.pattern} must not come back, and is at rank {rank} ({place_of(passage)}).{_doubt(reject.pattern, passage)}"
        if reject.margin is None:
            yield at, short
        elif best is None:
            yield f"{at} The expected passage, which it may follow, is not there.", short
        elif rank == best:
            yield (
                f"{at} It is in the expected passage itself: cut documents smaller, or reject something else.",
                "with rejected text",
            )
        elif reject.margin and ranks_of:
            sentence = f"{at} margin compares scores, and those of {ranks_of} only say ranks: use margin: 0, or another way to retrieve."
            yield sentence, "margin needs scores"
        elif (lead := _margin(passages, best, rank)) < reject.margin:
            sentence = (
                f"{reject.pattern} at rank {rank} ({place_of(passage)}) {_scored(passage)}, the expected passage "
                f"{_scored(passages[best - 1])}: a margin of {reject.margin:g} is required, but it is {lead:+.4f}."
            )
            yield sentence, f"margin {lead:+.4f}, not {reject.margin:g}"


def _margin(passages: Sequence[Passage], expected: int, rejected: int) -> float:
    """Return how much higher one passage scores than another, both given by rank."""
    scores = [passages[rank - 1].score for rank in (expected, rejected)]
    if None in scores:
        rank = (expected, rejected)[scores.index(None)]
        raise EngineError(
            f"margin compares scores, but the passage at rank {rank} has none. Let the retriever give them, or use reject without margin."
        )
    margin = float(scores[0] or 0.0) - float(scores[1] or 0.0)
    if margin * (rejected - expected) < 0:  # with opposite signs, nobody can tell which passage is better
        first, second = sorted((expected, rejected))
        raise EngineError(
            f"margin compares scores, and those of this retriever contradict its order: rank {first} {_scored(passages[first - 1])}, "
            f"rank {second} {_scored(passages[second - 1])}. Where less is better, return Passage(text, distance=...); "
            "otherwise return the best passage first."
        )
    return margin


def _scored(passage: Passage) -> str:
    if passage.distance is not None:
        return f"has distance {passage.distance:.4f}"
    return f"scores {passage.score:.4f}"


def place_of(passage: Passage) -> str:
    """Return the document and page of a passage, in words."""
    pages = "" if passage.page is None else f" page {_pages(passage)}"
    return (passage.source or "an unnamed document") + pages


def _pages(passage: Passage) -> str:
    last = "" if passage.last_page in {None, passage.page} else f"-{passage.last_page}"
    return f"{passage.page}{last}"


def snippet_of(passage: Passage, probe: Probe) -> str:
    """Return a short cut of a passage on one line, around the text that was looked for, if it has that."""
    line = " ".join(passage.text.split())
    pieces = probe.expect.pieces if probe.expect else ()
    wanted = [one for piece in pieces for one in (piece.contains, *piece.any_of) if one and stands_in(one, line)]
    start = max(_end_of(wanted[0], line) - len(wanted[0]) - _SNIPPET // 4, 0) if wanted else 0
    end = start + _SNIPPET
    return f"{'…' if start else ''}{line[start:end]}{'…' if end < len(line) else ''}"


def _end_of(piece: str, line: str) -> int:
    """Return the end of the first match of a text in a line: the length of the shortest prefix that contains it."""
    return bisect_left(range(len(line)), x=True, key=lambda end: stands_in(piece, line[:end]))

"""Why no passage of a corpus is the expected one: extraction, cutting, or another place than the probe names."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from pytest_embedqa.encoders.retrievers.passage import Passage
from pytest_embedqa.rag.blame import CHUNKING, EXTRACTION, PAGE, SOURCE, Loss
from pytest_embedqa.rag.documents import Document
from pytest_embedqa.rag.folding import comparable
from pytest_embedqa.rag.probe import Pattern

# Characters of documents that are searched for the nearest text.
_MOST_SEARCHED = 500_000
# The least share of a text that must be somewhere to be worth a word.
_NEARLY = 0.5
_SHOWN = 40
_MOST_PAGES = 5


@dataclass(frozen=True)
class _Seen:
    """A document in which a text was looked for.

    Attributes:
        whole: The document as one passage, with its pages.
        blank: Numbers of its pages without text.
        notes: What could not be read of it.
    """

    whole: Passage
    blank: tuple[int, ...]
    notes: tuple[str, ...]


def why_absent(
    piece: Pattern, documents: Iterable[Document], passages_of: Callable[[str], Sequence[Passage]], count: int
) -> Loss:
    """Say which stage before the search lost a piece that no passage is.

    Args:
        piece: The expected piece.
        documents: The documents of the corpus.
        passages_of: Returns the passages of a document, in the order of its text.
        count: Number of all passages.
    """
    named, elsewhere, read = [], [], 0
    for document in documents:
        read += 1
        one = _seen(document)
        if not piece.matches_source(one.whole):
            elsewhere += [one.whole.source] if piece.has_text and piece.matches_text(one.whole) else []
            continue
        if piece.matches(one.whole):
            return _cut(piece, one.whole, passages_of(document.source))
        named.append(one)
    if lost := _of_place(piece, named, elsewhere):
        return lost
    holes = [hole for one in named for hole in _holes(piece, one)]
    remedy = (
        holes[0]
        if holes
        else _nearest(piece, [one.whole for one in named]) or "Check its text, and how documents are read."
    )
    where = f"the {len(named)} documents that it may be in" if len(named) < read else f"the {read:,} documents"
    return Loss(str(piece), EXTRACTION, found=f"in none of {where}, nor in the {count:,} passages", remedy=remedy)


def _seen(document: Document) -> _Seen:
    text, starts = document.joined()
    whole = Passage(text, document.source)
    if not document.paged:
        return _Seen(whole, (), document.notes)
    blank = tuple(number for number, page in enumerate(document.pages, 1) if not page.strip())
    paged = replace(whole, page=1, last_page=len(starts), page_starts=tuple(starts[1:]))
    return _Seen(paged, blank, document.notes)


def _of_place(piece: Pattern, named: Sequence[_Seen], elsewhere: Sequence[str | None]) -> Loss | None:
    """Return the loss of a text that stands elsewhere than the probe says, unless that place was not read whole."""
    there = [one.whole for one in named if piece.has_text and piece.matches_text(one.whole)]
    if piece.page and there and not any(set(piece.page) & set(one.blank) for one in named):
        found = there[0]
        pages = piece.pages_in(found)
        at = f"page {_numbers(pages)} of {found.source}" if pages else f"{found.source}, which has no pages"
        return Loss(
            str(piece), PAGE, found=f"on no such page: the text is on {at}", remedy="Correct page in the probe."
        )
    if piece.source and not there and elsewhere and not any(hole for one in named for hole in _holes(piece, one)):
        others = f" and {len(elsewhere) - 1} other documents" if len(elsewhere) > 1 else ""
        found_in = f"in no such document: the text is in {elsewhere[0]}{others}"
        return Loss(str(piece), SOURCE, found=found_in, remedy="Correct source in the probe, or the document.")
    return None


def _holes(piece: Pattern, one: _Seen) -> Iterator[str]:
    """Yield what was not read of a document and may hold a piece, as sentences."""
    pages = [page for page in one.blank if not piece.page or page in piece.page]
    if pages:
        has = "have" if len(pages) > 1 else "has"
        yield f"Page {_numbers(pages)} of {one.whole.source} {has} no text: scanned? Recognise its text first (OCR)."
    yield from (f"{note.rstrip('.')}." for note in one.notes)


def _numbers(pages: Sequence[int]) -> str:
    more = f" and {len(pages) - _MOST_PAGES} more" if len(pages) > _MOST_PAGES else ""
    return ", ".join(map(str, pages[:_MOST_PAGES])) + more


def _cut(piece: Pattern, whole: Passage, passages: Sequence[Passage]) -> Loss:
    """Name the passages of a document between which a text is cut: the last that it needs, and then the first."""

    def holds(first: int, last: int) -> bool:
        return piece.matches_text(Passage(_merged(passages[first:last])))

    last = bisect_left(range(1, len(passages) + 1), x=True, key=lambda end: holds(0, end)) + 1
    first = last - 1 - bisect_left(range(1, last + 1), x=True, key=lambda back: holds(last - back, last))
    if last > len(passages) or first < 0 or last - first < 2:  # noqa: PLR2004  headings before passages stand between
        found = f"in {whole.source}, but whole in none of its passages"
    elif last - first == 2:  # noqa: PLR2004
        found = f"cut in two passages, #{first + 1} and #{last} of {len(passages)} of {whole.source}"
    else:
        found = f"spread over the passages #{first + 1} to #{last} of {len(passages)} of {whole.source}"
    return Loss(
        str(piece),
        CHUNKING,
        found=found,
        remedy="A larger size, or an overlap longer than the text, would keep it whole.",
    )


def _merged(passages: Sequence[Passage]) -> str:
    """Return passages as one text, without what each repeats of the passage before it."""
    text = ""
    for passage in passages:
        longest = min(len(text), len(passage.text))
        overlap = next((size for size in range(longest, 0, -1) if text.endswith(passage.text[:size])), 0)
        # A blank may have been left out between them, or none.
        text += passage.text[overlap:] if overlap or not text else f"\n{passage.text}"
    return text


def _nearest(piece: Pattern, wholes: Sequence[Passage]) -> str:
    """Say which part of a text is there, if it is a large one: a typing error, or signs that were not read."""
    wanted = comparable(piece.contains or next(iter(piece.any_of), ""))
    best, where = "", None
    searched = 0
    for whole in wholes if wanted else ():
        searched += len(whole.text)
        if searched > _MOST_SEARCHED:
            break
        text = comparable(whole.text)
        match = SequenceMatcher(None, wanted, text, autojunk=False).find_longest_match()
        if match.size > len(best):
            best, where = wanted[match.a : match.a + match.size], whole.source
    if len(best) < _NEARLY * len(wanted):
        return ""
    shown = f"{best[:_SHOWN]}…" if len(best) > _SHOWN else best
    return f"The nearest there is '{shown.strip()}' in {where}: a slip in the probe, or signs that were not read?"

"""The cutting of documents into passages, by the encoder's own count of tokens, lazily, with their pages."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec

from pytest_embedqa.core.errors import MissingExtraError, SpecError
from pytest_embedqa.encoders.retrievers.passage import Passage
from pytest_embedqa.rag.choices import Chunking
from pytest_embedqa.rag.documents import Document
from pytest_embedqa.rag.documents.lines import CJK
from pytest_embedqa.rag.sections import Section, sections_of

CountTokens = Callable[[Sequence[str]], Sequence[int]]

_Count = Callable[[str], int]
_Span = tuple[int, int]

# Chinese and Japanese have no blanks between words: texts are cut between characters.
_WORD = re.compile(rf"(?!\s)[{CJK}]|[^\s{CJK}]+")
# Largest share of a passage for the path, and for the path with the heading itself: text needs room, too.
_PATH_SHARE = 0.5
_HEADINGS_SHARE = 0.75
_JOINED = " > "
# A splitter asks repeatedly for counts of the same few pieces, more so with an overlap.
_RECENT_COUNTS = 64


def chunked(documents: Iterable[Document], chunking: Chunking, count_tokens: CountTokens) -> Iterator[Passage]:
    """Cut documents into passages, one document after the other.

    Every character of a document except white space ends up in a passage. A passage has at most ``chunking.size``
    tokens, unless a single character has more. With ``headings`` a passage of a Markdown document never joins two
    sections; a heading goes with the text that follows it. With ``heading_path`` documents are always split at their
    headings, since a path holds for a whole passage; a path takes up to half of a passage, and loses its outer headings
    first.

    Args:
        documents: The documents, read one at a time.
        chunking: The way to cut.
        count_tokens: Function that counts each text's tokens with special tokens, as an encoder does.

    Yields:
        Passages in the order of the text, with the pages on which they begin and end if the document has pages.

    Raises:
        SpecError: If the overlap leaves no room for new text.
        MissingExtraError: If the splitter is not installed.
    """
    if chunking.by != "tokens" and find_spec("semantic_text_splitter") is None:
        raise MissingExtraError("semantic-text-splitter", "rag", f"Cutting documents by {chunking.by}")
    (special,) = count_tokens([""])
    overlap = chunking.overlap + special if chunking.overlap else 0
    if max(overlap, special) >= chunking.size:
        raise SpecError(
            f"Passages of {chunking.size} tokens with an overlap of {chunking.overlap} hold nothing new: prompt and "
            f"special tokens take {special} of them. Raise the size or lower the overlap."
        )

    @lru_cache(_RECENT_COUNTS)
    def count(text: str) -> int:
        return count_tokens([text])[0]

    for document in documents:
        text, starts = document.joined()
        markdown = document.format == "markdown"
        by_headings = markdown and (chunking.by == "headings" or chunking.heading_path)
        parts = sections_of(text) if by_headings else [Section(0, 0, len(text), ())]
        sections = [stripped for part in parts if (stripped := part.stripped(text)).start < stripped.end]
        paths = [_path(section, chunking, count) if chunking.heading_path else "" for section in sections]
        sizes = count_tokens([path + text[one.start : one.end] for one, path in zip(sections, paths, strict=True)])
        for section, path, size in zip(sections, paths, sizes, strict=True):
            whole = [(section.start, section.end)]
            pieces = whole if size <= chunking.size else _pieces(text, section, path, _Rules(chunking, count, markdown))
            for start, end in pieces:
                before = path if path and count(path + text[start:end]) <= chunking.size else ""
                if not document.paged:
                    yield Passage(before + text[start:end], document.source)
                    continue
                first, last = (bisect_right(starts, at) for at in (start, end - 1))
                inner = tuple(len(before) + at - start for at in starts[first:last])
                yield Passage(before + text[start:end], document.source, first, last, page_starts=inner)


def _path(section: Section, chunking: Chunking, count: _Count) -> str:
    """Return the headings above a section and the break after them; without room for all, the inner headings."""
    room = (chunking.size - chunking.overlap) * _PATH_SHARE
    paths = (_JOINED.join(section.path[at:]) + "\n\n" for at in range(len(section.path)))
    return next((path for path in paths if count(path) <= room), "")


@dataclass(frozen=True)
class _Rules:
    """The rules by which one document is cut."""

    chunking: Chunking
    count: _Count
    markdown: bool

    def cut(self, text: str, before: str) -> Iterator[_Span]:
        """Yield spans of a text that is too long; each leaves room for the text ``before`` it."""
        by, special = self.chunking.by, self.count("")
        size = self.chunking.size - (self.count(before) - special)
        overlap = self.chunking.overlap + special if self.chunking.overlap else 0
        if by == "tokens":
            yield from _windows(text, size, overlap, self.count)
            return
        from semantic_text_splitter import MarkdownSplitter, TextSplitter

        splitter = MarkdownSplitter if self.markdown and by == "headings" else TextSplitter
        for start, piece in splitter.from_callback(self.count, size, overlap=overlap).chunk_indices(text):
            if self.count(piece) <= size:
                yield start, start + len(piece)
            else:  # the splitter misjudges a character of many tokens
                yield from ((start + one, start + other) for one, other in _windows(piece, size, 0, self.count))


def _pieces(text: str, section: Section, path: str, rules: _Rules) -> list[_Span]:
    """Return spans of a section that is too long; the first span with text has the headings before it.

    Where headings and path leave too little room, the path is dropped, as the headings repeat its end; where all
    headings leave too little room, the outer headings get spans of their own.
    """
    body, end = section.body, section.end
    chunking, count = rules.chunking, rules.count
    room = (chunking.size - chunking.overlap) * _HEADINGS_SHARE

    def spans(start: int, until: int, before: str) -> list[_Span]:
        return [(start + one, start + other) for one, other in rules.cut(text[start:until], before)]

    for head, lead in ((head, lead) for head in section.heads for lead in dict.fromkeys([path, ""])):
        heading = lead + text[head:body]
        if body >= end or count(heading) > room:
            continue
        (_, first), *others = spans(body, end, max(heading, path, key=count))
        if count(lead + text[head:first]) <= chunking.size:
            outer = spans(section.start, head, path) if text[section.start : head].strip() else []
            return [*outer, (head, first), *others]
    return spans(section.start, end, path)


def _windows(text: str, size: int, overlap: int, count: _Count) -> Iterator[_Span]:
    """Yield spans of as many whole words as fit; each repeats as many words of the span before as fit the overlap."""
    words = [found.span() for found in _WORD.finditer(text)]

    def tokens(first: int, last: int) -> int:
        return count(text[words[first][0] : words[last - 1][1]])

    def forward(first: int, guess: int) -> int:
        return _most(lambda number: tokens(first, first + number), len(words) - first, size, guess)

    def back(last: int, most: int) -> int:
        return _most(lambda number: tokens(last - number, last), most, overlap, overlap)

    first = last = 0
    width = size
    while last < len(words):
        found = forward(first, width)
        if first < last and first + found <= last:  # the repeated words leave no room for the next word
            first = last
            continue
        start, end = words[first]
        if not found and end - start > 1:  # a single word is too long
            words[first : first + 1] = [(at, at + 1) for at in range(start, end)]
            continue
        width = max(found, 1)
        last = first + width
        yield words[first][0], words[last - 1][1]
        first = last - (back(last, width - 1) if overlap else 0)


def _most(tokens: Callable[[int], int], most: int, limit: int, guess: int) -> int:
    """Return the largest number of words, up to ``most``, that have at most ``limit`` tokens.

    Tokens grow about evenly with words, so the number is interpolated between fitting and exceeding numbers.
    """
    fits, fitting = 0, 0
    over, exceeding = most + 1, 0
    trial = guess
    while over - fits > 1 and fitting < limit:
        trial = max(fits + 1, min(over - 1, trial))
        if (found := tokens(trial)) <= limit:
            fits, fitting = trial, found
        else:
            over, exceeding = trial, found
        trial = fits + (limit - fitting) * (over - fits) // (exceeding - fitting) if exceeding else 2 * trial
    return fits

"""Documents become passages: cut by the encoder's own count of tokens, lazily, with the pages they are from."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise

from pytest_embedqa.core.errors import MissingExtraError, SpecError
from pytest_embedqa.rag.choices import Chunking
from pytest_embedqa.rag.documents import Document
from pytest_embedqa.rag.documents.lines import CJK
from pytest_embedqa.rag.passage import Passage

CountTokens = Callable[[Sequence[str]], Sequence[int]]

_Count = Callable[[str], int]
_Span = tuple[int, int]
_Cut = Callable[[str], Iterator[_Span]]

# Chinese and Japanese have no blanks between words: they are cut between characters.
_WORD = re.compile(rf"[{CJK}]|[^\s{CJK}]+")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_FENCE = re.compile(r" {0,3}(```+|~~~+)")
_HEADING = re.compile(r" {0,3}#{1,6}(\s|$)")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)\s*$")
# A splitter asks again about a few pieces that it has just asked about, more so with an overlap.
_RECENT_COUNTS = 64


def chunked(documents: Iterable[Document], chunking: Chunking, count_tokens: CountTokens) -> Iterator[Passage]:
    """Cut documents into passages, one document after the other.

    Every character of a document that is not white space is in a passage. A passage is of at most ``chunking.size``
    tokens, unless a single character is of more. With ``headings`` a passage of a Markdown document never joins two
    sections, but a heading without text of its own goes with the next one.

    Args:
        documents: The documents; taken one at a time.
        chunking: Where to cut.
        count_tokens: Tokens of each text, special tokens included, as an encoder counts them.

    Yields:
        Passages in the order of the text, with the pages on which they begin and end if the document has pages.

    Raises:
        SpecError: If the overlap leaves no room for new text.
        MissingExtraError: If the splitter is not installed.
    """
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

    cuts = {markdown: _cut(chunking, overlap, count, markdown=markdown) for markdown in (False, True)}
    for document in documents:
        text, starts = document.joined()
        markdown = document.format == "markdown"
        sections = _sections(text) if markdown and chunking.by == "headings" else [(0, len(text))]
        pieces = [span for span in (_stripped(text, *section) for section in sections) if span]
        sizes = count_tokens([text[start:end] for start, end in pieces])
        for (start, end), size in zip(pieces, sizes, strict=True):
            inner = [(0, end - start)] if size <= chunking.size else cuts[markdown](text[start:end])
            for first, last in inner:
                pages = [bisect_right(starts, start + at) for at in (first, last - 1)] if document.paged else [None] * 2
                yield Passage(text[start + first : start + last], document.source, *pages)


def _cut(chunking: Chunking, overlap: int, count: _Count, *, markdown: bool) -> _Cut:
    """What cuts a text that is too long; ``overlap`` is that of texts as they are counted."""
    if chunking.by == "tokens":
        return lambda text: _windows(text, chunking.size, overlap, count)
    try:
        from semantic_text_splitter import MarkdownSplitter, TextSplitter  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("semantic-text-splitter", "rag", f"Cutting documents by {chunking.by}") from None
    splitter = MarkdownSplitter if markdown and chunking.by == "headings" else TextSplitter
    split = splitter.from_callback(count, chunking.size, overlap=overlap).chunk_indices
    return lambda text: ((start, start + len(piece)) for start, piece in split(text))


def _sections(text: str) -> Iterator[_Span]:
    """Spans of a Markdown text that each begin with a heading, except perhaps the first. A ``#`` in code is no heading."""
    lines = _LINE.findall(text)
    starts, fence, has_text = [0], "", False
    for line, following, at in zip(lines, [*lines[1:], ""], accumulate(map(len, lines), initial=0), strict=False):
        mark = _FENCE.match(line)
        underlined = bool(line.strip() and not _UNDERLINE.match(line) and _UNDERLINE.match(following))
        if fence:
            fence = "" if mark and mark[1].startswith(fence) else fence
        elif mark:
            fence, has_text = mark[1], True
        elif _HEADING.match(line) or underlined:
            if has_text:
                starts.append(at)
            has_text = False
        else:
            has_text |= bool(line.strip()) and not _UNDERLINE.match(line)
    return pairwise([*starts, len(text)])


def _stripped(text: str, start: int, end: int) -> _Span | None:
    """The span without white space at its ends; ``None`` if nothing is left."""
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip())
    length = len(piece.strip())
    return (start, start + length) if length else None


def _windows(text: str, size: int, overlap: int, count: _Count) -> Iterator[_Span]:
    """Spans of as many whole words as fit; each goes back into the one before by as many as fit the overlap."""
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
        if first < last and first + found <= last:  # the repeated words leave no room for the next one
            first = last
            continue
        start, end = words[first]
        if not found and end - start > 1:  # a word that is too long by itself
            words[first : first + 1] = [(at, at + 1) for at in range(start, end)]
            continue
        width = max(found, 1)
        last = first + width
        yield words[first][0], words[last - 1][1]
        first = last - (back(last, width - 1) if overlap else 0)


def _most(tokens: Callable[[int], int], most: int, limit: int, guess: int) -> int:
    """The largest number of words, up to ``most``, that are of at most ``limit`` tokens.

    Tokens grow about evenly with words, so the number is interpolated between one that fits and one that does not.
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

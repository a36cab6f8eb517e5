"""Running heads, page numbers and footnotes of a PDF, which interrupt sentences."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from pytest_embedqa.rag.documents.lines import Words, in_sentence, joined_lines
from pytest_embedqa.rag.documents.pdf_lines import Line

# Margins that contain heads and feet, as a share of the page's height.
_MARGIN = 0.12
# Running heads stand at the same height on each page, within this many points.
_SAME_HEIGHT = 3
# Footnotes are set in a font of at most this share of the text's size.
_SMALL = 0.92
_MARK = re.compile(r"[\d*†‡§¹²³⁰-⁹\[(①-⑳]")
# A title is larger than the text by at least this factor.
_TITLE = 1.15
_NUMBER = re.compile(r"\d{1,9}")
# A line that tells only the page number; other counting lines, such as an invoice's number, are text.
_PAGE_NUMBER = re.compile(r"(?i)(?:\W|\d{1,9}|\b(?:pages?|seiten?|of|von|p|s)\b|[第页頁共])+")


@dataclass
class Page:
    """The lines of a page, in parts.

    Attributes:
        lines: Lines of the text, in reading order.
        bottom: Lower edge, in points.
        height: Height, in points.
        heads: Running heads to keep.
        feet: Running feet and footnotes to keep.
    """

    lines: list[Line]
    bottom: float
    height: float
    heads: list[Line] = field(default_factory=list)
    feet: list[Line] = field(default_factory=list)

    def keep(self, line: Line, *, top: bool) -> None:
        """Add a running line; lines nearer to the edge come first."""
        if top:
            self.heads.append(line)
        else:
            self.feet.insert(0, line)

    def text(self, words: Words) -> str:
        """Return the text, a paragraph a line. Heads and feet stand where they do not interrupt a sentence."""
        rows = {number for number, line in enumerate(self.lines) if line.is_row}
        paragraphs = joined_lines([line.text for line in self.lines], words, rows)
        heads, feet = ([line.text for line in lines] for lines in (self.heads, self.feet))
        start = int(bool(paragraphs) and paragraphs[0][0].islower())
        end = len(paragraphs) - bool(paragraphs and in_sentence(paragraphs[-1], ""))
        if end < start:  # the whole page is part of one sentence
            return "\n".join([*heads, *feet, *paragraphs])
        return "\n".join(
            [*paragraphs[:start], *heads, *paragraphs[start:end], *joined_lines(feet, words), *paragraphs[end:]]
        )


def set_apart(pages: list[Page]) -> None:
    """Move running heads and feet, and footnotes, out of the lines of pages.

    A head that is on several pages is kept on the first of them, a foot on the last; so is a page number. A line whose
    numbers count with the pages and which says more than that is kept on each page. A page that consists of such lines
    only, like one of several equal pages, keeps them except for its number.
    """
    whole = [page.lines for page in pages]
    for top in (True, False):
        while _take_outermost(pages, top=top):
            pass
    for page, lines in zip(pages, whole, strict=True):
        if not page.lines and all(_PAGE_NUMBER.fullmatch(line.text) for line in page.heads + page.feet):
            page.lines = [line for line in lines if not _PAGE_NUMBER.fullmatch(line.text)]
        _take_notes(page)


def _take_outermost(pages: list[Page], *, top: bool) -> bool:
    """Take the outermost line of each page on which it is a running line; return whether any was taken."""
    outermost: dict[int, Line] = {}
    for number, page in enumerate(pages):
        lines = [line for line in page.lines if line.pieces[0].angle == 0]
        if lines:
            line = (max if top else min)(lines, key=lambda line: line.base)
            share = (line.base - page.bottom) / page.height
            if (share > 1 - _MARGIN) if top else (share < _MARGIN):
                outermost[number] = line
    taken = False
    for key in (_as_it_is, _as_counted):
        groups: dict[str, list[int]] = defaultdict(list)
        for number, line in outermost.items():
            groups[key(line, pages[number], number)].append(number)
        for numbers in groups.values():
            height = outermost[numbers[0]].base
            same = [number for number in numbers if abs(outermost[number].base - height) < _SAME_HEIGHT]
            if len(same) > 1:  # a line on a single page does not run
                taken = True
                kept = same[0] if top else same[-1]
                for number in same:
                    line = outermost.pop(number)
                    pages[number].lines = [other for other in pages[number].lines if other is not line]
                    if number == kept or (key is _as_counted and not _PAGE_NUMBER.fullmatch(line.text)):
                        pages[number].keep(line, top=top)
    return taken


def _as_it_is(line: Line, _page: Page, _number: int) -> str:
    return line.text


def _as_counted(line: Line, page: Page, number: int) -> str:
    """Return a line with its first number relative to the page's number; a title, larger than the text, unchanged."""
    if line.size > _text_size(page) * _TITLE:
        return f"{number} {line.text}"
    return _NUMBER.sub(lambda found: f"\0{int(found[0]) - number}", line.text, count=1)


def _text_size(page: Page) -> float:
    """Return the size of most of the text, in points."""
    sizes = Counter[float]()
    for line in page.lines:
        sizes[round(line.size, 1)] += len(line.text)
    return sizes.most_common(1)[0][0]


def _take_notes(page: Page) -> None:
    if not page.lines:
        return
    text_size = _text_size(page)
    first = len(page.lines)
    while first and page.lines[first - 1].size < _SMALL * text_size:
        first -= 1
    notes = page.lines[first:]
    if first > 0 and notes and _MARK.match(notes[0].text):
        page.lines = page.lines[:first]
        page.feet = notes + page.feet

"""The sections of a Markdown text, as a renderer splits it: each with its headings, and the headings above it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from pytest_embedqa.core.errors import MissingExtraError

# Metadata at the start of a text, which renderers do not show: YAML as for Jekyll, or TOML as for Hugo. A line between
# rules that is no key, item or comment and is not indented makes the rules part of the text.
_FRONT_MATTER = re.compile(
    r"---[^\S\n]*\n(?:\#.*\n)*[\w\"'-][^:\n]*:(?:[^\S\n].*)?\n(?:(?=[^\S\n]|[-#\]}\n]|[^:\n]*:).*\n)*?(?:---|\.\.\.)[^\S\n]*(?:\n|$)"
    r"|\+\+\+[^\S\n]*\n(?:.*\n)*?\+\+\+[^\S\n]*(?:\n|$)"
)


@dataclass(frozen=True)
class Section:
    """A part of a text; it begins with its headings, if it has any.

    Attributes:
        start: Position where it begins.
        body: Position where its headings end.
        end: Position where it ends.
        path: Headings above its text, from the outermost to its own.
        heads: Positions where its headings begin.
    """

    start: int
    body: int
    end: int
    path: tuple[str, ...]
    heads: tuple[int, ...] = ()

    def stripped(self, text: str) -> Section:
        """Return the section without white space around its headings and its text."""
        start, body = (
            at + len(text[at : self.end]) - len(text[at : self.end].lstrip()) for at in (self.start, self.body)
        )
        return Section(start, body, start + len(text[start : self.end].rstrip()), self.path, self.heads)


def sections_of(text: str) -> Iterator[Section]:
    """Yield sections of a Markdown text; a heading without text joins the next section, front matter stands alone.

    Raises:
        MissingExtraError: If the parser is not installed.
    """
    try:
        from markdown_it import MarkdownIt
    except ImportError:
        raise MissingExtraError("markdown-it-py", "rag", "Cutting documents at headings") from None
    matter = _FRONT_MATTER.match(text)
    at = matter.end() if matter else 0
    # The parser takes other line ends for lines, too.
    blocks = MarkdownIt("commonmark").disable("inline").parse(text[at:].replace("\r", " "))
    lines = [at, *(at + found.end() for found in re.finditer("\n", text[at:])), len(text)]
    yield Section(0, 0, at, ())
    path: list[tuple[int, str]] = []
    start = body = at
    heads: list[int] = []
    for block, inner in pairwise(blocks):
        if block.type != "heading_open" or block.level or not block.map:
            continue
        first, last = (lines[line] for line in block.map)
        level = int(block.tag[1])
        if text[body:first].strip():
            yield Section(start, body, first, tuple(title for _, title in path), tuple(heads))
            start = first
            heads = []
        body = last
        heads.append(first)
        path = [one for one in path if one[0] < level]
        path.append((level, " ".join(inner.content.split())))
    yield Section(start, body, len(text), tuple(title for _, title in path), tuple(heads))

"""What the pages hold: blocks of code, code in their text, links and anchors."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "benchmarks" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "suites").rglob("README.md")),
    *sorted((ROOT / "examples").rglob("README.md")),
]


@dataclass(frozen=True)
class Block:
    """A fenced or an indented block.

    Attributes:
        page: The page that it stands on.
        line: Its first line there.
        language: First word behind the fence; empty for an indented block.
        file: Second word, the name of the file that a reader makes of it; empty if it is none.
        text: What is in it.
    """

    page: Path
    line: int
    language: str
    file: str
    text: str

    def __str__(self) -> str:
        """Where it is."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def lines(self) -> list[str]:
        """Its lines that are not blank; a line of a shell that goes on is one."""
        return [line for line in self.text.replace("\\\n", " ").splitlines() if line.strip()]


@cache
def _tokens(page: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))


def _inline(page: Path) -> Iterator[Token]:
    return (child for token in _tokens(page) for child in token.children or ())


def blocks() -> list[Block]:
    """Blocks of all pages."""
    return [
        Block(page, token.map[0] + 1, *(*token.info.split(), "", "")[:2], token.content)
        for page in PAGES
        for token in _tokens(page)
        if token.type in {"fence", "code_block"} and token.map
    ]


def code_spans(page: Path) -> Iterator[str]:
    """Code in the text and the tables of a page; an escaped bar of a table is a bar."""
    return (token.content.replace(r"\|", "|") for token in _inline(page) if token.type == "code_inline")


def links(page: Path) -> Iterator[str]:
    """Where the links and pictures of a page lead, if not to another site."""
    targets = [str(token.attrs.get("href") or token.attrs.get("src") or "") for token in _inline(page)]
    return (target for target in targets if target and "://" not in target)


@cache
def anchors(page: Path) -> set[str]:
    """Anchors of the headings of a page, as GitHub makes them."""
    tokens = _tokens(page)
    found: set[str] = set()
    for heading, text in itertools.pairwise(tokens):
        if heading.type == "heading_open":
            shown = "".join(child.content for child in text.children or ())
            slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
            found.add(next(name for n in range(99) if (name := f"{slug}-{n}" if n else slug) not in found))
    return found

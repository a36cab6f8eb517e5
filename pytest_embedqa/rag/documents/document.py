"""The text of one file of a corpus, whatever its format was."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_embedqa.rag.documents.lines import Words, continued, in_sentence


@dataclass(frozen=True)
class Document:
    """The text of one file.

    Attributes:
        source: Path below the corpus folder, with ``/``.
        pages: One text for each page; a single one for documents without pages.
        paged: Whether the pages are real.
        format: ``text`` or ``markdown``.
        notes: What could not be read, each a sentence that names the file.
    """

    source: str
    pages: tuple[str, ...]
    paged: bool = False
    format: str = "text"
    notes: tuple[str, ...] = ()

    def joined(self) -> tuple[str, list[int]]:
        """All pages as one text, a sentence that runs over a break kept whole, and where each page begins in it."""
        text, starts, words = "", [], Words(self.pages)
        for page in self.pages:
            if not text:
                text = page
            elif page:
                text = continued(text, page, words) if in_sentence(text, page) else f"{text}\n{page}"
            starts.append(len(text) - len(page))
        return text, starts

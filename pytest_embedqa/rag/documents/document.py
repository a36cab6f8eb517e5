"""The text of a corpus file, in whatever format the file was."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_embedqa.rag.documents.lines import Words, continued, in_sentence


@dataclass(frozen=True)
class Document:
    """The text of a single file.

    Attributes:
        source: Path below the corpus folder, with ``/``.
        pages: Text of each page; a single text for documents without pages.
        paged: Whether the file really has pages.
        format: ``text`` or ``markdown``.
        notes: Sentences about what could not be read, each with the file's name.
    """

    source: str
    pages: tuple[str, ...]
    paged: bool = False
    format: str = "text"
    notes: tuple[str, ...] = ()

    def joined(self) -> tuple[str, list[int]]:
        """Return all pages as one text, with sentences joined across page breaks, and the start of each page in it."""
        text, starts, words = "", [], Words(self.pages)
        for page in self.pages:
            if not text:
                text = page
            elif page:
                text = continued(text, page, words) if in_sentence(text, page) else f"{text}\n{page}"
            starts.append(len(text) - len(page))
        return text, starts

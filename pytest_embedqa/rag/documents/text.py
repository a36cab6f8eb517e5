"""Plain text and Markdown."""

from __future__ import annotations

from pathlib import Path

from pytest_embedqa.rag.documents.decoding import cleaned, decoded
from pytest_embedqa.rag.documents.document import Document


def read_text(path: Path, source: str, encoding: str | None = None) -> Document:
    """Read plain text.

    Raises:
        DataError: If the charset is unknown.
    """
    return Document(source, (cleaned(decoded(path, encoding)),))


def read_markdown(path: Path, source: str, encoding: str | None = None) -> Document:
    """Read Markdown.

    Raises:
        DataError: If the charset is unknown.
    """
    return Document(source, (cleaned(decoded(path, encoding)),), format="markdown")

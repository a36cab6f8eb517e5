"""A corpus of one file."""

from __future__ import annotations

from pytest_embedqa.rag.documents import read_documents


def only(path):
    """The one document of a corpus."""
    (document,) = read_documents(path)
    return document


def text_of(path):
    """The text of a document without pages."""
    (page,) = only(path).pages
    return page


def written(path, text, encoding="utf-8"):
    """A file with this text."""
    path.write_bytes(text.encode(encoding))
    return path

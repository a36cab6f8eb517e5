"""The files of a corpus, one document after the other; none is passed over unnoticed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from pytest_embedqa.core.errors import DataError, MissingDataError
from pytest_embedqa.encoders.digest import file_digest
from pytest_embedqa.rag.documents.document import Document
from pytest_embedqa.rag.documents.docx import read_docx
from pytest_embedqa.rag.documents.html import read_html
from pytest_embedqa.rag.documents.pdf import read_pdf
from pytest_embedqa.rag.documents.text import read_markdown, read_text

_READERS: dict[str, Callable[[Path, str], Document]] = {
    ".pdf": read_pdf,
    **dict.fromkeys([".docx", ".docm", ".dotx", ".dotm"], read_docx),
    ".html": read_html,
    ".htm": read_html,
    ".md": read_markdown,
    ".markdown": read_markdown,
    ".txt": read_text,
}


def read_documents(corpus: Path) -> Iterator[Document]:
    """Read the files of a corpus, one at a time, in the order of their names.

    Of Word files the body is read with its notes, not headers and footers. Of HTML what a browser shows is read. Hidden files
    are skipped; anything else that can't be read is an error, so that nothing is missing from a corpus unnoticed.

    Args:
        corpus: A folder, walked with its subfolders, or a single file.

    Raises:
        MissingDataError: If it does not exist.
        DataError: If a file is broken, encrypted, empty, or of a kind that is not read, or if there are no files.
        MissingExtraError: If the package that reads a kind of file is not installed.
    """
    for path, source in _files(corpus):
        document = _READERS[path.suffix.lower()](path, source)
        if not any(document.pages):
            raise DataError(f"{path} has no text. Take it out of the corpus, or give it text.")
        yield document


def digest(corpus: Path) -> str:
    """SHA-256 (hex) over the names and contents of the files that are read."""
    whole = hashlib.sha256()
    for path, source in _files(corpus):
        whole.update(f"{source}\0{file_digest(path)}\n".encode())
    return whole.hexdigest()


def sources(corpus: Path) -> list[str]:
    """Paths below a corpus folder of the documents that are read, with ``/``; nothing is read yet.

    Raises:
        MissingDataError, DataError: As ``read_documents``, about the files as such.
    """
    return [source for _, source in _files(corpus)]


def _files(corpus: Path) -> list[tuple[Path, str]]:
    """All files of a corpus, each with its path below the folder; all of a kind that is read."""
    if not corpus.exists():
        raise MissingDataError(
            f"The corpus {corpus} does not exist. Name a folder of documents, or a file, from the folder of the test."
        )
    if corpus.is_file():
        found = [(corpus, corpus.name)]
    else:
        below = ((path, path.relative_to(corpus)) for path in corpus.rglob("*") if path.is_file())
        # "~$" is how Word names the lock of an open file.
        found = [
            (path, name.as_posix()) for path, name in below if not any(p.startswith((".", "~$")) for p in name.parts)
        ]
    readable = ", ".join(_READERS)
    if not found:
        raise DataError(f"The corpus {corpus} has no files. Put documents there ({readable}).")
    for path, _ in found:
        if path.suffix.lower() not in _READERS:
            raise DataError(
                f"{path}: files of this kind are not read. Convert it to one of {readable}, or take it out of the corpus."
            )
    # A name in another charset (a zip from a Chinese Windows) stands in reports, digests and baselines as text.
    named = [(path, os.fsencode(name).decode("utf-8", "backslashreplace")) for path, name in found]
    return sorted(named, key=lambda one: one[1])

"""The files of a corpus, one document after the other; none is passed over unnoticed."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from pytest_embedqa.core.errors import DataError, MissingDataError
from pytest_embedqa.encoders.digest import file_digest
from pytest_embedqa.rag.documents.document import Document
from pytest_embedqa.rag.documents.docx import read_docx
from pytest_embedqa.rag.documents.html import read_html
from pytest_embedqa.rag.documents.pdf import read_pdf
from pytest_embedqa.rag.documents.text import read_markdown, read_text

_BINARY: dict[str, Callable[[Path, str], Document]] = {
    ".pdf": read_pdf,
    **dict.fromkeys([".docx", ".docm", ".dotx", ".dotm"], read_docx),
}
_TEXT: dict[str, Callable[[Path, str, str | None], Document]] = {
    ".html": read_html,
    ".htm": read_html,
    ".md": read_markdown,
    ".markdown": read_markdown,
    ".txt": read_text,
}
# What Windows puts into folders, and, by its beginning, how Word names the lock of an open file.
_NO_DOCUMENTS = {"thumbs.db", "ehthumbs.db", "desktop.ini"}
_HIDDEN = (".", "~$")


def read_documents(corpus: Path, encoding: str | Mapping[str, str] | None = None) -> Iterator[Document]:
    """Read the files of a corpus, one at a time, in the order of their names.

    Of Word files the body is read with its notes, not headers and footers. Of HTML what a browser shows is read. Hidden files
    are skipped and links followed; anything else that can't be read is an error, so that nothing is missing from a
    corpus unnoticed.

    Args:
        corpus: A folder, walked with its subfolders, or a single file.
        encoding: Charset of texts that are not UTF-8 and do not name one; or charsets by patterns of their paths below
            the corpus, of which the first that fits holds.

    Raises:
        MissingDataError: If it does not exist.
        DataError: If a file is broken, encrypted, empty, closed to this user, or of a kind or in a charset that is not
            read, if a link leads nowhere or in a circle, or if there are no files.
        MissingExtraError: If the package that reads a kind of file is not installed.
    """
    for path, source in _files(corpus):
        kind = path.suffix.lower()
        document = _BINARY[kind](path, source) if kind in _BINARY else _TEXT[kind](path, source, _of(source, encoding))
        if not any(document.pages):
            raise DataError(f"{path} has no text. Take it out of the corpus, or give it text.")
        yield document


def _of(source: str, encoding: str | Mapping[str, str] | None) -> str | None:
    """The charset that a document is said to be in."""
    if isinstance(encoding, Mapping):
        return next((charset for pattern, charset in encoding.items() if fnmatchcase(source, pattern)), None)
    return encoding


def state(corpus: Path) -> tuple[object, ...]:
    """What is another once a file of a corpus is added, removed or written: names, sizes and times, nothing is read.

    Of a corpus that can't be listed it is empty.
    """
    try:
        below = [corpus] if corpus.is_file() else _below(corpus, ())
        looked_at = [(path, path.stat()) for path in below]
    except (OSError, DataError):
        return ()
    return tuple((path, one.st_ino, one.st_size, one.st_mtime_ns, one.st_ctime_ns) for path, one in looked_at)


def first_outside(corpus: Path, folders: Sequence[Path]) -> Path | None:
    """The first of a corpus and its files that really lies in none of these folders: links lead anywhere.

    Of a corpus that can't be listed ``None``: it is not read either.
    """
    roots = [folder.resolve() for folder in folders]

    def outside(path: Path) -> bool:
        place = path.resolve()
        return not any(place.is_relative_to(root) for root in roots)

    if outside(corpus):
        return corpus
    with contextlib.suppress(OSError, DataError):
        return next(filter(outside, _below(corpus, ()) if corpus.is_dir() else ()), None)
    return None


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
    files = files_of(corpus)
    readable = ", ".join((*_BINARY, *_TEXT))
    for path, _ in files:
        if path.suffix.lower() not in {*_BINARY, *_TEXT}:
            raise DataError(
                f"{path}: files of this kind are not read. Convert it to one of {readable}, or take it out of the corpus."
            )
    return files


def files_of(corpus: Path) -> list[tuple[Path, str]]:
    """All files of a corpus, of any kind, each with its path below the folder; hidden ones are left out.

    Raises:
        MissingDataError, DataError: As ``read_documents``, about the files as such.
    """
    try:
        if not corpus.exists():
            raise MissingDataError(
                f"The corpus {corpus} does not exist. Name a folder of documents, or a file, from the folder of the test."
            )
        below = [corpus] if corpus.is_file() else list(_below(corpus, ()))
        for path in below:
            with path.open("rb"):
                pass
    except OSError as error:
        raise DataError(
            f"{error.filename} can't be read: {error.strerror}. Let this user read it, or take it out of the corpus."
        ) from None
    if not below:
        raise DataError(f"The corpus {corpus} has no files. Put documents there ({', '.join((*_BINARY, *_TEXT))}).")
    root = corpus.parent if below == [corpus] else corpus
    # A name in another charset (a zip from a Chinese Windows) stands in reports, digests and baselines as text.
    names = (os.fsencode(path.relative_to(root).as_posix()).decode("utf-8", "backslashreplace") for path in below)
    return sorted(zip(below, names, strict=True), key=lambda one: one[1])


def _below(folder: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    """Files of a folder and its subfolders, in which links are followed; ``above`` are the folders that it is in."""
    here = (*above, folder.resolve())
    for path in sorted(folder.iterdir()):
        if path.name.startswith(_HIDDEN) or path.name.lower() in _NO_DOCUMENTS:
            continue
        if path.is_dir():
            if path.resolve() in here:
                raise DataError(f"{path} is a link to a folder that it is in. Take it out of the corpus.")
            yield from _below(path, here)
        elif path.is_file():
            yield path
        elif path.is_symlink():
            raise DataError(f"{path} is a link to {path.readlink()}, which is not there. Mend it, or take it out.")
        else:
            raise DataError(f"{path} is neither a file nor a folder. Take it out of the corpus.")

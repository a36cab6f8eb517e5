"""The files of a corpus, one document after the other; no file is silently passed over."""

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
# Files that Windows puts into folders, and the prefix of the lock file that Word keeps beside an open file.
_NO_DOCUMENTS = {"thumbs.db", "ehthumbs.db", "desktop.ini"}
_HIDDEN = (".", "~$")


def read_documents(corpus: Path, encoding: str | Mapping[str, str] | None = None) -> Iterator[Document]:
    """Read the files of a corpus, one at a time, in the order of their names.

    A Word file is read as its body and notes, without headers and footers; HTML as a browser shows it. Hidden files are
    skipped and links followed; every other file that can't be read is an error, so that nothing is silently missing
    from a corpus.

    Args:
        corpus: A folder, walked with its subfolders, or a single file.
        encoding: Charset of texts that are not UTF-8 and do not name a charset; or charsets by patterns of their paths
            below the corpus, of which the first match counts.

    Raises:
        MissingDataError: If the corpus does not exist.
        DataError: If a file is broken, encrypted, empty, not readable by this user, or of an unsupported kind or
            charset, if a link leads nowhere or in a circle, or if there are no files.
        MissingExtraError: If the package that reads a kind of file is not installed.
    """
    for path, source in _files(corpus):
        kind = path.suffix.lower()
        document = _BINARY[kind](path, source) if kind in _BINARY else _TEXT[kind](path, source, _of(source, encoding))
        if not any(document.pages):
            raise DataError(f"{path} has no text. Take it out of the corpus, or give it text.")
        yield document


def _of(source: str, encoding: str | Mapping[str, str] | None) -> str | None:
    """Return the charset that the user gave for a document."""
    if isinstance(encoding, Mapping):
        return next((charset for pattern, charset in encoding.items() if fnmatchcase(source, pattern)), None)
    return encoding


def state(corpus: Path) -> tuple[object, ...]:
    """Return a state that changes when files of a corpus are added, removed or written: names, sizes and times.

    No file is read. For a corpus that can't be listed, the state is empty.
    """
    try:
        below = [corpus] if corpus.is_file() else _below(corpus, ())
        looked_at = [(path, path.stat()) for path in below]
    except (OSError, DataError):
        return ()
    return tuple((path, one.st_ino, one.st_size, one.st_mtime_ns, one.st_ctime_ns) for path, one in looked_at)


def first_outside(corpus: Path, folders: Sequence[Path]) -> Path | None:
    """Return the first path of a corpus that, with links followed, lies outside all of these folders.

    ``None`` for a corpus that can't be listed: it is not read either.
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
    """Return the SHA-256 (hex) over the names and contents of the files that are read."""
    whole = hashlib.sha256()
    for path, source in _files(corpus):
        whole.update(f"{source}\0{file_digest(path)}\n".encode())
    return whole.hexdigest()


def sources(corpus: Path) -> list[str]:
    """Return the paths of the corpus's documents below its folder, with ``/``; nothing is read yet.

    Raises:
        MissingDataError, DataError: As for ``read_documents``, except for faults inside files.
    """
    return [source for _, source in _files(corpus)]


def _files(corpus: Path) -> list[tuple[Path, str]]:
    """Return all files of a corpus with their paths below the folder; refuse unsupported kinds."""
    files = files_of(corpus)
    readable = ", ".join((*_BINARY, *_TEXT))
    for path, _ in files:
        if path.suffix.lower() not in {*_BINARY, *_TEXT}:
            raise DataError(
                f"{path}: files of this kind are not read. Convert it to one of {readable}, or take it out of the corpus."
            )
    return files


def files_of(corpus: Path) -> list[tuple[Path, str]]:
    """Return all files of a corpus, of any kind, with their paths below the folder; hidden files are left out.

    Raises:
        MissingDataError, DataError: As for ``read_documents``, except for faults inside files.
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
    # A name in another charset (a zip from a Chinese Windows) goes into reports, digests and baselines as text.
    names = (os.fsencode(path.relative_to(root).as_posix()).decode("utf-8", "backslashreplace") for path in below)
    return sorted(zip(below, names, strict=True), key=lambda one: one[1])


def _below(folder: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    """Yield the files of a folder and its subfolders, following links; ``above`` are the folders that contain it."""
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
            raise DataError(f"{path} is a link to {path.readlink()}, which is not there. Fix the link, or take it out.")
        else:
            raise DataError(f"{path} is neither a file nor a folder. Take it out of the corpus.")

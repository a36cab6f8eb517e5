"""Files of a corpus become texts: PDF, Word, HTML, Markdown and plain text, each with its pages or its headings."""

from __future__ import annotations

import codecs
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_embedqa.core.errors import DataError, MissingDataError, MissingExtraError
from pytest_embedqa.encoders.digest import file_digest
from pytest_embedqa.rag.lines import continued, in_sentence, page_text
from pytest_embedqa.rag.markup import docx_to_markdown, html_to_markdown

# The most frequent characters and marks of Chinese prose; they are a third of any such text.
_FREQUENT = frozenset("的一是不了在有人我他这中大来上个国和也为可以及用，。、：；")
_CONTROLS = dict.fromkeys([*range(9), *range(0x0B, 0x20), 0x7F, 0xFEFF])


@dataclass(frozen=True)
class Document:
    """The text of one file.

    Attributes:
        source: Path below the corpus folder, with ``/``.
        pages: One text for each page; a single one for documents without pages.
        paged: Whether the pages are real.
        format: ``text`` or ``markdown``.
    """

    source: str
    pages: tuple[str, ...]
    paged: bool = False
    format: str = "text"

    def joined(self) -> tuple[str, list[int]]:
        """All pages as one text, a sentence that runs over a break kept whole, and where each page begins in it."""
        text, starts = "", []
        for page in self.pages:
            if not text:
                text = page
            elif page:
                text = continued(text, page) if in_sentence(text, page) else f"{text}\n{page}"
            starts.append(len(text) - len(page))
        return text, starts


def read_documents(corpus: Path) -> Iterator[Document]:
    """Read the files of a corpus, one at a time, in the order of their names.

    Of Word files the body is read, not headers, footers and notes. Of HTML what a browser shows is read. Hidden files
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
    return sorted(found, key=lambda one: one[1])


def _read_text(path: Path, source: str) -> Document:
    return Document(source, (_clean(_decoded(path)),))


def _read_markdown(path: Path, source: str) -> Document:
    return Document(source, (_clean(_decoded(path)),), format="markdown")


def _decoded(path: Path, declared: str | None = None) -> str:
    """The text of a file: UTF-8, UTF-16 with its mark, the declared charset, or GB 18030 if that gives Chinese."""
    data = path.read_bytes()
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ["utf-16"] if utf16 else ["utf-8", declared, "gb18030"]:
        try:
            text = data.decode(encoding or "utf-8")
        except (UnicodeDecodeError, LookupError):
            continue
        if "\0" not in text and (encoding != "gb18030" or declared == encoding or _is_chinese(text)):
            return text
    raise DataError(f"{path} is not text in UTF-8, UTF-16 with a byte order mark, or GB 18030. Save it as UTF-8.")


def _is_chinese(text: str) -> bool:
    """Whether decoding made sense: Western, Cyrillic or Korean bytes become rare characters."""
    foreign = [char for char in text if not char.isascii()]
    return sum(char in _FREQUENT for char in foreign) * 20 >= len(foreign)


def _clean(text: str) -> str:
    """Without control characters and lone surrogates, with Unix line ends and no blanks before them."""
    text = re.sub(r"\r\n?|\f", "\n", text).encode("utf-8", "replace").decode().translate(_CONTROLS)
    return re.sub(r"[^\S\n]+$", "", text, flags=re.MULTILINE).strip("\n")


def _read_pdf(path: Path, source: str) -> Document:
    try:
        import pypdf  # noqa: PLC0415
        import pypdf.errors  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("pypdf", "rag", f"Reading {path}") from None
    try:
        reader = pypdf.PdfReader(path)  # tries the empty password by itself
        pages = tuple(_clean(page_text(page)) for page in reader.pages)
    except pypdf.errors.FileNotDecryptedError:
        raise DataError(f"{path} is encrypted. Save it without a password.") from None
    except pypdf.errors.DependencyError as error:
        raise DataError(f"{path} is encrypted: {error}. Install that, or save it without encryption.") from None
    except Exception as error:  # noqa: BLE001  a broken file can raise anything
        raise DataError(f"{path} is not a PDF that can be read ({error!r:.200}). Save or download it anew.") from None
    if not any(pages):
        raise DataError(f"{path} has no text: pictures only? Run OCR on it first.")
    return Document(source, pages, paged=True)


def _read_html(path: Path, source: str) -> Document:
    try:
        from bs4.dammit import EncodingDetector  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("beautifulsoup4", "rag", f"Reading {path}") from None
    declared = EncodingDetector.find_declared_encoding(path.read_bytes(), is_html=True)
    # As browsers do: the older names of the Chinese charset stand for the whole of it, and Latin-1 for Windows'.
    declared = {"gb2312": "gb18030", "gbk": "gb18030", "iso-8859-1": "cp1252"}.get(str(declared).lower(), declared)
    return Document(source, (_clean(html_to_markdown(_decoded(path, declared))),), format="markdown")


def _read_docx(path: Path, source: str) -> Document:
    try:
        import docx  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("python-docx", "rag", f"Reading {path}") from None
    try:
        text = docx_to_markdown(docx.Document(str(path)))
    except Exception as error:  # noqa: BLE001  a broken file can raise anything
        raise DataError(
            f"{path} is not a DOCX file that can be read ({error!r:.200}). Save it anew as .docx, without a password."
        ) from None
    return Document(source, (_clean(text),), format="markdown")


_READERS: dict[str, Callable[[Path, str], Document]] = {
    ".pdf": _read_pdf,
    ".docx": _read_docx,
    ".html": _read_html,
    ".htm": _read_html,
    ".md": _read_markdown,
    ".markdown": _read_markdown,
    ".txt": _read_text,
}

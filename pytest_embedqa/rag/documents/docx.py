"""Word documents as Markdown: the visible body with its headings, lists, tables and code."""

from __future__ import annotations

from pathlib import Path

from pytest_embedqa.core.errors import DataError, MissingExtraError
from pytest_embedqa.rag.documents.decoding import cleaned
from pytest_embedqa.rag.documents.document import Document
from pytest_embedqa.rag.documents.docx_body import Body
from pytest_embedqa.rag.documents.docx_package import Package


def read_docx(path: Path, source: str) -> Document:
    """Read the visible body of a document, with notes placed after the paragraphs that they belong to.

    Headers, footers, comments, pictures and the readings of phonetic guides are left out, as is hidden, deleted or
    moved
    text.

    Raises:
        DataError: If the file is broken or encrypted, or holds text in an unknown way.
        MissingExtraError: If a package that reads Word files is not installed.
    """
    try:
        import lxml  # noqa: F401
        import mammoth  # type: ignore[import-untyped]  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(str(error.name), "rag", f"Reading {path}") from None
    try:
        package = Package(path)
        try:
            body = Body(package)
            text = body.markdown()
        finally:
            package.close()
    except DataError as error:
        raise DataError(
            f"{path} can't be read whole: {error}. Save it as PDF and take that, or change this place in Word."
        ) from None
    except Exception as error:  # noqa: BLE001  a broken file can raise anything
        raise DataError(
            f"{path} is not a DOCX file that can be read ({error!s:.200}). Save it again as .docx, without a password."
        ) from None
    notes = tuple(
        f"{path}: {count} signs of the font {font} have no character of Unicode that is known, and can't be found."
        for font, count in sorted(body.nameless.items())
    )
    return Document(source, (cleaned(text),), format="markdown", notes=notes)

"""Word documents as Markdown: their headings, lists and tables stay what they are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_embedqa.core.errors import DataError, MissingExtraError
from pytest_embedqa.rag.documents.decoding import cleaned
from pytest_embedqa.rag.documents.document import Document
from pytest_embedqa.rag.documents.tables import markdown_table

if TYPE_CHECKING:
    from docx.document import Document as WordDocument


def read_docx(path: Path, source: str) -> Document:
    """Read the body of a Word document, without headers, footers and notes.

    Raises:
        DataError: If it is broken or encrypted.
        MissingExtraError: If python-docx is not installed.
    """
    try:
        import docx  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("python-docx", "rag", f"Reading {path}") from None
    try:
        text = _markdown(docx.Document(str(path)))
    except Exception as error:  # noqa: BLE001  a broken file can raise anything
        raise DataError(
            f"{path} is not a DOCX file that can be read ({error!r:.200}). Save it anew as .docx, without a password."
        ) from None
    return Document(source, (cleaned(text),), format="markdown")


def _markdown(document: WordDocument) -> str:
    """The body of a Word document, in its order; without headers, footers and notes."""
    levels = {style.styleId: _level(style) for style in document.styles.element.style_lst}
    # A content control (w:sdt), such as a table of contents, holds blocks of its own.
    paths = (f"./{below}w:{kind}" for below in ("", "w:sdt/w:sdtContent/") for kind in ("p", "tbl"))
    blocks = (_block(element, levels) for element in document.element.body.xpath("|".join(paths)))
    return "\n\n".join(block for block in blocks if block.strip())


def _level(style: Any) -> int:  # noqa: ANN401  an XML element with python-docx's own properties, as below
    """Level of the heading that a style is or is based on, from 1; 0 for other styles."""
    while style is not None:
        if found := re.fullmatch(r"heading ([1-6])|title", (style.name_val or "").lower()):
            return int(found[1] or 1)
        style = style.base_style
    return 0


def _block(element: Any, levels: Mapping[str, int]) -> str:  # noqa: ANN401
    """A paragraph or a table."""
    if element.tag.endswith("}tbl"):
        return markdown_table(
            [[" ".join(map(_text, cell.xpath(".//w:p"))) for cell in row.tc_lst] for row in element.tr_lst]
        )
    text = _text(element)
    level = levels.get(element.style, 0)
    return f"{'#' * level} {' '.join(text.split())}" if level and text.strip() else text


def _text(element: Any) -> str:  # noqa: ANN401
    """Text of a paragraph, with what tracked changes have inserted and without what they have deleted."""
    # Text boxes are there twice, for newer and older programs.
    runs = (f".//w:r/w:{kind}[not(ancestor::*[local-name()='Fallback'])]" for kind in ("t", "tab", "br", "cr"))
    return "".join(map(str, element.xpath("|".join(runs))))

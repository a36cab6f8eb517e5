"""HTML and Word documents as Markdown: their headings, lists, tables and code stay what they are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pytest_embedqa.rag.lines import CJK

if TYPE_CHECKING:
    from docx.document import Document as WordDocument

_INVISIBLE = "head, script, style, template, noscript, [hidden], [style*='display:none'], [style*='display: none']"
_BLOCKS = "p div section article main header footer nav aside ul ol dl dt dd blockquote figure form fieldset address hr"
_BLOCKS += " tr td th option button"  # a cell of a table that is no more than layout


def html_to_markdown(html: str) -> str:
    """The visible text of HTML."""
    from bs4 import BeautifulSoup  # noqa: PLC0415
    from bs4.element import PreformattedString  # noqa: PLC0415

    soup = BeautifulSoup(html, "html.parser")
    for element in [*soup.select(_INVISIBLE), *soup.find_all(string=lambda one: isinstance(one, PreformattedString))]:
        element.extract()
    for string in soup.find_all(string=True):
        if not string.find_parent("pre"):
            string.replace_with(re.sub(r"\s+", " ", re.sub(rf"(?<=[{CJK}])\s*\n\s*(?=[{CJK}])", "", string)))
    for element in soup.find_all("br"):
        element.replace_with("\n")
    for element in soup.find_all("pre"):
        code = element.get_text().strip("\n")
        element.replace_with(f"\n\n```\n{code}\n```\n\n")
    for element in soup.find_all(lambda one: one.name == "table" and not one.find("table")):
        rows = [[cell.get_text(" ") for cell in row.find_all(["td", "th"])] for row in element.find_all("tr")]
        caption = "".join(part.get_text() for part in element.find_all("caption"))
        element.replace_with(f"\n\n{caption}\n\n{_table(rows)}\n\n")
    for element in soup.find_all(re.compile("^h[1-6]$")):
        title = " ".join(element.get_text().split())
        element.replace_with(f"\n\n{'#' * int(element.name[1])} {title}\n\n" if title else "")
    for element in soup.find_all("li"):
        element.insert_before("\n- ")
    for element in soup.find_all(_BLOCKS.split()):
        element.insert_before("\n\n")
        element.insert_after("\n\n")
    text = re.sub(r"^ (?! )", "", soup.get_text(), flags=re.MULTILINE)
    text = re.sub(r"^-\s+", "- ", text, flags=re.MULTILINE)  # an item may begin with a paragraph
    return re.sub(r"\n\s*\n", "\n\n", text).strip()


def docx_to_markdown(document: WordDocument) -> str:
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
        return _table([[" ".join(map(_text, cell.xpath(".//w:p"))) for cell in row.tc_lst] for row in element.tr_lst])
    text = _text(element)
    level = levels.get(element.style, 0)
    return f"{'#' * level} {' '.join(text.split())}" if level and text.strip() else text


def _text(element: Any) -> str:  # noqa: ANN401
    """Text of a paragraph, with what tracked changes have inserted and without what they have deleted."""
    # Text boxes are there twice, for newer and older programs.
    runs = (f".//w:r/w:{kind}[not(ancestor::*[local-name()='Fallback'])]" for kind in ("t", "tab", "br", "cr"))
    return "".join(map(str, element.xpath("|".join(runs))))


def _table(rows: list[list[str]]) -> str:
    """A table; the first row is its head."""
    rows = [row for row in rows if any(map(str.strip, row))]
    lines = [f"| {' | '.join(' '.join(cell.split()) for cell in row)} |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]]) if rows else ""

"""HTML as Markdown: what a browser shows, with its headings, lists, tables and code."""

from __future__ import annotations

import re
from pathlib import Path

from pytest_embedqa.core.errors import MissingExtraError
from pytest_embedqa.rag.documents.decoding import cleaned, decoded
from pytest_embedqa.rag.documents.document import Document
from pytest_embedqa.rag.documents.lines import CJK
from pytest_embedqa.rag.documents.tables import markdown_table

_INVISIBLE = "head, script, style, template, noscript, [hidden], [style*='display:none'], [style*='display: none']"
_BLOCKS = "p div section article main header footer nav aside ul ol dl dt dd blockquote figure form fieldset address hr"
_BLOCKS += " tr td th option button"  # a cell of a table that is no more than layout


def read_html(path: Path, source: str) -> Document:
    """Read what a browser shows of a page.

    Raises:
        DataError: If its charset is not known.
        MissingExtraError: If Beautiful Soup is not installed.
    """
    try:
        from bs4.dammit import EncodingDetector  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("beautifulsoup4", "rag", f"Reading {path}") from None
    declared = EncodingDetector.find_declared_encoding(path.read_bytes(), is_html=True)
    # As browsers do: the older names of the Chinese charset stand for the whole of it, and Latin-1 for Windows'.
    declared = {"gb2312": "gb18030", "gbk": "gb18030", "iso-8859-1": "cp1252"}.get(str(declared).lower(), declared)
    return Document(source, (cleaned(_markdown(decoded(path, declared))),), format="markdown")


def _markdown(html: str) -> str:
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
        element.replace_with(f"\n\n{caption}\n\n{markdown_table(rows)}\n\n")
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

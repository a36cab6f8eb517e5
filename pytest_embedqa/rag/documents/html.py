"""HTML as Markdown: the text that a browser shows, with its headings, lists, tables and code."""

from __future__ import annotations

import re
from pathlib import Path

from pytest_embedqa.core.errors import DataError, MissingExtraError
from pytest_embedqa.rag.documents.decoding import cleaned, decoded
from pytest_embedqa.rag.documents.document import Document
from pytest_embedqa.rag.documents.html_display import displays
from pytest_embedqa.rag.documents.html_markdown import markdown
from pytest_embedqa.rag.documents.html_shadow import fill, without_templates

_WEB_ARCHIVE = re.compile(
    r"\s*[\w-]+:\s.*?^content-type:\s*multipart/related", re.IGNORECASE | re.DOTALL | re.MULTILINE
)


def read_html(path: Path, source: str, encoding: str | None = None) -> Document:
    """Read the text that a browser shows for a page.

    Scripts are not run and other files (style sheets, frames) not loaded; the page's own styles decide what is hidden.

    Raises:
        DataError: If the charset is unknown, if the file is a web archive, or if only scripts would write its text.
        MissingExtraError: If a package that reads HTML is not installed.
    """
    try:
        import cssselect  # noqa: F401
        import tinycss2  # noqa: F401
        from bs4.dammit import EncodingDetector
        from justhtml import JustHTML
    except ImportError as error:
        package = {"bs4": "beautifulsoup4"}.get(str(error.name).partition(".")[0], str(error.name))
        raise MissingExtraError(package, "rag", f"Reading {path}") from None
    declared = EncodingDetector.find_declared_encoding(path.read_bytes(), is_html=True)
    # As in browsers: older names of the Chinese charset stand for the whole of it, and Latin-1 for Windows' charset.
    declared = {"gb2312": "gb18030", "gbk": "gb18030", "iso-8859-1": "cp1252"}.get(str(declared).lower(), declared)
    html = decoded(path, declared or encoding)
    if _WEB_ARCHIVE.match(html[:4000]):
        raise DataError(f"{path} is a web archive (MHTML), not HTML. Save the page as HTML.")
    root = JustHTML(html, sanitize=False).root
    scripts = root.query("script")
    shadows = without_templates(root)
    styles = displays(root)
    for host, content in shadows:  # each with styles of its own
        styles |= displays(content)
        fill(host, content)
    text = cleaned(markdown(root, styles))
    if not text and scripts:
        raise DataError(f"{path} has no text: only its scripts would write it. Save the page as the browser shows it.")
    return Document(source, (text,), format="markdown")

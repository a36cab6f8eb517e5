"""PDF: a page has glyphs at places, which become lines and paragraphs again."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from math import hypot
from pathlib import Path
from typing import Any

from pytest_embedqa.core.errors import DataError, MissingExtraError
from pytest_embedqa.rag.documents.decoding import cleaned
from pytest_embedqa.rag.documents.document import Document
from pytest_embedqa.rag.documents.lines import CJK, continued, in_sentence

_IS_CJK = re.compile(f"[{CJK}]")
# A line of at least this share of a full one may be broken by the margin; ragged lines are seldom shorter.
_FULL = 0.7
# A line of fewer columns (a CJK character has two) was not broken by the margin, not even in two-column pages.
_NARROWEST = 30
# Fonts of PDFs map glyphs to look-alikes: Kangxi radicals and ligatures, which compatibility normalisation takes back,
# and simplified radicals, which it does not.
_LOOK_ALIKES = str.maketrans(
    {chr(code): unicodedata.normalize("NFKC", chr(code)) for code in (*range(0x2F00, 0x2FD6), *range(0xFB00, 0xFB07))}
    | dict(
        zip(
            "⺟⺠⻁⻄⻅⻆⻉⻋⻓⻔⻘⻚⻛⻜⻝⻢⻣⻤⻥⻦⻩⻬⻰⻳",
            "母民虎西见角贝车长门青页风飞食马骨鬼鱼鸟黄齐龙龟",
            strict=True,
        )
    )
    | {"\u00ad": ""}
)


def read_pdf(path: Path, source: str) -> Document:
    """Read the text of a PDF, page by page.

    Raises:
        DataError: If it is broken or encrypted, or has no text.
        MissingExtraError: If pypdf is not installed.
    """
    try:
        import pypdf  # noqa: PLC0415
        import pypdf.errors  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("pypdf", "rag", f"Reading {path}") from None
    try:
        reader = pypdf.PdfReader(path)  # tries the empty password by itself
        pages = tuple(cleaned(_page_text(page)) for page in reader.pages)
    except pypdf.errors.FileNotDecryptedError:
        raise DataError(f"{path} is encrypted. Save it without a password.") from None
    except pypdf.errors.DependencyError as error:
        raise DataError(f"{path} is encrypted: {error}. Install that, or save it without encryption.") from None
    except Exception as error:  # noqa: BLE001  a broken file can raise anything
        raise DataError(f"{path} is not a PDF that can be read ({error!r:.200}). Save or download it anew.") from None
    if not any(pages):
        raise DataError(f"{path} has no text: pictures only? Run OCR on it first.")
    return Document(source, pages, paged=True)


def _page_text(page: Any) -> str:  # noqa: ANN401  a page of pypdf, which is loaded late
    """The text of a page, one paragraph a line. Runs of glyphs on one base line are one line, however they were drawn."""
    text, before = "", (0.0, 0.0, 0.0)  # of the run before: where it ends, its base line, its font size

    def add(run: str, matrix: Sequence[float], inner: Sequence[float], _font: object, size: float) -> None:
        nonlocal text, before
        if not run:
            return
        x, y = (inner[4] * matrix[i] + inner[5] * matrix[i + 2] + matrix[i + 4] for i in (0, 1))
        size *= hypot(*inner[2:4]) * hypot(*matrix[2:4])
        end, base, before_size = before
        # pypdf breaks the line where one drawing ends; it is one if the next goes on at the same height.
        if text.endswith("\n") and abs(y - base) < size / 4 and x > end - max(size, before_size):
            shown = text.rstrip("\n")
            glued = _IS_CJK.search(shown[-1:] + run[:1]) and x - end < size  # a wider gap parts cells of a table
            text = shown + ("" if glued else " ")
        text += run
        # A CJK glyph is as wide as the font is high, most others are about half of it.
        before = (x + _columns(run.strip("\n")) * size / 2, y, size)

    page.extract_text(visitor_text=add)
    lines = (line.strip() for line in text.translate(_LOOK_ALIKES).split("\n"))
    return _paragraphs([line for line in lines if line])


def _columns(text: str) -> int:
    return len(text) + len(_IS_CJK.findall(text))


def _paragraphs(lines: list[str]) -> str:
    """Lines with those joined again that only the margin broke: full ones, inside of a sentence."""
    text = ""
    widths = sorted(map(_columns, lines))
    # A quarter may be wider, as a title or a row of a table is.
    full = max(widths[len(widths) * 3 // 4] * _FULL, _NARROWEST) if widths else 0
    for before, line in zip(["", *lines], lines, strict=False):
        if before and in_sentence(before, line) and (_columns(before) >= full or line[0].islower()):
            text = continued(text, line)
        else:
            text += f"\n{line}"
    return text

"""Characters of Word files that stand for signs of a symbol font."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_embedqa.rag.documents.docx_package import attribute

if TYPE_CHECKING:
    from lxml.etree import _Element

_PRIVATE = range(0xF000, 0xF100)  # where Word puts the 256 signs of a symbol font


def symbol(font: str, code: int) -> str:
    """Return the character for a sign of a font; for an unknown font, its private-use character."""
    from mammoth.docx.dingbats import dingbats  # type: ignore[import-untyped]

    return chr(dingbats.get((font, code - _PRIVATE.start if code in _PRIVATE else code), code))


def font_of(run: _Element | None) -> str | None:
    """Return the font of a run, its own or that of its style."""
    return None if run is None else attribute(run.find("{*}rPr/{*}rFonts"), "ascii")


def in_font(text: str, run: _Element | None) -> str:
    """Return the text of a run with its characters replaced by those that its font shows."""
    font = font_of(run)
    return "".join(symbol(font, ord(char)) for char in text) if font else text

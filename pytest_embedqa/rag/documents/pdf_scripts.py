"""Raised and lowered text of a PDF as plain text: ``10²``, not ``102``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from math import hypot
from typing import Any

from pytest_embedqa.rag.documents.pdf_lines import Piece
from pytest_embedqa.rag.documents.raised import lowered, raised

# Raised and lowered text: its font size, and its offset, lie between these shares of the text's size.
_SCRIPT = (0.4, 0.9)
_MOVED = (0.1, 0.8)
# Figures of another font may stand a little higher than the text; raised figures are higher by at least this share.
_RAISED = 0.25
_NUMBER = re.compile(r"[\d+\u2212-]")
# A wider gap, as a share of the size, is a blank where PDFium saw a new line.
BLANK = 0.15
_LONGEST_SCRIPT = 12


@dataclass(slots=True)
class Glyph:
    """A glyph, or a blank that was drawn, with its index on the page."""

    text: str
    start: float
    end: float
    base: float
    size: float
    angle: float
    at: int


@dataclass(slots=True)
class GlyphRun:
    """The glyphs of a piece so far: the last glyphs on one base line, starting with ``first``, and those before."""

    text: str
    first: Glyph
    start: float
    end: float
    before: list[tuple[str, Glyph]] = field(default_factory=list)

    def add(self, glyph: Glyph, blank: str) -> None:
        """Add a glyph after a blank."""
        if abs(glyph.base - self.first.base) < _MOVED[0] / 2 * glyph.size:
            self.text += blank + glyph.text
        else:
            self.before.append((self.text, self.first))
            self.text, self.first = blank + glyph.text, glyph
        if glyph.start < self.start:  # noqa: PLR1730  faster, and this is asked often
            self.start = glyph.start
        if glyph.end > self.end:  # noqa: PLR1730
            self.end = glyph.end


class Fonts:
    """The sizes of fonts, which tell what is raised or lowered: ``10²``, not ``102``."""

    def __init__(self, textpage: Any, raw: Any) -> None:
        self._textpage, self._raw, self._matrix = textpage, raw, raw.FS_MATRIX()

    def size(self, glyph: Glyph) -> float:
        """Return the font size in points; a glyph's box does not tell it, as boxes differ between fonts of one size."""
        self._raw.FPDFText_GetMatrix(self._textpage, glyph.at, self._matrix)
        return float(self._raw.FPDFText_GetFontSize(self._textpage, glyph.at) * hypot(self._matrix.c, self._matrix.d))

    def is_beside(self, run: GlyphRun, glyph: Glyph) -> bool:
        """Return whether a glyph is raised or lowered beside a run (or the reverse) where PDFium may see a new line."""
        size = max(run.first.size, glyph.size)
        moved = abs(glyph.base - run.first.base)
        if (
            glyph.angle != run.first.angle
            or not -size / 4 < glyph.start - run.end < size / 2
            or not _MOVED[0] * size / 2 < moved < size
        ):
            return False
        (small, text), (large, _) = sorted(((self.size(run.first), run.text), (self.size(glyph), glyph.text)))
        return (
            bool(_NUMBER.search(text))
            and _SCRIPT[0] * large < small < _SCRIPT[1] * large
            and _MOVED[0] * large < moved < _MOVED[1] * large
        )

    def piece(self, run: GlyphRun) -> Piece:
        """Return the glyphs as a piece, with raised and lowered text as plain text."""
        text, body = run.text, run.first
        if run.before:
            parts = [*run.before, (run.text, run.first)]
            sizes = [self.size(glyph) for _, glyph in parts]
            at = next(at for at, size in enumerate(sizes) if size > _SCRIPT[1] * max(sizes))
            body = last = parts[at][1]
            text, full = "", sizes[at]
            for (part, glyph), size in zip(parts, sizes, strict=True):
                if _SCRIPT[0] * full < size < _SCRIPT[1] * full:
                    text += _moved(text, part, (glyph.base - last.base) / full)
                else:
                    text, last, full = text + part, glyph, size
        return Piece(text, run.start, run.end, body.base, body.size, body.angle)


def _moved(before: str, part: str, rise: float) -> str:
    """Return a part, marked as raised or lowered if it stands off by a share of the preceding text's size.

    Letters stay as they are: a logo may have raised letters, and they change no number.
    """
    inner = part.strip()
    if " " in inner or len(inner) > _LONGEST_SCRIPT:
        return part
    if _RAISED < rise < _MOVED[1]:
        moved = raised(inner)
    elif -_MOVED[1] < rise < -_MOVED[0] and inner == part and before:
        moved = lowered(inner)
    else:
        return part
    if moved[:1] in ("^", "_") and not (before[-1:].isalnum() and inner == part and _NUMBER.search(inner)):
        return part
    return part.replace(inner, moved)

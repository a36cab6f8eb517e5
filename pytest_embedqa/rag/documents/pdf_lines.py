"""The lines of a PDF page."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pytest_embedqa.rag.documents.lines import CJK

IS_CJK = re.compile(f"[{CJK}]")


@dataclass(slots=True)
class Piece:
    """A run of glyphs without a wide gap; lengths in points, along and across the direction of writing."""

    text: str
    start: float
    end: float
    base: float
    size: float
    angle: float = 0.0


@dataclass
class Line:
    """The pieces on one base line, from left to right."""

    pieces: list[Piece]

    @property
    def text(self) -> str:
        """The text of the pieces with blanks between them, except in spaced Chinese."""
        text = self.pieces[0].text
        if len(self.pieces) == 1:  # most lines, and this property is read often
            return text
        for before, piece in zip(self.pieces, self.pieces[1:], strict=False):
            glued = IS_CJK.search(text[-1:] + piece.text[:1]) and piece.start - before.end < max(
                before.size, piece.size
            )
            text += ("" if glued else " ") + piece.text
        return text

    @property
    def base(self) -> float:
        """The base line of the first piece."""
        return self.pieces[0].base

    @property
    def size(self) -> float:
        """The size of the largest font, in points."""
        return max(piece.size for piece in self.pieces)

    @property
    def is_row(self) -> bool:
        """Whether it has a gap as wide as those between table cells."""
        pairs = zip(self.pieces, self.pieces[1:], strict=False)
        return any(after.start - before.end > after.size for before, after in pairs)

    def goes_on(self, piece: Piece) -> bool:
        """Return whether a piece stands on this line, further right."""
        last = self.pieces[-1]
        return (
            piece.angle == last.angle
            and abs(piece.base - last.base) < min(piece.size, last.size) / 4
            and piece.start > last.end - max(piece.size, last.size)
        )


def with_values(lines: list[Line], values: Iterable[Line]) -> list[Line]:
    """Return lines with the values of form fields and with other annotations, where a viewer shows them."""
    lines = [Line(list(line.pieces)) for line in lines]
    for value in values:
        beside = sorted((abs(line.base - value.base), at) for at, line in enumerate(lines) if _beside(line, value))
        if beside:
            pieces = lines[beside[0][1]].pieces
            pieces += value.pieces
            pieces.sort(key=lambda piece: piece.start)
        else:
            below = (at for at, line in enumerate(lines) if line.base < value.base)
            lines.insert(next(below, len(lines)), value)
    return lines


def _beside(line: Line, value: Line) -> bool:
    clear = all(
        piece.end <= other.start + 1 or other.end <= piece.start + 1 for piece in line.pieces for other in value.pieces
    )
    return clear and abs(line.base - value.base) < max(line.size, value.size)

"""The glyphs of a page of a PDF as lines, in the order in which they are read."""

from __future__ import annotations

import ctypes
import re
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import cos, sin
from typing import Any

from pytest_embedqa.rag.documents.lines import CJK, columns, in_sentence

_IS_CJK = re.compile(f"[{CJK}]")
# Characters of fonts without names: private use and the sign for what is unknown.
_NAMELESS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd\ue000-\uf8ff\U000f0000-\U0010ffff]")
# Wingdings and Symbol at their places for private use, as word processors write the signs of lists.
_BULLETS = dict(zip(map(ord, "\uf0b7\uf0a7\uf0a8\uf0d8\uf0fc\uf0e0\uf0de\uf02d\uf076"), "•▪◦➢✓→→–❖", strict=True))
_NO_WIDTH = 0.02
# Columns of text have this many lines side by side and this many characters a line; those of tables are seldom prose.
_FEWEST_LINES = 3
_NARROWEST = 20
_CONTINUED = 0.4
_ONE_SIDED = 0.25


@dataclass
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
    """What stands on one base line: pieces from left to right."""

    pieces: list[Piece]

    @property
    def text(self) -> str:
        """The pieces with blanks between, except in spaced Chinese."""
        text = self.pieces[0].text
        if len(self.pieces) == 1:  # most lines, and this is asked often
            return text
        for before, piece in zip(self.pieces, self.pieces[1:], strict=False):
            glued = _IS_CJK.search(text[-1:] + piece.text[:1]) and piece.start - before.end < max(
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
        """Whether there is a gap as wide as those between the cells of a table."""
        pairs = zip(self.pieces, self.pieces[1:], strict=False)
        return any(after.start - before.end > after.size for before, after in pairs)

    def goes_on(self, piece: Piece) -> bool:
        """Whether a piece stands on this line, further right."""
        last = self.pieces[-1]
        return (
            piece.angle == last.angle
            and abs(piece.base - last.base) < min(piece.size, last.size) / 4
            and piece.start > last.end - max(piece.size, last.size)
        )


# Where a character was drawn, from left to right: x, y and size.
Drawn = dict[str, list[tuple[float, ...]]]


@dataclass
class Glyphs:
    """The glyphs of a page.

    Attributes:
        lines: In the order in which they are drawn.
        glyphs: How many there are, without blanks.
        nameless: Those without a character.
        guessed: Those whose font has no map to Unicode, so that their code was taken for the character.
        drawn: Where each character was drawn.
    """

    lines: list[Line] = field(default_factory=list)
    glyphs: int = 0
    nameless: int = 0
    guessed: int = 0
    drawn: Drawn = field(default_factory=dict)


def read_glyphs(page: Any, raw: Any, box: tuple[float, float, float, float], before: Glyphs | None = None) -> Glyphs:  # noqa: ANN401  of pypdfium2
    """The lines of a page as PDFium finds them, with pieces on one base line put together.

    Args:
        page: A page of pypdfium2.
        raw: The module ``pypdfium2.raw``.
        box: Left, bottom, right and top of what a viewer shows; glyphs elsewhere are left out.
        before: What is known of the page; glyphs of it are left out.
    """
    for item in page.get_objects(filter=[raw.FPDF_PAGEOBJ_TEXT]):
        left, _, right, _ = item.get_bounds()
        if right - left < _NO_WIDTH and not raw.FPDFFont_GetIsEmbedded(raw.FPDFTextObj_GetFont(item)):
            # PDFium leaves out what has no width, as a single glyph of a font that is neither in the file nor on this
            # machine. Outlined, it is as wide as the pen.
            raw.FPDFTextObj_SetTextRenderMode(item, raw.FPDF_TEXTRENDERMODE_STROKE)
            raw.FPDFPageObj_SetStrokeWidth(item, 1)
            raw.FPDFPageObj_TransformF(item, raw.FS_MATRIX(1, 0, 0, 1, 0, 0))
    found = Glyphs(drawn=before.drawn if before else {})
    for piece in _pieces(page.get_textpage(), raw, box, found):
        if found.lines and found.lines[-1].goes_on(piece):
            found.lines[-1].pieces.append(piece)
        else:
            found.lines.append(Line([piece]))
    return found


def _pieces(textpage: Any, raw: Any, box: tuple[float, float, float, float], found: Glyphs) -> Iterator[Piece]:  # noqa: ANN401
    """Runs of glyphs without a line break or a wide gap inside."""
    # blank: what stands between glyphs; width, lead: those of a blank that was really drawn, and of what is before it
    piece, blank, width, lead = None, "", 0.0, 0.0
    for glyph in _glyphs(textpage, raw, box, found):
        if isinstance(glyph, str):
            if glyph == " ":
                blank = blank or " "
            elif piece:
                yield piece
                piece, blank = None, ""
            continue
        if glyph.text == " ":
            blank, width = " ", glyph.end - glyph.start
            if piece:
                lead = max(glyph.start - piece.end, 0)
                piece.end = max(piece.end, glyph.end)
            continue
        if piece and glyph.angle == piece.angle and glyph.start - piece.end > glyph.size:
            yield piece
            piece = None
        if piece:
            piece.text += _between(piece, glyph, blank, width, lead) + glyph.text
            piece.start, piece.end = min(piece.start, glyph.start), max(piece.end, glyph.end)
        else:
            piece = glyph
        blank, width, lead = "", 0.0, 0.0
    if piece:
        yield piece


def _between(before: Piece, after: Piece, blank: str, width: float, lead: float) -> str:
    """The blanks between two glyphs: as many as were drawn, and none beside Chinese that were not."""
    gap = after.start - before.end
    if width:
        more = (gap - lead) / width  # PDFium keeps one of several blanks
        return blank + " " * (round(more) if more > 0.9 else 0)  # noqa: PLR2004  nearly one
    return "" if gap < after.size and _IS_CJK.search(before.text[-1] + after.text) else blank


def _glyphs(page: Any, raw: Any, box: tuple[float, float, float, float], found: Glyphs) -> Iterator[Piece | str]:  # noqa: ANN401
    """Glyph by glyph; as text what PDFium sees between them: ``" "`` or a line break."""
    x, y, around = ctypes.c_double(), ctypes.c_double(), raw.FS_RECTF()
    textpage = page.raw  # the pointer itself: pypdfium2's object looks it up at each of the many calls
    left, bottom, right, top = box
    last, skipped = (0.0, 0.0, 0), False
    for at in range(page.count_chars()):
        char = chr(raw.FPDFText_GetUnicode(textpage, at))
        if raw.FPDFText_IsGenerated(textpage, at) == 1:
            yield char
            continue
        raw.FPDFText_GetCharOrigin(textpage, at, x, y)
        place = x.value, y.value
        if not (left - 1 <= place[0] <= right + 1 and bottom - 1 <= place[1] <= top + 1):
            continue
        raw.FPDFText_GetLooseCharBox(textpage, at, around)
        glyph = _boxed(around, *place, round(raw.FPDFText_GetCharAngle(textpage, at), 2))
        if char.isspace():
            yield glyph
            continue
        # at the end of a line, with no break after it
        hyphen = not char.isalnum() and raw.FPDFText_IsHyphen(textpage, at) == 1
        glyph.text = "-" if hyphen else char.translate(_BULLETS)
        # What one glyph stands for, as the letters of a ligature, PDFium gives as letters of one object at one place.
        here = *place, ctypes.addressof(raw.FPDFText_GetTextObject(textpage, at).contents)
        again = skipped if here == last else _again(glyph, *place, found.drawn)
        last, skipped = here, again
        if again:
            continue
        found.glyphs += 1
        if _NAMELESS.match(glyph.text):
            found.nameless += 1
            glyph.text = "\ufffd"
        elif not hyphen and raw.FPDFText_HasUnicodeMapError(textpage, at) == 1:
            found.guessed += 1
        yield glyph
        if hyphen:
            yield "\n"


def _boxed(around: Any, x: float, y: float, angle: float) -> Piece:  # noqa: ANN401  FS_RECTF, of pypdfium2
    """A blank with the box and the base line of a glyph."""
    if not angle:
        return Piece(" ", around.left, around.right, y, around.top - around.bottom)
    across, along = sin(angle), cos(angle)
    corners = [u * along - v * across for u in (around.left, around.right) for v in (around.bottom, around.top)]
    size = around.top - around.bottom if abs(along) > abs(across) else around.right - around.left
    return Piece(" ", min(corners), max(corners), x * across + y * along, size, angle)


def _again(glyph: Piece, x: float, y: float, drawn: Drawn) -> bool:
    """Whether a glyph was drawn at this place before, in this size, for a shadow or as bold.

    Narrow letters may stand side by side nearer than a shadow stands to its letter: their width counts too.
    """
    near = min(glyph.size / 8, (glyph.end - glyph.start) / 2) or 1
    same = drawn.setdefault(glyph.text, [])
    start = bisect_left(same, (x - near,))
    for other_x, other_y, size in same[start : bisect_left(same, (x + near,))]:
        if abs(other_x - x) < near and abs(other_y - y) < near and abs(size - glyph.size) < glyph.size / 10:
            return True
    insort(same, (x, y, glyph.size))
    return False


def with_values(lines: list[Line], values: Iterable[Line]) -> list[Line]:
    """Lines with the values of form fields, and with other annotations, where a viewer shows them."""
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


def in_reading_order(lines: list[Line]) -> list[Line]:
    """Lines with columns of text that were drawn across put one after the other; tables stay as they are."""
    ordered: list[Line] = []
    at = 0
    while at < len(lines):
        parted = _columns_from(lines, at)
        if parted:
            after, left, right = parted
            ordered += in_reading_order(left) + in_reading_order(right)
            at = after
        else:
            ordered.append(lines[at])
            at += 1
    return ordered


def _columns_from(lines: list[Line], at: int) -> tuple[int, list[Line], list[Line]] | None:
    """Two columns that begin at a line: where they end, the left one and the right one."""
    for first, second in zip(lines[at].pieces, lines[at].pieces[1:], strict=False):
        low, high = first.end, second.start
        sides: list[tuple[list[Piece], list[Piece]]] = []
        for line in lines[at:]:
            before = [piece for piece in line.pieces if piece.end < high]
            after = [piece for piece in line.pieces if piece.end >= high]
            new_low = max([low, *(piece.end for piece in before)])
            new_high = min([high, *(piece.start for piece in after)])
            if new_high - new_low < line.size / 3 or (sides and line.base >= sides[-1][sides[-1][0] == []][0].base):
                break
            low, high = new_low, new_high
            sides.append((before, after))
        both = [number for number, (before, after) in enumerate(sides) if before and after]
        if len(both) < _FEWEST_LINES or both[-1] + 1 - len(both) > _ONE_SIDED * len(both):
            continue
        left, right = ([Line(side[which]) for side in sides if side[which]] for which in (0, 1))
        if _is_prose(left) and _is_prose(right):
            return at + len(sides), left, right
    return None


def _is_prose(lines: list[Line]) -> bool:
    """Whether lines go on with sentences, as those of a column do and the cells of a table do not."""
    texts = [line.text for line in lines]
    widths = [columns(text) for text in texts]
    if sum(widths) < _NARROWEST * len(widths):
        return False
    going_on = sum(
        in_sentence(before, after) and (after[0].islower() or bool(_IS_CJK.match(after) and width >= 0.9 * max(widths)))
        for before, after, width in zip(texts, texts[1:], widths, strict=False)
    )
    return going_on >= _CONTINUED * (len(texts) - 1)

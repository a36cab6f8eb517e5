"""The glyphs of a PDF page as PDFium finds them, assembled to lines."""

from __future__ import annotations

import ctypes
import re
from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import cos, degrees, sin
from typing import Any

from pytest_embedqa.rag.documents.pdf_lines import IS_CJK, Line, Piece
from pytest_embedqa.rag.documents.pdf_scripts import BLANK, Fonts, Glyph, GlyphRun

# Characters of fonts without Unicode names: private use and the replacement character.
_NAMELESS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd\ue000-\uf8ff\U000f0000-\U0010ffff]")
# Wingdings and Symbol at their private-use code points, as word processors write list bullets.
_BULLETS = dict(zip(map(ord, "\uf0b7\uf0a7\uf0a8\uf0d8\uf0fc\uf0e0\uf0de\uf02d\uf076"), "•▪◦➢✓→→–❖", strict=True))
_NO_WIDTH = 0.02


# Places where a character was drawn, from left to right: x, y and size.
Drawn = dict[str, list[tuple[float, ...]]]


@dataclass
class Glyphs:
    """The glyphs of a page.

    Attributes:
        lines: Lines in drawing order.
        glyphs: Number of glyphs, without blanks.
        nameless: Number of glyphs without a character.
        guessed: Number of glyphs whose font has no map to Unicode, so that their code was taken for the character.
        unseen: Number of invisible runs of text, which were left out.
        drawn: Places where each character was drawn.
    """

    lines: list[Line] = field(default_factory=list)
    glyphs: int = 0
    nameless: int = 0
    guessed: int = 0
    unseen: int = 0
    drawn: Drawn = field(default_factory=dict)


def read_glyphs(
    page: Any, raw: Any, box: tuple[float, float, float, float], before: Glyphs | None = None
) -> Glyphs:  # of pypdfium2
    """Return the lines of a page as PDFium finds them, with pieces on the same base line joined.

    Args:
        page: A page of pypdfium2.
        raw: The module ``pypdfium2.raw``.
        box: Left, bottom, right and top of the visible area; glyphs elsewhere are left out.
        before: Glyphs of the page that are already known; they are left out.
    """
    for item in page.get_objects(filter=[raw.FPDF_PAGEOBJ_TEXT]):
        left, _, right, _ = item.get_bounds()
        if right - left < _NO_WIDTH and not raw.FPDFFont_GetIsEmbedded(raw.FPDFTextObj_GetFont(item)):
            # PDFium leaves out glyphs without a width, such as a single glyph of a font that is neither in the file nor
            # on this machine. Outlined, it is as wide as the pen.
            raw.FPDFTextObj_SetTextRenderMode(item, raw.FPDF_TEXTRENDERMODE_STROKE)
            raw.FPDFPageObj_SetStrokeWidth(item, 1)
            raw.FPDFPageObj_TransformF(item, raw.FS_MATRIX(1, 0, 0, 1, 0, 0))
    found = Glyphs(drawn=before.drawn if before else {})
    for piece in _pieces(page, raw, box, found):
        if found.lines and found.lines[-1].goes_on(piece):
            found.lines[-1].pieces.append(piece)
        else:
            found.lines.append(Line([piece]))
    return found


def _pieces(page: Any, raw: Any, box: tuple[float, float, float, float], found: Glyphs) -> Iterator[Piece]:
    """Yield runs of glyphs without a line break or a wide gap inside."""
    textpage, characters = _upright(page, raw)
    fonts = Fonts(textpage, raw)
    # blank: text between glyphs; width, lead: widths of a blank that was really drawn, and of the part before it
    run, blank, width, lead, broken = None, "", 0.0, 0.0, False
    for glyph in _glyphs(textpage, raw, box, found, characters):
        if isinstance(glyph, str):
            broken = broken or glyph != " "
            blank = blank if broken else " "
            continue
        if run and broken:
            blank = " " if glyph.start - run.end > BLANK * glyph.size else ""
            if not fonts.is_beside(run, glyph):
                yield fonts.piece(run)
                run = None
        broken = False
        if glyph.text == " ":
            blank, width = " ", glyph.end - glyph.start
            if run:
                lead = max(glyph.start - run.end, 0)
                run.end = max(run.end, glyph.end)
            continue
        if run and glyph.angle == run.first.angle and glyph.start - run.end > glyph.size:
            yield fonts.piece(run)
            run = None
        if run:
            run.add(glyph, _between(run, glyph, blank, width, lead) if blank else "")
        else:
            run = GlyphRun(glyph.text, glyph, glyph.start, glyph.end)
        blank, width, lead = "", 0.0, 0.0
    if run:
        yield fonts.piece(run)


def _between(before: GlyphRun, after: Glyph, blank: str, width: float, lead: float) -> str:
    """Return the blanks between two glyphs: as many as were drawn, and beside Chinese only those that were drawn."""
    gap = after.start - before.end
    if width:
        more = (gap - lead) / width  # PDFium merges several blanks into one
        return blank + " " * (round(more) if more > 0.9 else 0)  # noqa: PLR2004  nearly one
    return "" if gap < after.size and IS_CJK.search(before.text[-1] + after.text) else blank


def _upright(page: Any, raw: Any) -> tuple[Any, list[tuple[int, float]]]:
    """Return the text of a page turned upright, with the codes and angles of its characters.

    PDFium reads upside-down text as if it were upright, and tears its words and lines apart.
    """
    before = page.get_rotation()
    textpage, characters = _characters(page, raw)
    # blanks that PDFium inserts between words have no angle
    turns = {round(degrees(angle) / 90) % 4 for angle in {angle for code, angle in characters if code > ord(" ")}}
    heads_down = [more for more in (0, 2, 1, 3) if any((turn + before // 90 + more) % 4 == 2 for turn in turns)]  # noqa: PLR2004
    if 0 not in heads_down:
        return textpage, characters
    turned = next((more for more in (2, 1, 3) if more not in heads_down), 0)
    page.set_rotation((before + 90 * turned) % 360)
    textpage, characters = _characters(page, raw)
    page.set_rotation(before)
    return textpage, characters


def _characters(page: Any, raw: Any) -> tuple[Any, list[tuple[int, float]]]:
    textpage = page.get_textpage()
    code, angle, pointer = raw.FPDFText_GetUnicode, raw.FPDFText_GetCharAngle, textpage.raw
    return textpage, [(code(pointer, at), angle(pointer, at)) for at in range(textpage.count_chars())]


def _glyphs(
    page: Any,
    raw: Any,
    box: tuple[float, float, float, float],
    found: Glyphs,
    characters: list[tuple[int, float]],
) -> Iterator[Glyph | str]:
    """Yield each glyph; as text, the blank (``" "``) or line break that PDFium sees between two glyphs."""
    x, y, around = ctypes.c_double(), ctypes.c_double(), raw.FS_RECTF()
    at_x, at_y, at_box = ctypes.byref(x), ctypes.byref(y), ctypes.byref(around)
    # Bind the functions and the pointer once: looking them up at each of the many calls takes as long as the calls.
    origin, loose, unmapped = raw.FPDFText_GetCharOrigin, raw.FPDFText_GetLooseCharBox, raw.FPDFText_HasUnicodeMapError
    textpage = page.raw
    left, bottom, right, top = box[0] - 1, box[1] - 1, box[2] + 1, box[3] + 1
    last, last_at, skipped = (0.0, 0.0), 0, False
    for at, (code, angle) in enumerate(characters):
        char = chr(code)
        blank = char.isspace()
        if blank and raw.FPDFText_IsGenerated(textpage, at) == 1:
            yield char
            continue
        origin(textpage, at, at_x, at_y)
        place = x.value, y.value
        if not (left <= place[0] <= right and bottom <= place[1] <= top):
            continue
        loose(textpage, at, at_box)
        if angle:
            glyph = _turned(around, *place, round(angle, 2), at)
        else:
            glyph = Glyph(" ", around.left, around.right, place[1], around.top - around.bottom, 0.0, at)
        if blank:
            yield glyph
            continue
        # at the end of a line, with no break after it
        hyphen = not char.isalnum() and raw.FPDFText_IsHyphen(textpage, at) == 1
        glyph.text = "-" if hyphen else char
        # PDFium returns a glyph that stands for several letters, as a ligature, as letters of one object at one place.
        same = place == last and _item(raw, textpage, at) == _item(raw, textpage, last_at)
        again = skipped if same else _again(glyph, *place, found.drawn)
        last, last_at, skipped = place, at, again
        if again:
            continue
        found.glyphs += 1
        if not ord(" ") < code <= ord("~"):
            glyph.text = _named(glyph.text, found)
        if not hyphen and glyph.text != "\ufffd" and unmapped(textpage, at) == 1:
            found.guessed += 1
        yield glyph
        if hyphen:
            yield "\n"


def _named(char: str, found: Glyphs) -> str:
    """Return a character, or U+FFFD if it has no name."""
    char = char.translate(_BULLETS)
    if not _NAMELESS.match(char):
        return char
    found.nameless += 1
    return "\ufffd"


def _item(raw: Any, textpage: Any, at: int) -> int:
    """Return the address of the text object that a character belongs to."""
    return ctypes.addressof(raw.FPDFText_GetTextObject(textpage, at).contents)


def _turned(around: Any, x: float, y: float, angle: float, at: int) -> Glyph:  # FS_RECTF, of pypdfium2
    """Return a blank with the box and the base line of a glyph, along the direction of writing."""
    left, bottom, right, top = around.left, around.bottom, around.right, around.top
    across, along = sin(angle), cos(angle)
    corners = [u * along - v * across for u in (left, right) for v in (bottom, top)]
    size = top - bottom if abs(along) > abs(across) else right - left
    return Glyph(" ", min(corners), max(corners), x * across + y * along, size, angle, at)


def _again(glyph: Glyph, x: float, y: float, drawn: Drawn) -> bool:
    """Return whether a glyph was already drawn at this place in this size, for a shadow or as bold.

    Narrow letters may stand closer together than a letter and its shadow: their width counts, too.
    """
    near = min(glyph.size / 8, (glyph.end - glyph.start) / 2) or 1
    same = drawn.get(glyph.text)
    if same is None:
        drawn[glyph.text] = [(x, y, glyph.size)]
        return False
    at, end = bisect_left(same, (x - near,)), x + near
    while at < len(same):
        other_x, other_y, size = same[at]
        if other_x >= end:
            break
        if abs(other_y - y) < near and abs(other_x - x) < near and abs(size - glyph.size) < glyph.size / 10:
            return True
        at += 1
    insort(same, (x, y, glyph.size))
    return False

"""Text of a PDF that a viewer does not show: white on white, without a colour, on a layer that is switched off."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

# Colours from here on, of 255, are as white as paper; a difference of less is not seen.
_WHITE = 245
_SEEN = 8
# The longest side of the picture of a page, in pixels.
_LONGEST = 4000

# The mark of a layer, in PDFium's UTF-16.
_LAYER = "OC\0".encode("utf-16-le")

_Box = tuple[float, float, float, float]


def hide_unseen(page: Any, raw: Any) -> int:  # noqa: ANN401  of pypdfium2, which is loaded late
    """Switch off the runs of text that a viewer does not show, so that they are not read; how many there are.

    A run is not shown if the page looks the same without it. The layer that OCR lays over a scan is not shown either,
    but says what the scan shows below it: it is read.
    """
    suspects = list(_suspects(page, raw))
    if not suspects:
        return 0
    shown, convert = _picture(page)
    for item, _, _ in suspects:
        raw.FPDFPageObj_SetIsActive(item, False)  # noqa: FBT003
    without, _ = _picture(page)
    unseen = 0
    for item, (left, bottom, right, top), layered in suspects:
        (x, y), (other_x, other_y) = convert.to_bitmap(left, top), convert.to_bitmap(right, bottom)
        part = (
            slice(max(min(y, other_y) - 1, 0), max(y, other_y, 0) + 2),
            slice(max(min(x, other_x) - 1, 0), max(x, other_x, 0) + 2),
        )
        before, after = shown[part], without[part]
        if not before.size:  # outside of the page: left out in any case
            continue
        differs = abs(before - after).max() >= _SEEN
        covered = after.max() - after.min() >= _SEEN and not layered  # what OCR read
        if differs or covered:
            raw.FPDFPageObj_SetIsActive(item, True)  # noqa: FBT003
        else:
            unseen += 1
    return unseen


def _suspects(page: Any, raw: Any) -> Iterator[tuple[Any, _Box, bool]]:  # noqa: ANN401
    """Runs of text that may not be shown, with their box and whether they are on a layer."""
    images: list[_Box] | None = None
    for item in page.get_objects(filter=[raw.FPDF_PAGEOBJ_TEXT]):
        _, bottom, _, top = item.get_bounds()
        if bottom == top:  # blanks
            continue
        layered = _is_layered(item, raw)
        if not layered and not _is_colourless(item, raw):
            continue
        if images is None:
            images = [_box(image) for image in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE])]
        box = _box(item)
        if layered or not any(_is_within(box, image) for image in images):
            yield item, box, layered


def _is_colourless(item: Any, raw: Any) -> bool:  # noqa: ANN401
    """Whether text has no colour, that of paper, or one that lets all shine through."""
    if raw.FPDFTextObj_GetTextRenderMode(item) in (raw.FPDF_TEXTRENDERMODE_INVISIBLE, raw.FPDF_TEXTRENDERMODE_CLIP):
        return True
    parts = [ctypes.c_uint() for _ in range(4)]
    if not raw.FPDFPageObj_GetFillColor(item, *parts):
        return False
    *colour, opacity = (part.value for part in parts)
    return min(colour) >= _WHITE or opacity < _SEEN


def _is_layered(item: Any, raw: Any) -> bool:  # noqa: ANN401
    """Whether an object, or a form that it is part of, is on a layer (optional content), which may be switched off."""
    name, length = ctypes.create_string_buffer(16), ctypes.c_ulong()
    while item:
        for at in range(raw.FPDFPageObj_CountMarks(item)):
            mark = raw.FPDFPageObj_GetMark(item, at)
            wide = ctypes.cast(name, ctypes.POINTER(raw.FPDF_WCHAR))
            if raw.FPDFPageObjMark_GetName(mark, wide, len(name), length) and name.raw[: length.value] == _LAYER:
                return True
        item = item.container
    return False


def _box(item: Any) -> _Box:  # noqa: ANN401
    """Left, bottom, right and top of an object on the page, through the forms that it is part of."""
    left, bottom, right, top = item.get_bounds()
    while item := item.container:
        matrix = item.get_matrix()
        corners = [matrix.on_point(x, y) for x in (left, right) for y in (bottom, top)]
        (left, bottom), (right, top) = (
            tuple(pick(values) for values in zip(*corners, strict=True)) for pick in (min, max)
        )
    return left, bottom, right, top


def _is_within(box: _Box, outer: _Box) -> bool:
    """Whether the middle of a box is within another one."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return outer[0] <= x <= outer[2] and outer[1] <= y <= outer[3]


def _picture(page: Any) -> tuple[Any, Any]:  # noqa: ANN401
    """The page as a viewer shows it, in shades of grey, and what converts its points to those of the picture."""
    bitmap = page.render(scale=min(1, _LONGEST / max(page.get_size())), grayscale=True, may_draw_forms=False)
    return bitmap.to_numpy().astype("int16"), bitmap.get_posconv(page)

"""Text of a PDF that a viewer does not show: white on white, without a colour, on a layer that is switched off."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

# Colours from this value on, of 255, look as white as paper; a smaller difference is not visible.
_WHITE = 245
_SEEN = 8
# The longest side of a rendered page, in pixels.
_LONGEST = 4000

# The mark of a layer, in PDFium's UTF-16.
_LAYER = "OC\0".encode("utf-16-le")

_Box = tuple[float, float, float, float]


def hide_unseen(page: Any, raw: Any) -> int:  # of pypdfium2, which is loaded late
    """Switch off the runs of text that a viewer does not show, so that they are not read; return their number.

    A run is not shown if the page looks the same without it. The layer that OCR puts over a scan is not shown either,
    but is read, since it says what the scan below shows.
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
        covered = after.max() - after.min() >= _SEEN and not layered  # text that OCR recognised
        if differs or covered:
            raw.FPDFPageObj_SetIsActive(item, True)  # noqa: FBT003
        else:
            unseen += 1
    return unseen


def _suspects(page: Any, raw: Any) -> Iterator[tuple[Any, _Box, bool]]:
    """Yield runs of text that may not be shown, with their box and whether they are on a layer."""
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


def _is_colourless(item: Any, raw: Any) -> bool:
    """Return whether text has no colour, the colour of paper, or a fully transparent colour."""
    if raw.FPDFTextObj_GetTextRenderMode(item) in (raw.FPDF_TEXTRENDERMODE_INVISIBLE, raw.FPDF_TEXTRENDERMODE_CLIP):
        return True
    parts = [ctypes.c_uint() for _ in range(4)]
    if not raw.FPDFPageObj_GetFillColor(item, *parts):
        return False
    *colour, opacity = (part.value for part in parts)
    return min(colour) >= _WHITE or opacity < _SEEN


def _is_layered(item: Any, raw: Any) -> bool:
    """Return whether an object, or a form around it, is on a layer (optional content), which may be switched off."""
    name, length = ctypes.create_string_buffer(16), ctypes.c_ulong()
    while item:
        for at in range(raw.FPDFPageObj_CountMarks(item)):
            mark = raw.FPDFPageObj_GetMark(item, at)
            wide = ctypes.cast(name, ctypes.POINTER(raw.FPDF_WCHAR))
            if raw.FPDFPageObjMark_GetName(mark, wide, len(name), length) and name.raw[: length.value] == _LAYER:
                return True
        item = item.container
    return False


def _box(item: Any) -> _Box:
    """Return left, bottom, right and top of an object on the page, through the forms that contain it."""
    left, bottom, right, top = item.get_bounds()
    while item := item.container:
        matrix = item.get_matrix()
        corners = [matrix.on_point(x, y) for x in (left, right) for y in (bottom, top)]
        (left, bottom), (right, top) = (
            tuple(pick(values) for values in zip(*corners, strict=True)) for pick in (min, max)
        )
    return left, bottom, right, top


def _is_within(box: _Box, outer: _Box) -> bool:
    """Return whether the middle of a box lies within another box."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return outer[0] <= x <= outer[2] and outer[1] <= y <= outer[3]


def _picture(page: Any) -> tuple[Any, Any]:
    """Render the page as a viewer shows it, in shades of grey; return it with the conversion of points to pixels."""
    bitmap = page.render(scale=min(1, _LONGEST / max(page.get_size())), grayscale=True, may_draw_forms=False)
    return bitmap.to_numpy().astype("int16"), bitmap.get_posconv(page)

"""PDF files: PDFium finds the glyphs and lines of a page, which are joined to paragraphs."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_embedqa.core.errors import DataError, MissingExtraError
from pytest_embedqa.rag.documents.decoding import cleaned
from pytest_embedqa.rag.documents.document import Document
from pytest_embedqa.rag.documents.lines import Words, respaced
from pytest_embedqa.rag.documents.pdf_columns import in_reading_order
from pytest_embedqa.rag.documents.pdf_glyphs import Glyphs, read_glyphs
from pytest_embedqa.rag.documents.pdf_lines import IS_CJK, with_values
from pytest_embedqa.rag.documents.pdf_running import Page, set_apart
from pytest_embedqa.rag.documents.pdf_shown import hide_unseen

# Fonts of PDFs map glyphs to look-alikes: Kangxi radicals and ligatures, which compatibility normalisation reverts, and
# simplified radicals, which it does not.
_LOOK_ALIKES = str.maketrans(
    {chr(code): unicodedata.normalize("NFKC", chr(code)) for code in (*range(0x2F00, 0x2FD6), *range(0xFB00, 0xFB07))}
    | dict(
        zip(
            "⺟⺠⻁⻄⻅⻆⻉⻋⻓⻔⻘⻚⻛⻜⻝⻢⻣⻤⻥⻦⻩⻬⻰⻳",
            "母民虎西见角贝车长门青页风飞食马骨鬼鱼鸟黄齐龙龟",
            strict=True,
        )
    )
)
# A page that a picture covers by this share, and with fewer glyphs, was scanned; a stamp or page number is not its
# text.
_WHOLE_PAGE = 0.5
_STAMP = 80
# A page without text but with this many paths shows letters as outlines.
_OUTLINES = 100
# A page with this many lines of one character is no list.
_SINGLE = 10


def read_pdf(path: Path, source: str) -> Document:
    """Read the text of a PDF page by page, as a viewer shows it: in reading order, with the values of forms.

    Raises:
        DataError: If it is broken or encrypted, or has no readable text.
        MissingExtraError: If pypdfium2 is not installed.
    """
    try:
        import pypdfium2 as pdfium
    except ImportError:
        raise MissingExtraError("pypdfium2", "rag", f"Reading {path}") from None
    try:
        with pdfium.PdfDocument(path) as pdf:  # tries the empty password by itself
            pdf.init_forms()
            annotations = [_annotations(pdf, number) for number in range(len(pdf))]  # reading flattens them
            read = [_page(pdf, number) for number in range(len(pdf))]
            notes = [*_notes(path, read), *_unread(pdf, path, annotations)]
    except pdfium.PdfiumError as error:
        if "password" in str(error).lower():
            raise DataError(f"{path} is encrypted. Save it without a password.") from None
        if "security" in str(error).lower():
            raise DataError(f"{path} is encrypted in a way that is not read. Save it without encryption.") from None
        raise DataError(f"{path} is not a PDF that can be read ({error!s:.200}). Save or download it again.") from None
    _refuse_unreadable(path, read)
    pages = [page for page, _, _ in read]
    set_apart(pages)
    words = Words([line.text for page in pages for line in page.lines])
    for line in (line for page in pages for line in page.lines):
        for piece in line.pieces:
            piece.text = respaced(piece.text, words.known)
    texts = [cleaned(page.text(words)) for page in pages]
    if vertical := [number for number, text in enumerate(texts, 1) if _is_torn(text)]:
        notes.append(
            f"{path}: the text of {_numbered(vertical)} comes as single characters, as it does where it is set from top "
            "to bottom: its order may be wrong. Export the file again with lines from left to right."
        )
    return Document(source, tuple(texts), paged=True, notes=tuple(notes))


def _is_torn(text: str) -> bool:
    """Return whether most lines of a page are single Chinese or Japanese characters, with their punctuation."""
    lines = text.split("\n")
    single = sum(len(line) <= 2 and bool(IS_CJK.match(line)) for line in lines)  # noqa: PLR2004
    return single > max(_SINGLE, len(lines) / 2)


def _refuse_unreadable(path: Path, read: list[tuple[Page, Glyphs, bool]]) -> None:
    glyphs, nameless = (sum(getattr(found, name) for _, found, _ in read) for name in ("glyphs", "nameless"))
    if not glyphs and any(found.unseen for _, found, _ in read):
        raise DataError(f"{path} shows no text: all its text is white, invisible or on layers that are switched off.")
    if not glyphs:
        raise DataError(f"{path} has no text: pictures only? Run OCR on it first.")
    if nameless > glyphs / 2:
        raise DataError(
            f"{path}: {nameless} of {glyphs} glyphs have no Unicode character, as their fonts have no map to Unicode. "
            "Export it again, or run OCR on it."
        )


def _page(pdf: Any, number: int) -> tuple[Page, Glyphs, bool]:  # of pypdfium2, which is loaded late
    """Return the lines of a page, its glyphs, and whether it is a picture without text."""
    from pypdfium2 import raw

    page = pdf[number]
    box = left, bottom, right, top = page.get_bbox()
    unseen = hide_unseen(page, raw)
    found = read_glyphs(page, raw, box)
    found.unseen = unseen
    lines = found.lines
    scanned = found.glyphs < _STAMP and _is_picture(page, raw, (right - left) * (top - bottom), found.glyphs)
    if _has_annotations(page, raw):
        # Annotations that a viewer shows over the page become part of it, at its end.
        raw.FPDFPage_Flatten(page, raw.FLAT_NORMALDISPLAY)
        page = pdf[number]
        hide_unseen(page, raw)
        shown = read_glyphs(page, raw, box, found)
        lines = with_values(lines, shown.lines)
        found.glyphs += shown.glyphs
        found.nameless += shown.nameless
        found.guessed += shown.guessed
    for piece in (piece for line in lines for piece in line.pieces):
        piece.text = piece.text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").translate(_LOOK_ALIKES)
    return Page(in_reading_order(lines), bottom, top - bottom), found, scanned


def _has_annotations(page: Any, raw: Any) -> bool:
    """Return whether anything is shown over a page; links are not."""
    for at in range(raw.FPDFPage_GetAnnotCount(page)):
        annotation = raw.FPDFPage_GetAnnot(page, at)
        link = raw.FPDFAnnot_GetSubtype(annotation) in (raw.FPDF_ANNOT_LINK, raw.FPDF_ANNOT_POPUP)
        drawn = _is_drawn(annotation, raw)
        raw.FPDFPage_CloseAnnot(annotation)
        if drawn or not link:
            return True
    return False


def _is_drawn(annotation: Any, raw: Any) -> bool:
    """Return whether an annotation brings its own appearance."""
    # Lengths are in bytes of UTF-16 with its terminator: 2 means an empty text.
    length: int = raw.FPDFAnnot_GetAP(annotation, raw.FPDF_ANNOT_APPEARANCEMODE_NORMAL, None, 0)
    return length > 2  # noqa: PLR2004


def _is_picture(page: Any, raw: Any, area: float, glyphs: int) -> bool:
    """Return whether a page is a picture or outlined letters, rather than blank or text."""
    paths = 0
    for item in page.get_objects():
        if item.type == raw.FPDF_PAGEOBJ_IMAGE:
            left, bottom, right, top = item.get_bounds()
            if not glyphs or (right - left) * (top - bottom) > _WHOLE_PAGE * area:
                return True
        paths += item.type == raw.FPDF_PAGEOBJ_PATH
    return not glyphs and paths > _OUTLINES


def _notes(path: Path, read: list[tuple[Page, Glyphs, bool]]) -> Iterator[str]:
    """Yield notes about what is missing from the text, or differs from what is shown."""
    if scanned := [number for number, (_, _, picture) in enumerate(read, 1) if picture]:
        yield f"{path}: no text, but pictures, on {_numbered(scanned)}. Run OCR on the file, so that they can be found."
    if unseen := [number for number, (_, found, _) in enumerate(read, 1) if found.unseen]:
        yield (
            f"{path}: {sum(found.unseen for _, found, _ in read)} runs of text on {_numbered(unseen)} are left out: a "
            "viewer does not show them, as they are white, invisible or on a layer that is switched off."
        )
    glyphs = sum(found.glyphs for _, found, _ in read)
    for name, then in (
        ("nameless", "they are \ufffd in the text"),
        ("guessed", "their text is a guess"),
    ):
        counts = [getattr(found, name) for _, found, _ in read]
        if some := sum(counts):
            pages = _numbered([number for number, count in enumerate(counts, 1) if count])
            yield (
                f"{path}: {some} of {glyphs} glyphs ({some / glyphs:.1%}), on {pages}, have no Unicode character, as "
                f"their fonts have no map to it: {then}. Export the file again, or run OCR on it."
            )
    if b"%%EOF" not in path.read_bytes()[-2048:]:
        yield f"{path} has no end mark (%%EOF): it was cut off, and pages may be missing. Save or download it again."


def _annotations(pdf: Any, number: int) -> Counter[str]:
    """Count the annotations of a page that are not in its text, by their wording in the note."""
    from pypdfium2 import raw

    found: Counter[str] = Counter()
    page = pdf[number]
    for at in range(raw.FPDFPage_GetAnnotCount(page)):
        annotation = raw.FPDFPage_GetAnnot(page, at)
        subtype = raw.FPDFAnnot_GetSubtype(annotation)
        drawn = _is_drawn(annotation, raw)
        says = raw.FPDFAnnot_GetStringValue(annotation, b"Contents", None, 0) > 2  # noqa: PLR2004
        kind = raw.FPDFAnnot_GetFormFieldType(pdf.formenv, annotation) if pdf.formenv else None
        if subtype == raw.FPDF_ANNOT_FREETEXT and says and not drawn:
            found["texts typed over the page (FreeText annotations without an appearance)"] += 1
        elif subtype == raw.FPDF_ANNOT_WIDGET and kind in (
            raw.FPDF_FORMFIELD_CHECKBOX,
            raw.FPDF_FORMFIELD_RADIOBUTTON,
        ):
            found["check boxes and radio buttons"] += 1
        raw.FPDFPage_CloseAnnot(annotation)
    return found


def _unread(pdf: Any, path: Path, annotations: list[Counter[str]]) -> Iterator[str]:
    """Yield what a viewer shows or can open that is not in the text."""
    for what, count in sum(annotations, Counter[str]()).items():
        pages = _numbered([number for number, found in enumerate(annotations, 1) if found[what]])
        yield f"{path}: {what} are not read: {count}, on {pages}. Write what they say as text of the page."
    if attached := pdf.count_attachments():
        yield f"{path}: {attached} attached files are not read. Put them into the corpus if they belong to it."


def _numbered(pages: list[int]) -> str:
    """Format page numbers for people: ``page 2``, ``pages 2, 5-7``."""
    runs: list[list[int]] = []
    for page in pages:
        if runs and page == runs[-1][-1] + 1:
            runs[-1].append(page)
        else:
            runs.append([page])
    written = ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
    return f"page{'s' * (len(pages) > 1)} {written}"

"""The body of a Word document: its elements become blocks of Markdown, in order."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from pytest_embedqa.core.errors import DataError
from pytest_embedqa.rag.documents.docx_equation import equation
from pytest_embedqa.rag.documents.docx_field import Field, shown_in_form
from pytest_embedqa.rag.documents.docx_package import Package, attribute, is_on, name_of
from pytest_embedqa.rag.documents.docx_styles import Numbering, Styles
from pytest_embedqa.rag.documents.docx_symbols import font_of, in_font, symbol
from pytest_embedqa.rag.documents.docx_table import only_places, rows_of
from pytest_embedqa.rag.documents.literal import literal
from pytest_embedqa.rag.documents.raised import lowered, raised
from pytest_embedqa.rag.documents.tables import markdown_table

if TYPE_CHECKING:
    from lxml.etree import _Element

# Elements that only contain others.
_WRAPPERS = frozenset(
    [
        "w:body",
        "w:sdt",
        "w:sdtContent",
        "w:customXml",
        "w:smartTag",
        "w:hyperlink",
        "w:fldSimple",
        "w:ins",
        "w:moveTo",
        "w:dir",
        "w:bdo",
        "w:ruby",
        "w:rubyBase",
    ]
)
# Elements whose text Word does not show in place.
_NOT_SHOWN = frozenset(["w:del", "w:moveFrom", "w:delText", "w:delInstrText", "w:rt", "w:fldData"])
_SIGNS = {
    "w:tab": "\t",
    "w:ptab": "\t",
    "w:br": "\n",
    "w:cr": "\n",
    "w:noBreakHyphen": "-",
}
_ALIGNED = {"superscript": raised, "subscript": lowered}
_DRAWINGS = frozenset(["w:drawing", "w:pict", "w:object"])
_NOTES = {"w:footnoteReference": "footnotes", "w:endnoteReference": "endnotes"}


@dataclass(frozen=True)
class _Block:
    text: str
    kind: str = ""  # "item" of a list or "code"; any other block stands alone
    in_line: str = ""  # the text for a table cell, if different

    @property
    def line(self) -> str:
        return self.in_line or self.text


class Body:
    """A reader of a document's body, from the first element to the last."""

    def __init__(self, package: Package) -> None:
        """Read from an open package."""
        self._package = package
        self._styles = Styles(package.related("styles"))
        self._numbering = Numbering(package.related("numbering"), self._styles)
        self._noted = {kind: package.related(kind) for kind in _NOTES.values()}
        self._fields: list[Field] = []
        self._boxes: list[_Block] = []  # text boxes of the paragraph being read
        self._notes: list[_Block] = []  # notes of the block being read
        self.nameless: Counter[str] = Counter()  # signs without a Unicode character, by font

    def markdown(self) -> str:
        """Return the whole body as Markdown.

        Raises:
            DataError: If it holds text in an unknown way.
        """
        root = self._package.part(self._package.main)
        blocks = [block for body in root.iterchildren("{*}body") for block in self._story(body, notes=True)]
        runs = groupby(blocks, key=lambda block: block.kind)
        return "\n\n".join(_joined(kind, [block.text for block in same]) for kind, same in runs)

    def _shown(self, element: _Element) -> Iterator[_Element]:
        """Yield the children of an element that have content of their own, including those inside wrappers."""
        for child in element.iterchildren("*"):
            name = name_of(child)
            if name == "mc:AlternateContent":
                yield from self._shown(_alternative(child))
            elif name in _WRAPPERS:
                yield from self._shown(child)
            elif name not in _NOT_SHOWN:
                yield child

    def _blocks(self, element: _Element, *, notes: bool = False, plain: bool = False) -> list[_Block]:
        """Return the paragraphs and tables in an element; with ``plain``, headings and code count as text."""
        blocks: list[_Block] = []
        begun = ""  # start of a paragraph whose end mark was deleted
        for child in self._shown(element):
            name = name_of(child)
            if name == "w:p":
                text = begun + self._inline(child, child)
                begun = text if self._goes_on(child) else ""
                blocks += [] if begun else self._paragraph(child, text, plain=plain)
            else:
                blocks += [_Block(begun)] if begun.strip() else []
                begun = ""
                if name == "w:tbl":
                    blocks += self._table(child, plain=plain)
                elif name in {"w:altChunk", "w:subDoc"}:
                    raise DataError(f"it takes in another file (<{name}>), which is not read")
                elif name.startswith("m:"):
                    blocks.append(_Block(equation(child, self._shown, self._math_text)))
                else:
                    _refuse_text(child, name)
            blocks, self._boxes = blocks + ([] if begun else self._boxes), self._boxes if begun else []
            if notes:
                blocks, self._notes = blocks + self._notes, []
        return blocks + ([_Block(begun)] if begun.strip() else [])

    def _story(self, element: _Element, *, notes: bool = False, plain: bool = False) -> list[_Block]:
        """Return the blocks of a self-contained text, such as the body, a text box or a note."""
        outer = self._fields, self._boxes
        self._fields, self._boxes = [], []
        blocks = self._blocks(element, notes=notes, plain=plain)
        if open_field := next((field.code.strip() for field in self._fields if field.in_code), None):
            raise DataError(f"a field has no end ({open_field[:40]!r}), so all after it would be its code")
        self._fields, self._boxes = outer
        return blocks

    @staticmethod
    def _goes_on(paragraph: _Element) -> bool:
        """Return whether the next paragraph continues this one: its end mark was deleted, or it is a drop cap."""
        properties = paragraph.find("{*}pPr")
        if properties is None:
            return False
        mark_is_gone = any(properties.find(f"{{*}}rPr/{{*}}{kind}") is not None for kind in ("del", "moveFrom"))
        drop_cap = attribute(properties.find("{*}framePr"), "dropCap")
        return mark_is_gone or drop_cap not in {None, "none"}

    def _paragraph(self, paragraph: _Element, text: str, *, plain: bool) -> list[_Block]:
        hidden_mark = is_on(paragraph.find("{*}pPr/{*}rPr/{*}vanish"))
        label = "" if hidden_mark and not text.strip() else self._numbering.label(paragraph)
        if not text.strip():
            return []
        if plain:
            return [_Block(label + text.strip()) if label else _as_text(text.strip())]
        if level := self._styles.heading_level(paragraph):
            return [_Block(f"{'#' * level} {label.removeprefix('- ')}{' '.join(text.split())}")]
        if self._styles.is_code(paragraph):
            return [_Block(text, "code")]
        return [_Block(label + text.strip(), "item") if label else _as_text(text.strip())]

    def _table(self, table: _Element, *, plain: bool) -> list[_Block]:
        """Return a table as a block; only the content of its cells, if it just frames a text or places other tables."""
        rows = [row for row in self._shown(table) if name_of(row) == "w:tr" and row.find("{*}trPr/{*}del") is None]
        cells = [[cell for cell in self._shown(row) if name_of(cell) == "w:tc"] for row in rows]
        for one in [*self._shown(table), *(cell for row in rows for cell in self._shown(row))]:
            if name_of(one) not in {"w:tr", "w:tc"}:
                _refuse_text(one, name_of(one))
        if only_places(cells):
            return [block for row in cells for cell in row for block in self._blocks(cell, plain=plain)]
        texts = [[" ".join(block.line for block in self._blocks(cell, plain=True)) for cell in row] for row in cells]
        whole = rows_of(rows, cells, texts)
        line = "; ".join(", ".join(filter(None, row)) for row in whole)
        return [_Block(text, in_line=line)] if (text := markdown_table(whole)) else []

    def _inline(self, element: _Element, paragraph: _Element, *, hidden: bool = False) -> str:
        """Return the text of a paragraph or of a run in it."""
        text = ""
        for child in self._shown(element):
            piece = self._piece(child, paragraph, hidden=hidden)
            aligned = self._styles.alignment(child) if name_of(child) == "w:r" else None
            if aligned in _ALIGNED and text[-1:].strip() and piece.strip():
                piece = _ALIGNED[aligned](piece)
            text += piece
        return text

    def _piece(self, element: _Element, paragraph: _Element, *, hidden: bool) -> str:
        name = name_of(element)
        if name == "w:r":
            return self._inline(element, paragraph, hidden=self._styles.is_hidden(element, paragraph))
        if name in {"w:fldChar", "w:instrText"}:  # even where they are hidden, so that each field ends
            text = self._field(element, name)
        elif hidden or self._in_code():
            return ""
        else:
            text = self._visible(element, name)
            if text and self._fields:
                self._fields[-1].form = ""  # the field has a result
        return "" if hidden or self._in_code() else text

    def _in_code(self) -> bool:
        return any(field.in_code for field in self._fields)

    def _visible(self, element: _Element, name: str) -> str:
        """Return the text of an element; content beside the line, such as a text box, is kept for later."""
        if name == "w:t":
            text = re.sub(r"[\n\t\r]", " ", element.text or "")
            return self._known(in_font(text, element.getparent()), font_of(element.getparent()))
        if name == "w:sym":
            font = attribute(element, "font") or ""
            return self._known(symbol(font, int(attribute(element, "char") or "0", 16)), font)
        if name.startswith("m:"):
            return equation(element, self._shown, self._math_text)
        if name in _DRAWINGS:
            self._boxes += self._drawn(element)
        elif name in _NOTES:
            self._notes += self._note(_NOTES[name], attribute(element, "id"))
        elif name not in _SIGNS:
            _refuse_text(element, name)
        return _SIGNS.get(name, "")

    def _known(self, text: str, font: str | None) -> str:
        """Return a font's text, and count its signs that have no Unicode character."""
        if private := sum("\ue000" <= char <= "\uf8ff" for char in text):
            self.nameless[font or "of its style"] += private
        return text

    def _math_text(self, element: _Element) -> str:
        """Return the text of elements in an equation that do not belong to Office Math."""
        return self._piece(element, element, hidden=False)

    def _field(self, element: _Element, name: str) -> str:
        """Return part of a field: the text that a field shows by itself, if it has no result."""
        kind = attribute(element, "fldCharType")
        if kind == "begin":
            self._fields.append(Field(form=shown_in_form(element)))
            return ""
        if not self._fields:
            return ""
        if name == "w:instrText":
            self._fields[-1].code += element.text or ""
        elif kind == "separate":
            self._fields[-1].in_code = False
        elif kind == "end":
            return self._fields.pop().shown_without_result()
        return ""

    def _note(self, kind: str, identifier: str | None) -> list[_Block]:
        part = self._noted[kind]
        notes = [] if part is None else part.iterchildren("*")
        return [
            block for note in notes if attribute(note, "id") == identifier for block in self._story(note, plain=True)
        ]

    def _drawn(self, element: _Element) -> list[_Block]:
        """Return the texts of a drawing: text boxes, shapes, WordArt and SmartArt."""
        blocks: list[_Block] = []
        for child in element.iterchildren("*"):
            name = name_of(child)
            if name == "mc:AlternateContent":
                blocks += self._drawn(_alternative(child))
            elif name == "w:txbxContent":
                blocks += self._story(child)
            elif name == "a:p":
                blocks.append(_as_text("".join(text.text or "" for text in child.iter("{*}t"))))
            elif name == "v:textpath":
                blocks.append(_Block(attribute(child, "string") or ""))
            elif name == "dgm:relIds":
                part = self._package.by_id(attribute(child, "dm"))
                blocks += [] if part is None else self._drawn(part)
            else:
                blocks += self._drawn(child)
        return [block for block in blocks if block.text.strip()]


def _as_text(text: str) -> _Block:
    """Return a block in which nothing acts as Markdown."""
    return _Block(literal(text), in_line=text)


def _alternative(element: _Element) -> _Element:
    """Return the first alternative of content for newer and older programs that has text."""
    branches = [one for one in element.iterchildren("*") if name_of(one) in {"mc:Choice", "mc:Fallback"}]
    texts = (
        one for one in branches if any(part.text for part in one.iter("{*}t")) or one.find(".//{*}relIds") is not None
    )
    return next(texts, branches[0] if branches else element)


def _refuse_text(element: _Element, name: str) -> None:
    """Refuse an unknown element if it contains text."""
    text = " ".join("".join(map(str, element.itertext())).split())
    if text:
        raise DataError(f"the element <{name}> is not known, and holds text ({text[:40]!r})")


def _joined(kind: str, texts: list[str]) -> str:
    """Join consecutive blocks of the same kind."""
    if kind == "code":
        return "\n".join(["```", *texts, "```"])
    return ("\n" if kind == "item" else "\n\n").join(texts)

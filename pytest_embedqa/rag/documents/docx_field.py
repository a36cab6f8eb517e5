"""Fields of Word files: a code, and the result that is shown in its place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_embedqa.core.errors import DataError
from pytest_embedqa.rag.documents.docx_package import attribute, is_on, number
from pytest_embedqa.rag.documents.docx_symbols import symbol

if TYPE_CHECKING:
    from lxml.etree import _Element

_BUTTON = re.compile(r"\s*(?:MACROBUTTON|GOTOBUTTON)\s+\S+\s(.*)", re.IGNORECASE | re.DOTALL)
_SYMBOL = re.compile(r"\s*SYMBOL\s+(0x[\da-f]+|\d+)(?:.*\\f\s*\"?([\w ]*\w))?", re.IGNORECASE)
# Overlaid signs: a phonetic guide, or a character in a circle.
_OVER = re.compile(r"\s*EQ\s.*?\\o\s*(?:\\a\w\s*)?\((?:\\s\\up\s*\d+\s*\(.*?\)|[○◯□△◇])\s*[,;](.*)\)\s*", re.IGNORECASE)
_EQUATION = re.compile(r"\s*EQ\s", re.IGNORECASE)


@dataclass
class Field:
    """An open field.

    Attributes:
        form: Text that it shows as a form field, unless it gets a result.
        code: The field's code, as it is written.
        in_code: Whether the result has not begun yet.
    """

    form: str = ""
    code: str = ""
    in_code: bool = True

    def shown_without_result(self) -> str:
        """Return the text that a field without a result shows.

        Raises:
            DataError: If it is an equation field, which only Word can lay out.
        """
        if self.form or not self.in_code:
            return self.form
        if found := _BUTTON.match(self.code):
            return found[1].strip()
        if found := _SYMBOL.match(self.code):
            return symbol(found[2] or "Symbol", int(found[1], 0))
        if found := _OVER.fullmatch(self.code):
            return found[1]
        if _EQUATION.match(self.code):
            raise DataError(f"an equation in a field ({self.code.strip()[:60]}) is not read")
        return ""


def shown_in_form(mark: _Element) -> str:
    """Return the text that a form field shows at its begin: a box, or a list's chosen entry; others have results."""
    box = mark.find("{*}ffData/{*}checkBox")
    if box is not None:
        checked = box.find("{*}checked")
        return "☒" if is_on(box.find("{*}default") if checked is None else checked) else "☐"
    choice = mark.find("{*}ffData/{*}ddList")
    if choice is None:
        return ""
    entries = [attribute(one) or "" for one in choice.iterchildren("{*}listEntry")]
    chosen = choice.find("{*}result")
    place = number(choice.find("{*}default") if chosen is None else chosen)
    return entries[place] if place < len(entries) else ""

"""The conversion of an HTML tree to Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pytest_embedqa.rag.documents.html_display import UNSEEN, Display
from pytest_embedqa.rag.documents.html_lists import Markers
from pytest_embedqa.rag.documents.html_scripts import Scripts, plain_script
from pytest_embedqa.rag.documents.html_table import captions, is_layout, rows_of
from pytest_embedqa.rag.documents.lines import CJK
from pytest_embedqa.rag.documents.literal import literal
from pytest_embedqa.rag.documents.tables import markdown_table, spread

if TYPE_CHECKING:
    from justhtml.dom import Node

# Inline elements. Every other element stands apart: two blocks must never merge into a word.
_INLINE = frozenset(
    [
        "a",
        "abbr",
        "acronym",
        "b",
        "bdi",
        "bdo",
        "big",
        "blink",
        "br",
        "cite",
        "code",
        "data",
        "del",
        "dfn",
        "em",
        "font",
        "i",
        "image",
        "img",
        "input",
        "ins",
        "kbd",
        "label",
        "map",
        "mark",
        "nobr",
        "object",
        "output",
        "picture",
        "q",
        "rb",
        "rt",
        "rtc",
        "ruby",
        "s",
        "samp",
        "select",
        "slot",
        "small",
        "source",
        "span",
        "strike",
        "strong",
        "sub",
        "sup",
        "time",
        "track",
        "tt",
        "u",
        "var",
        "wbr",
    ]
)
_LISTS = frozenset({"ol", "ul", "menu", "dir"})
_PREFORMATTED = frozenset({"listing", "plaintext", "pre", "textarea", "xmp"})
_TYPED = frozenset(
    [
        "button",
        "date",
        "datetime-local",
        "email",
        "month",
        "number",
        "reset",
        "search",
        "submit",
        "tel",
        "text",
        "time",
        "url",
        "week",
    ]
)
_INVISIBLE = dict.fromkeys([0xAD, 0x2060, 0xFEFF])  # soft hyphen, word joiner, byte order mark
_LANGUAGE = re.compile(r"(?:^|\s)(?:language|lang|highlight-source|highlight)-([\w+#.-]+)")
_IS_CJK = re.compile(f"[{CJK}]")
_LINE, _PARAGRAPH = 1, 2


def markdown(root: Node, displays: Mapping[int, Display]) -> str:
    """Return the visible text of a tree, as Markdown."""
    return _Writer(displays).written(root)


class _Writer:
    """A writer that walks a tree without recursion: pages can be nested very deep."""

    def __init__(self, displays: Mapping[int, Display], *, flat: bool = False, visible: bool = True) -> None:
        """Start with nothing written; ``flat`` puts everything on a single line, as in a cell or a heading."""
        self._displays = displays
        self._flat = flat
        self._parts: list[str] = []
        self._scripts = Scripts(self._parts)
        self._gap = ""  # a blank, if white space came since the last text
        self._break = 0  # number of line breaks since the last text
        self._markers = Markers()
        self._visible = [visible]
        self._readings: list[list[str]] = []
        self._quotes = 0

    def written(self, root: Node) -> str:
        """Write all children of a node."""
        stack: list[tuple[Any, bool]] = [(root, False)]
        while stack:
            node, leaving = stack.pop()
            if leaving:
                self._leave(node)
            elif node.name == "#text":
                if self._visible[-1]:
                    self._text(node.data)
            elif node is root or (node.children is not None and self._enter(node)):
                if node is not root:
                    stack.append((node, True))
                stack += [(child, False) for child in reversed(node.children)]
        return "".join(self._parts)

    def _enter(self, node: Any) -> bool:  # justhtml's Element
        """Begin an element; return whether to write its children."""
        name = node.name.lower()
        display, visibility = self._displays.get(id(node), Display())
        if name in UNSEEN or display == "none":
            return False
        visible = visibility == "visible" if visibility else self._visible[-1]
        self._apart(node, name, display)
        if visible and self._whole(node, name):
            self._apart(node, name, display)
            return False
        self._visible.append(visible)
        self._scripts.begin(node)
        if name == "q" and visible:
            self._word("“‘"[self._quotes % 2])
            self._quotes += 1
        elif name == "ruby":
            self._readings.append([])
        elif name == "li":
            self._markers.item(node)
        elif name in _LISTS:
            self._markers.begin(node)
        return True

    def _leave(self, node: Any) -> None:
        name = node.name.lower()
        visible = self._visible.pop()
        self._scripts.end(node)
        if name == "q" and visible:
            self._quotes -= 1
            self._word("”’"[self._quotes % 2], joined=True)
        elif name == "ruby":
            readings = [one for one in self._readings.pop() if one]
            if readings:
                joint = "" if all(_IS_CJK.match(one) for one in readings) else " "
                self._word(f"（{joint.join(readings)}）", joined=True)
        elif name == "li":
            self._markers.end_item()
        elif name in _LISTS:
            self._markers.end()
        self._apart(node, "dd" if name == "dt" else name, self._displays.get(id(node), Display()).display)

    def _apart(self, node: Any, name: str, display: str) -> None:
        """Set an element apart from the text before or after it."""
        if display:
            self._break = _PARAGRAPH
        elif name in {"img", "input"} or node.namespace != "html":  # texts of a drawing, terms of a formula
            self._gap = " "
        elif name in {"li", "dd", "option", "optgroup", "button"} or (name in _LISTS and self._markers.depth):
            self._break = max(self._break, _LINE)
        elif name not in _INLINE:
            self._break = _PARAGRAPH

    def _whole(self, node: Any, name: str) -> bool:
        """Write an element that is more than its children; return whether it was such an element."""
        if name == "br":
            self._break = max(self._break, _LINE)
        elif name == "img":
            self._text(node.attrs.get("alt") or "")
        elif name == "input":
            self._input(node.attrs)
        elif name in {"rt", "rtc"} and self._readings:
            self._readings[-1].append(" ".join(self._plain(node).split()))
        elif name in _PREFORMATTED and not self._flat:
            self._code(node, name)
        elif name == "table" and not self._flat and not is_layout(node, self._displayed):
            for caption in captions(node, self._displayed):
                self._block(literal(self._line(caption)))
            rows = spread(rows_of(node, self._displayed, self._line))
            self._block(markdown_table(rows))
        elif not self._flat and (level := _level(node, name)):
            line = self._line(node)
            self._block(line and f"{'#' * level} {line}")
        else:
            return False
        return True

    def _input(self, attrs: Mapping[str, str | None]) -> None:
        kind = (attrs.get("type") or "text").lower()
        if kind in {"checkbox", "radio"}:
            self._word("[x]" if "checked" in attrs else "[ ]")
        elif kind in _TYPED:
            self._text(attrs.get("value") or "")
        elif kind == "image":
            self._text(attrs.get("alt") or "")

    def _code(self, node: Any, name: str) -> None:
        code = self._plain(node).strip("\n")
        if name == "textarea":
            self._block(literal(code))
        elif code.strip():
            fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", code) or [""]))
            self._block(f"{fence}{_language(node)}\n{code}\n{fence}")

    def _plain(self, node: Any) -> str:
        """Return the text of an element as it is written in the source."""
        texts, stack = [], [node]
        while stack:
            one = stack.pop()
            if one.name == "#text":
                texts.append(one.data)
            elif one.name == "br":
                texts.append("\n")
            elif one is not node and texts and self._shown(one) and (script := plain_script(one)):
                texts.append(script)
            elif one is node or (one.children is not None and self._shown(one)):
                stack += reversed(one.children)
        return "".join(texts).translate(_INVISIBLE)

    def _displayed(self, node: Any) -> bool:
        return node.name.lower() not in UNSEEN and self._displays.get(id(node), Display()).display != "none"

    def _shown(self, node: Any) -> bool:
        return self._displayed(node) and self._displays.get(id(node), Display()).visibility in {"", "visible"}

    def _line(self, node: Any) -> str:
        """Return the content of an element on one line."""
        above = node
        while above and not (visibility := self._displays.get(id(above), Display()).visibility):
            above = above.parent
        return _Writer(self._displays, flat=True, visible=not above or visibility == "visible").written(node)

    def _text(self, text: str) -> None:
        """Write text with white space collapsed as in CSS, but without a blank where a line of Chinese was broken."""
        text = text.translate(_INVISIBLE)
        if text[:1].isspace():
            self._gap = " "
        if words := re.sub(rf"(?<=[{CJK}])\s*\n\s*(?=[{CJK}])", "", text).split():
            self._word(" ".join(words))
            self._gap = " " if text[-1].isspace() else ""

    def _word(self, text: str, *, joined: bool = False, as_it_is: bool = False) -> None:
        """Write text without outer white space; ``joined`` to the text before, ``as_it_is`` for Markdown."""
        joint = bool(self._parts) and (joined or not (self._gap or self._break))
        if self._break and self._parts and not joined:
            self._parts.append(" " if self._flat else "\n" * self._break)
        elif self._gap and self._parts and not joined:
            self._parts.append(" ")
        if self._break or not self._parts:
            start = self._markers.line_start(flat=self._flat)
            self._parts.append(start)
            text = text if start or self._flat or as_it_is else literal(text)
        self._scripts.word(text, joined=joint)
        self._parts.append(text)
        self._gap, self._break = "", 0

    def _block(self, text: str) -> None:
        """Write lines unchanged, set apart from others."""
        if text:
            self._break = _PARAGRAPH
            first, *others = text.split("\n")
            self._word(first, as_it_is=True)
            self._parts += [f"\n{self._markers.line_start()}{line}" if line else "\n" for line in others]
            self._break = _PARAGRAPH


def _level(node: Any, name: str) -> int:
    """Return the level of a heading, from 1; 0 for other elements."""
    if re.fullmatch("h[1-6]", name):
        return int(name[1])
    if (node.attrs.get("role") or "").lower() == "heading":
        level = node.attrs.get("aria-level") or "2"
        return min(int(level), 6) if re.fullmatch("[1-9]", level) else 2
    return 0


def _language(pre: Any) -> str:
    """Return the language of a code block, if a class names it in the way of highlighters."""
    nodes = [
        pre,
        *(child for child in pre.children if child.name == "code"),
        pre.parent,
        pre.parent and pre.parent.parent,
    ]
    for node in nodes:
        if node is not None and (found := _LANGUAGE.search((node.attrs or {}).get("class") or "")):
            return "" if found[1] in {"default", "none", "text"} else found[1]
    return ""

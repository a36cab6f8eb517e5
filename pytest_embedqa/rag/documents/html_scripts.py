"""Raised and lowered text of HTML, and the MathML forms that change the meaning of their terms."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_embedqa.rag.documents.raised import grouped, lowered, raised

_SCRIPTS: dict[str, Callable[[str], str]] = {"sup": raised, "sub": lowered}
_ACCENT = re.compile(r"[^\w\s]?")
_FORMULAS: dict[str, tuple[int, Callable[..., str]]] = {
    "msup": (2, lambda base, above: f"{grouped(base)}^{grouped(above)}"),
    "msub": (2, lambda base, below: f"{grouped(base)}_{grouped(below)}"),
    "msubsup": (3, lambda base, below, above: f"{grouped(base)}_{grouped(below)}^{grouped(above)}"),
    "munder": (2, lambda base, below: f"{grouped(base)}_{grouped(below)}"),
    "mover": (2, lambda base, above: f"{grouped(base)}{above if _ACCENT.fullmatch(above) else '^' + grouped(above)}"),
    "munderover": (3, lambda base, below, above: f"{grouped(base)}_{grouped(below)}^{grouped(above)}"),
    "mfrac": (2, lambda above, below: f"{grouped(above)}/{grouped(below)}"),
    "mroot": (2, lambda of, degree: f"√({degree}&{of})"),
}


_OF_TERMS = frozenset({*_FORMULAS, "mmultiscripts"})


@dataclass
class _Open:
    """An element that is being written."""

    node: Any
    start: int = -1  # index of its first part of text
    joined: bool = False  # joined to the text before
    terms: list[str] = field(default_factory=list)


class Scripts:
    """A rewriter of the last parts of a text, applied when an element that changes their meaning ends."""

    def __init__(self, parts: list[str]) -> None:
        """Start outside of all such elements; ``parts`` is the text written so far."""
        self._parts = parts
        self._open: list[_Open] = []
        self._alone: tuple[str, int] | None = None  # a script with nothing before it
        self._numerator: tuple[int, int] | None = None  # a script behind a digit, and its end

    def begin(self, node: Any) -> None:  # justhtml's Element, as below
        """Begin an element."""
        if _concerns(node):
            self._open.append(_Open(node))

    def word(self, text: str, *, joined: bool) -> None:
        """Prepare for the next word; ``joined`` to the last word."""
        if self._alone and joined and len(self._parts) == self._alone[1] + 1 and not text[0].isspace():
            name, start = self._alone
            self._parts[start] = _SCRIPTS[name](self._parts[start])
        self._alone = None
        for one in reversed(self._open):
            if one.start >= 0:
                break
            one.start, one.joined = len(self._parts), joined
            if one.node.name == "sub" and joined and self._numerator:
                start, end = self._numerator
                if end == len(self._parts) - 1 and self._parts[-1] in {"/", "⁄"}:  # 1¹/₂ could be 11/2
                    self._parts.insert(start, " ")
                    one.start += 1
                self._numerator = None

    def end(self, node: Any) -> None:
        """End an element."""
        if not _concerns(node):
            return
        one = self._open.pop()
        parts = self._parts
        text = "".join(parts[one.start :]) if one.start >= 0 else ""
        name = node.name.lower()
        if text and "\n" not in text:
            if name in _SCRIPTS and one.joined:
                before = parts[one.start - 1]
                self._numerator = (one.start, one.start + 1) if before[-1:].isdigit() and name == "sup" else None
                text = _SCRIPTS[name](text)
            elif name in _SCRIPTS:
                self._alone = name, one.start
            elif name == "msqrt":
                text = f"√({text})"
            elif name == "mmultiscripts":
                text = (
                    _multiscripts([child.name for child in node.children if child.name != "#text"], one.terms) or text
                )
            elif name in _FORMULAS and len(one.terms) == _FORMULAS[name][0]:
                text = _FORMULAS[name][1](*one.terms)
            parts[one.start :] = [text]
        if node.parent.name in _OF_TERMS:
            self._open[-1].terms.append(text)


def plain_script(node: Any) -> str:
    """Return the text of a raised or lowered element that contains only text; empty for other elements."""
    if node.name not in _SCRIPTS or any(child.name != "#text" for child in node.children):
        return ""
    return _SCRIPTS[node.name]("".join(child.data for child in node.children))


def _concerns(node: Any) -> bool:
    return node.name.lower() in {*_SCRIPTS, *_OF_TERMS, "msqrt"} or (node.parent and node.parent.name in _OF_TERMS)


def _multiscripts(names: Sequence[str], terms: Sequence[str]) -> str:
    """Return a base with its pairs of signs below and above, prefixed pairs first; empty if a term is hidden."""
    if len(names) != len(terms):
        return ""
    base, *rest = terms
    split = names.index("mprescripts") - 1 if "mprescripts" in names else len(rest)

    def written(scripts: Sequence[str]) -> str:
        marks = zip("_^" * len(scripts), scripts, strict=False)
        return "".join(f"{mark}{grouped(script)}" for mark, script in marks if script)

    return f"{written(rest[split + 1 :])}{grouped(base)}{written(rest[:split])}"

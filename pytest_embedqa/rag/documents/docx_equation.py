"""Equations of Word files (Office Math) on one line, in Word's linear format."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from pytest_embedqa.rag.documents.docx_package import attribute, name_of

if TYPE_CHECKING:
    from lxml.etree import _Element

_ONE = re.compile(r"\w*|\W?")
# Signs of elements that do not name a sign.
_DEFAULTS = {"m:nary": "∫", "m:acc": "\u0302"}


def _grouped(text: str) -> str:
    """Put a text in brackets, unless it is a single number, name or sign."""
    return text if _ONE.fullmatch(text) else f"({text})"


def _raised(parts: Mapping[str, str], *kinds: str) -> str:
    """Return a base with the terms below and above it."""
    return "".join(("_" if kind == "sub" else "^") + _grouped(parts[kind]) for kind in kinds if parts[kind])


_FORMS: dict[str, Callable[[Mapping[str, str]], str]] = {
    "m:f": lambda parts: f"{_grouped(parts['num'])}/{_grouped(parts['den'])}",
    "m:rad": lambda parts: f"√({parts['deg']}&{parts['e']})" if parts["deg"] else f"√({parts['e']})",
    "m:sPre": lambda parts: f"{_raised(parts, 'sub', 'sup')} {parts['e']}",
    "m:sSub": lambda parts: parts["e"] + _raised(parts, "sub"),
    "m:sSup": lambda parts: parts["e"] + _raised(parts, "sup"),
    "m:sSubSup": lambda parts: parts["e"] + _raised(parts, "sub", "sup"),
    "m:limLow": lambda parts: f"{parts['e']}_{_grouped(parts['lim'])}",
    "m:limUpp": lambda parts: f"{parts['e']}^{_grouped(parts['lim'])}",
    "m:nary": lambda parts: f"{parts['chr']}{_raised(parts, 'sub', 'sup')} {parts['e']}",
    "m:func": lambda parts: f"{parts['fName']} {parts['e']}",
    "m:acc": lambda parts: parts["e"] + parts["chr"],
}
_ENDING = frozenset(["m:f", "m:sSub", "m:sSup", "m:sSubSup", "m:sPre", "m:limLow", "m:limUpp"])
_JOINED = {"m:d": "|", "m:eqArr": "; ", "m:m": "; ", "m:mr": " "}


def equation(
    element: _Element, shown: Callable[[_Element], Iterable[_Element]], other: Callable[[_Element], str]
) -> str:
    """Return an equation, or a part of it, on one line: ``x=(a+b)/2``, ``a^2``, ``√(x)``.

    Args:
        element: Any element of Office Math.
        shown: Function that returns an element's visible children.
        other: Function that reads an element outside Office Math, such as a sign in a run.
    """
    kind = name_of(element)
    if kind == "m:t":
        return element.text or ""
    settings = {
        name_of(one).removeprefix("m:"): attribute(one) or ""
        for properties in element.iterchildren("{*}" + kind.removeprefix("m:") + "Pr")
        for one in properties.iterchildren("*")
    }
    if kind == "m:phant" and settings.get("show") in {"0", "off", "false"}:
        return ""
    parts: dict[str, list[str]] = defaultdict(list)
    before = ""
    for child in shown(element):
        name = name_of(child)
        text = equation(child, shown, other) if name.startswith("m:") else other(child)
        parts[name.removeprefix("m:")].append(text)
        # Text after a raised sign or a fraction is not part of it.
        apart = parts["all"] and before in _ENDING and text[:1].isalnum()
        parts["all"].append(f" {text}" if apart else text)
        before = name
    if kind in _JOINED:
        inside = settings.get("sepChr", _JOINED[kind]).join(filter(None, parts["all"]))
        return settings.get("begChr", "(") + inside + settings.get("endChr", ")") if kind == "m:d" else inside
    if kind in _FORMS:
        whole = defaultdict(str, {name: "".join(texts) for name, texts in parts.items()})
        return _FORMS[kind](whole | {"chr": settings.get("chr", _DEFAULTS.get(kind, ""))})
    return "".join(parts["all"])

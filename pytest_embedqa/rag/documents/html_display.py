"""The display of a page's elements in a browser: hidden, inline, or set apart from their surroundings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

# Elements that browsers never show, including fallback content for browsers without support.
UNSEEN = frozenset(
    [
        "area",
        "audio",
        "base",
        "basefont",
        "canvas",
        "datalist",
        "embed",
        "frameset",
        "head",
        "iframe",
        "link",
        "meta",
        "meter",
        "noembed",
        "noframes",
        "noscript",
        "param",
        "progress",
        "rp",
        "script",
        "style",
        "template",
        "title",
        "video",
        "annotation",
        "annotation-xml",
        "clippath",
        "defs",
        "desc",
        "lineargradient",
        "marker",
        "mask",
        "metadata",
        "pattern",
        "radialgradient",
        "symbol",
    ]
)
# Elements that browsers hide by default. A closed <details> and hidden="until-found" appear in a search, so they count
# as shown. The attribute is a presentational hint, as in Chromium: "revert" goes back behind it.
_HINTS = '[hidden]:not([hidden="until-found"]) { display: none }'
_BROWSER = """
dialog:not([open]), [popover], object[data] { display: none }
math[display="block"] { display: block }
"""
_OF_HINTS, _OF_BROWSER, _OF_PAGE, _OF_ELEMENT = range(4)
# Displays that set an element apart from its surroundings, including prefixed and two-word forms.
_BLOCK = re.compile(r"(?!.*(?:inline|\())(?:.*\b)?(?:block|box|flex|flexbox|flow|grid|list-item|table)\b")
# Limit on the selectors of a nested rule: lists of selectors multiply with each depth.
_MOST = 1000
_SCREEN = frozenset({"", "all", "screen", "only screen"})


class Display(NamedTuple):
    """The display of an element according to the page's styles.

    Attributes:
        display: ``none`` or ``block``, or an empty text where the kind of element decides.
        visibility: ``visible``, ``hidden`` or ``collapse``, or an empty text to inherit it from the parent.
    """

    display: str = ""
    visibility: str = ""


def displays(root: Any) -> dict[int, Display]:  # justhtml's node; mypy does not see that elements have attributes
    """Apply the CSS cascade for ``display`` and ``visibility``; keyed by ``id()`` of each element that a style names.

    An unknown value, such as a variable or a value of newer browsers, hides nothing and overrides what hid. ``style``
    attributes and ``<style>`` elements are applied, with ``@media`` for screens of any size. Rules whose selectors
    depend on more than the page (``:hover``) are not applied.
    """
    import tinycss2

    # By element, then by property and the last cascade level that set it (-1: any).
    found: dict[int, dict[tuple[str, int], tuple[tuple[object, ...], str]]] = {}

    def declare(element: Any, declarations: Iterable[Any], level: int, *specificity: object) -> None:
        for one in declarations:
            value = "".join(token.serialize() for token in one.value).strip().lower()
            rank = (one.important, level, *specificity)
            of_element = found.setdefault(id(element), {})
            for name in Display._fields if one.lower_name == "all" else [one.lower_name]:
                back = {"revert": [_OF_BROWSER], "revert-layer": range(level - 1, -1, -1)}.get(value)
                if back is None:
                    meaning = _meaning(name, value)
                else:
                    meaning = next((of_element[name, to][1] for to in back if (name, to) in of_element), "")
                if rank >= of_element.get((name, -1), (rank, ""))[0]:
                    of_element[name, -1] = of_element[name, level] = (rank, meaning)

    sheets = [(_OF_HINTS, _HINTS), (_OF_BROWSER, _BROWSER)]
    styles = (style for style in root.query("style") if _is_for_screens(style.attrs.get("media")))
    sheets += [(_OF_PAGE, style.to_text(strip=False)) for style in styles]
    names = {name for one in root.query("[class]") for name in (one.attrs["class"] or "").split()}
    for level, sheet in sheets:
        for selector, declarations in _rules(tinycss2.parse_stylesheet(sheet), names):
            for element in _matches(root, selector):
                declare(element, declarations, level, selector.specificity())
    for element in root.query("[style]"):
        declare(element, _declarations(element.attrs["style"] or ""), _OF_ELEMENT)
    return {
        element: Display(*(values.get((name, -1), ((), ""))[1] for name in Display._fields))
        for element, values in found.items()
    }


def _meaning(name: str, value: str) -> str:
    """Return the effect of a value on what is visible."""
    if name == "display":
        return "none" if value == "none" else "block" if _BLOCK.match(value) else ""
    if value in {"inherit", "unset"}:
        return ""
    return value if value in {"hidden", "collapse"} else "visible"


def _is_for_screens(media: Any) -> bool:  # an attribute may lack a value
    return " ".join(str(media or "").lower().split()) in _SCREEN


def _declarations(css: Any) -> list[Any]:  # text, or tinycss2's tokens, which have no types
    """Return the declarations that decide what is visible."""
    import tinycss2

    return [
        one
        for one in tinycss2.parse_blocks_contents(css, skip_comments=True, skip_whitespace=True)
        if one.type == "declaration" and one.lower_name in {*Display._fields, "all"}
    ]


def _rules(nodes: Iterable[Any], classes: set[str], within: Sequence[str] = ()) -> Iterator[tuple[Any, list[Any]]]:
    """Yield selectors with their declarations, except selectors that need a class which the page lacks.

    Selectors of nested rules come after the selectors of the outer rule, ``within``.
    """
    import tinycss2

    for node in nodes:
        if node.type == "at-rule" and node.lower_at_keyword == "media" and node.content is not None:
            if _is_for_screens(tinycss2.serialize(node.prelude)):
                inner = (
                    tinycss2.parse_blocks_contents(node.content) if within else tinycss2.parse_rule_list(node.content)
                )
                if declarations := _declarations(node.content) if within else []:
                    yield from ((one, declarations) for one in _parsed(within))
                yield from _rules(inner, classes, within)
        elif node.type == "qualified-rule":
            own = _nested(node.prelude, within)
            if declarations := _declarations(node.content):
                yield from ((one, declarations) for one in _parsed(own) if _classes(one.parsed_tree) <= classes)
            if any(token.type == "{} block" for token in node.content):
                yield from _rules(tinycss2.parse_blocks_contents(node.content), classes, own)


def _nested(prelude: Any, within: Sequence[str]) -> list[str]:  # tinycss2's tokens
    """Return the selectors of a nested rule, with the outer rule's selectors before them or in place of ``&``."""
    import tinycss2

    parts: list[list[Any]] = [[]]
    for one in prelude:
        if one == ",":
            parts.append([])
        else:
            parts[-1].append(one)
    own = [tinycss2.serialize(part).strip() for part in parts]
    if not within:
        return own
    return [one.replace("&", outer) if "&" in one else f"{outer} {one}" for one in own for outer in within][:_MOST]


def _parsed(selectors: Iterable[str]) -> list[Any]:
    """Parse selectors; none if one of them is unknown, as in browsers."""
    import cssselect

    try:
        return [one for selector in selectors for one in cssselect.parse(selector)]
    except cssselect.SelectorError:
        return []


def _classes(tree: Any) -> set[str]:  # cssselect's tree
    """Return the class names without which a selector matches nothing."""
    names = set()
    while tree is not None:
        if type(tree).__name__ == "Class":
            names.add(tree.class_name)
        elif type(tree).__name__ == "CombinedSelector":
            names |= _classes(tree.subselector)
        tree = getattr(tree, "selector", None)
    return names


def _matches(root: Any, selector: Any) -> list[Any]:  # cssselect's selector
    from justhtml import SelectorError

    try:
        return list(root.query(selector.canonical()))
    except SelectorError:
        return []

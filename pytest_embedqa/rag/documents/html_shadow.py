"""Templates of a page: those that a browser attaches (declarative shadow roots), and those that stay inert."""

from __future__ import annotations

from typing import Any

# Elements that the HTML standard allows as shadow hosts, beside custom elements, whose names have a hyphen.
_HOSTS = frozenset(
    [
        "article",
        "aside",
        "blockquote",
        "body",
        "div",
        "footer",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "main",
        "nav",
        "p",
        "section",
        "span",
    ]
)


def without_templates(root: Any) -> list[tuple[Any, Any]]:  # justhtml's nodes, as below
    """Take all templates out of a page; their styles are separate from the page's.

    Returns:
        The elements that have a shadow root, each with its content; of several roots the first counts, as in browsers.
    """
    shadows: dict[int, tuple[Any, Any]] = {}
    for template in root.query("template"):
        host = template.parent
        mode = str(template.attrs.get("shadowrootmode") or "").lower()
        if host is not None and mode in {"open", "closed"} and (host.name in _HOSTS or "-" in host.name):
            shadows.setdefault(id(host), (host, template.template_content))
        if host is not None:
            host.remove_child(template)
    return list(shadows.values())


def fill(host: Any, content: Any) -> None:
    """Give an element the content of its shadow root, with its own children in the slots of their name."""
    children = list(host.children)
    for slot in content.query("slot"):
        name = slot.attrs.get("name") or ""
        assigned = [child for child in children if ((getattr(child, "attrs", None) or {}).get("slot") or "") == name]
        if assigned:
            _set_children(slot, assigned)
            children = [child for child in children if child not in assigned]
    _set_children(host, list(content.children))


def _set_children(node: Any, children: list[Any]) -> None:
    for child in list(node.children):
        node.remove_child(child)
    for child in children:
        node.append_child(child)

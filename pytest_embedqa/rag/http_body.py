"""The body of a request to an HTTP retriever: a template with places for the query and k."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_PLACE = re.compile(r"\{(query|k)\}")


def strings_of(template: Any) -> str:  # any JSON
    """All strings of a template, keys left out, in one."""
    if isinstance(template, Mapping):
        template = list(template.values())
    if isinstance(template, list):
        return "\n".join(strings_of(one) for one in template)
    return template if isinstance(template, str) else ""


def filled(template: Any, query: str, k: int) -> Any:  # any JSON
    """The template with the query and k in it."""
    if isinstance(template, Mapping):
        return {key: filled(value, query, k) for key, value in template.items()}
    if isinstance(template, list):
        return [filled(value, query, k) for value in template]
    if template == "{k}":
        return k
    # In one pass: a query may itself hold "{k}".
    values = {"query": query, "k": str(k)}
    return _PLACE.sub(lambda place: values[place[1]], template) if isinstance(template, str) else template

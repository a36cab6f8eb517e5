"""The escaping of text that Markdown would take for markup."""

from __future__ import annotations

import re

# At the start of a line: a heading, a code fence, a heading's underline, and HTML that continues over blank lines.
_MARK = re.compile(
    r"^(?= {0,3}(?:\#{1,6}(?:\s|$)|```|~~~|(?:=+|-+)\s*$|<(?:script|pre|style|textarea)\b|<!|<\?))( *)",
    re.MULTILINE | re.IGNORECASE,
)


def literal(text: str) -> str:
    """Return Markdown that shows a text unchanged: signs of structure get a backslash."""
    return _MARK.sub(r"\1\\", text)

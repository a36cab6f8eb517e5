"""Text that Markdown would take for something else."""

from __future__ import annotations

import re

# At the start of a line: a heading, a fence of code, the line under a heading, and HTML that goes on over blank lines.
_MARK = re.compile(
    r"^(?= {0,3}(?:\#{1,6}(?:\s|$)|```|~~~|(?:=+|-+)\s*$|<(?:script|pre|style|textarea)\b|<!|<\?))( *)",
    re.MULTILINE | re.IGNORECASE,
)


def literal(text: str) -> str:
    """Text as Markdown of the same text: signs that would be structure have a backslash before them."""
    return _MARK.sub(r"\1\\", text)

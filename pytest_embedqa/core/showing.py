"""Foreign text in texts for people: what a document, a server or a name says is shown, and commands nobody."""

from __future__ import annotations

import re
import unicodedata

from pytest_embedqa.core.secrets import redacted

# Signs that a terminal does not show, but obeys: controls, other ends of lines, and those that turn the direction of a line.
_OBEYED = {"Cc", "Cs", "Zl", "Zp"}
_TURNS = {"RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI", "FSI", "PDI"}
# GitHub's runner looks for "::command" behind the blanks of a line, and for its older "##[command]" anywhere.
_COMMAND = re.compile(r"((?:^|\r)\s*(?=::)|##(?=\[))", re.MULTILINE)


def shown(text: str) -> str:
    """Text for people, of one line or more: no secret stands in it, and neither a terminal nor the log of a job obeys it."""
    return _COMMAND.sub(r"\1\\", "\n".join(map(one_line, redacted(text).split("\n"))))


def one_line(text: str) -> str:
    """Text in which the signs that a terminal would obey are escaped, as in a string of Python."""
    return "".join(map(_seen, text))


def _seen(sign: str) -> str:
    obeyed = unicodedata.category(sign) in _OBEYED or unicodedata.bidirectional(sign) in _TURNS
    return sign.encode("unicode_escape").decode() if obeyed and sign != "\t" else sign

"""Cleaning of a text, done before its prompt is put in front of it."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

# Soft hyphen, zero-width space, word joiner, byte order mark: remains of HTML and PDF. Joiners are not in this list,
# because Persian, Indic scripts and emoji are written with them.
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u2060\ufeff"))

CLEANERS: dict[str, Callable[[str], str]] = {
    "none": lambda text: text,
    "whitespace": lambda text: " ".join(text.split()),
    "printable": lambda text: " ".join(text.translate(_INVISIBLE).split()),
    "nfc": lambda text: unicodedata.normalize("NFC", text),
    "lower": str.lower,
}

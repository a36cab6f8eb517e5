"""What can be done to a text before its prompt is put in front of it."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

CLEANERS: dict[str, Callable[[str], str]] = {
    "none": lambda text: text,
    "whitespace": lambda text: " ".join(text.split()),
    "nfc": lambda text: unicodedata.normalize("NFC", text),
}

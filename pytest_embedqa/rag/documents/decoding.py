"""The bytes of a text file as characters, in the charset that its writer had."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from pytest_embedqa.core.errors import DataError

# The most frequent characters and marks of Chinese prose; they are a third of any such text.
_FREQUENT = frozenset("的一是不了在有人我他这中大来上个国和也为可以及用，。、：；")
_CONTROLS = dict.fromkeys([*range(9), *range(0x0B, 0x20), 0x7F, 0xFEFF])


def decoded(path: Path, declared: str | None = None) -> str:
    """The text of a file: UTF-8, UTF-16 with its mark, the declared charset, or GB 18030 if that gives Chinese."""
    data = path.read_bytes()
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ["utf-16"] if utf16 else ["utf-8", declared, "gb18030"]:
        try:
            text = data.decode(encoding or "utf-8")
        except (UnicodeDecodeError, LookupError):
            continue
        if "\0" not in text and (encoding != "gb18030" or declared == encoding or _is_chinese(text)):
            return text
    raise DataError(f"{path} is not text in UTF-8, UTF-16 with a byte order mark, or GB 18030. Save it as UTF-8.")


def _is_chinese(text: str) -> bool:
    """Whether decoding made sense: Western, Cyrillic or Korean bytes become rare characters."""
    foreign = [char for char in text if not char.isascii()]
    return sum(char in _FREQUENT for char in foreign) * 20 >= len(foreign)


def cleaned(text: str) -> str:
    """Without control characters and lone surrogates, with Unix line ends and no blanks before them."""
    text = re.sub(r"\r\n?|\f", "\n", text).encode("utf-8", "replace").decode().translate(_CONTROLS)
    return re.sub(r"[^\S\n]+$", "", text, flags=re.MULTILINE).strip("\n")

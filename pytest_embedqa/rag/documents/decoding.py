"""The bytes of a text file as characters, in the charset that its writer had, or an error: never in a likely one."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from pytest_embedqa.core.errors import DataError, MissingExtraError

# UTF-32's mark of little endian begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Escape sequences by which ISO 2022 goes to Japanese, Korean or Chinese; its bytes are ASCII else.
_ISO_2022 = re.compile(rb"\x1b\$[@AB()]")
# With fewer bytes beyond ASCII, or another charset that fits nearly as well, what a detector says is a guess. Over 8,000
# texts in 30 charsets, from single words to pages, these two bounds let no wrong one pass.
_LEAST_BYTES = 16
_MARGIN = 0.1
_SHOWN = 30
# Of text that is none, or of two bytes a character without a mark, a share of this or more are such signs.
_BINARY = re.compile(r"[\x01-\x06\x0e-\x1a\x1c-\x1f]")
_BINARY_SHARE = 0.05
_CONTROLS = dict.fromkeys([*range(9), *range(0x0B, 0x20), 0x7F, 0xFEFF])


def decoded(path: Path, declared: str | None = None) -> str:
    """The text of a file in UTF-8, the charset of its byte order mark or the declared one, or another that is beyond doubt.

    Args:
        path: The file.
        declared: Charset that it is said to be in. UTF-8 that is valid is read as such, whatever is said.

    Raises:
        DataError: If its charset is in doubt.
        MissingExtraError: If what detects charsets is needed and not installed.
    """
    data = path.read_bytes()
    marked = next((charset for mark, charset in _MARKS if data.startswith(mark)), None)
    plain = not _ISO_2022.search(data)
    for charset in [marked] if marked else ["utf-8" if plain else None, declared]:
        text = _in(data, charset)
        if text is not None:
            return text
    if marked or b"\0" in data or (plain and _in(data, "latin-1") is None):
        raise DataError(
            f"{path} has bytes that no text has. If it is UTF-16 or UTF-32 without a byte order mark, save it as UTF-8, "
            "or say  encoding: utf-16-le  beside corpus; if it is no text, take it out of the corpus."
        )
    return _detected(path, data)


def _in(data: bytes, charset: str | None) -> str | None:
    """The text in a charset; ``None`` if it is in another."""
    try:
        text = data.decode(charset) if charset else "\0"
    except (UnicodeError, LookupError):
        return None
    return None if "\0" in text or len(_BINARY.findall(text)) > _BINARY_SHARE * len(text) else text


def _detected(path: Path, data: bytes) -> str:
    """The text in the charset that fits by far the best."""
    try:
        import chardet  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("chardet", "rag", f"Reading {path}, no valid UTF-8,") from None
    readings: dict[str, tuple[float, str]] = {}  # best first
    for found in chardet.detect_all(data, ignore_threshold=True):
        if (text := _in(data, found["encoding"])) is not None:
            readings.setdefault(text, (found["confidence"], found["encoding"]))
    (best, *_), (second, *_) = ([one[0] for one in readings.values()][at : at + 1] or [0.0] for at in (0, 1))
    foreign = len(data) if _ISO_2022.search(data) else sum(byte >= 0x80 for byte in data)  # noqa: PLR2004
    if foreign >= _LEAST_BYTES and best - second >= _MARGIN:
        return next(iter(readings))
    guesses = "; ".join(f"{one.lower()} gives {_start(text)!r}" for text, (_, one) in list(readings.items())[:3])
    raise DataError(
        f"{path} has a charset in doubt, and no valid UTF-8{': ' if guesses else ''}{guesses}. "
        "Save it as UTF-8, or say which it is:  encoding: CHARSET  beside corpus."
    )


def _start(text: str) -> str:
    """What shows best whether a text was read right: from its first character beyond ASCII."""
    at = next((at for at, char in enumerate(text) if not char.isascii()), 0)
    return " ".join(text[max(0, at - 8) :][:_SHOWN].split())


def cleaned(text: str) -> str:
    """Without control characters and lone surrogates, with Unix line ends and no blanks before them."""
    text = re.sub(r"\r\n?|\f", "\n", text).encode("utf-8", "replace").decode().translate(_CONTROLS)
    return re.sub(r"[^\S\n]+$", "", text, flags=re.MULTILINE).strip("\n")

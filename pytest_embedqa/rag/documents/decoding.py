"""The decoding of text files in the charset of their writer: a charset that is merely likely is an error."""

from __future__ import annotations

import codecs
import re
import unicodedata
from functools import lru_cache
from pathlib import Path

from pytest_embedqa.core.errors import DataError, MissingExtraError

# The little-endian mark of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Escape sequences by which ISO 2022 switches to Japanese, Korean or Chinese; otherwise its bytes are ASCII. The
# sequences of HZ (RFC 1843) are printable, and may be part of a text: only its writer knows.
_ISO_2022 = re.compile(rb"\x1b\$[@AB()]")
_HZ = re.compile(rb"~\{(?:[!-w][!-~])+~\}")
# With fewer bytes beyond ASCII, or another charset that fits nearly as well, a detector only guesses. Tested on
# sentences of 24 languages (SIB-200), in usual case and capitals, in 32 charsets: docs/rag.md lists what passed.
_LEAST_BYTES = 16
_MARGIN = 0.1
# The detector knows few texts in capitals, which are small letters in another alphabet or charset, and misjudges them.
_ALPHABETS = (
    *("koi8-r", "koi8-u", "cp1251", "iso8859-5", "cp866", "mac-cyrillic", "cp855"),
    *("cp1253", "iso8859-7", "mac-greek", "cp737", "cp869"),
    *("cp1255", "iso8859-8", "cp862", "cp1256", "iso8859-6", "cp720", "cp874"),
)
_WORD = re.compile(r"[^\s!-/:-@\[-`{-~]+")
_DRAWING = re.compile("[\x80-\x9f\u2500-\u259f]")
# In a reading that may be right, at most this share of the words mix alphabets or case.
_MIXED_SHARE = 0.25
# Chinese and Japanese bytes are mostly valid Korean, too, but with syllables that Korean texts seldom have.
_COMMON_HANGUL = frozenset(
    "가각간감강개거건것게격결경계고공과관교구국권그금급기길김나남내년노는능다단당대도동되된두들등디따때라람래량러레려력"
    "로록론료류르를리린마만말매면명모목무문물미민바반받발방배번법변보복본부분불비사산상새생서선설성세소속송수술스습시식신실심"
    "아안않알았야양어업없었에여역연열영예오와요용우운원월위유으은을음응의이인일임입있자작장재저적전점정제조족종주중지직진질"
    "차참책천청체초총출치크키타터통트특파포표품프피하학한할합항해했행험현형호화환활회후히"
)
_COMMON_SHARE = 0.5
_SHOWN = 30
# In binary data, or in text of two bytes a character without a mark, at least this share are such characters.
_BINARY = re.compile(r"[\x01-\x06\x0e-\x1a\x1c-\x1f]")
_BINARY_SHARE = 0.05
_CONTROLS = dict.fromkeys([*range(9), *range(0x0B, 0x20), 0x7F, 0xFEFF])


def decoded(path: Path, declared: str | None = None) -> str:
    """Decode a file as UTF-8, in the charset of its byte order mark, in the declared charset, or in one beyond doubt.

    Args:
        path: The file.
        declared: Charset given by user or file. Valid UTF-8 is read as UTF-8 all the same.

    Raises:
        DataError: If the charset is in doubt.
        MissingExtraError: If the charset detector is needed and not installed.
    """
    data = path.read_bytes()
    marked = next((charset for mark, charset in _MARKS if data.startswith(mark)), None)
    plain = not (_ISO_2022.search(data) or (data.isascii() and _HZ.search(data)))
    for charset in [marked] if marked else ["utf-8" if plain else None, declared]:
        text = _in(data, charset)
        if text is not None:
            return text
    if marked or b"\0" in data or (plain and _in(data, "latin-1") is None):
        raise DataError(
            f"{path} has bytes that no text has. If it is UTF-16 or UTF-32 without a byte order mark, save it as UTF-8, "
            "or say  encoding: utf-16-le  beside corpus; if it is not text, take it out of the corpus."
        )
    return _detected(path, data)


def _in(data: bytes, charset: str | None) -> str | None:
    """Decode bytes in a charset; ``None`` if they are not valid in it."""
    try:
        text = data.decode(charset) if charset else "\0"
    except (UnicodeError, LookupError):
        return None
    return None if "\0" in text or len(_BINARY.findall(text)) > _BINARY_SHARE * len(text) else text


def _detected(path: Path, data: bytes) -> str:
    """Decode a file in the charset that fits by far the best."""
    try:
        import chardet
    except ImportError:
        raise MissingExtraError("chardet", "rag", f"Reading {path}, no valid UTF-8,") from None
    readings: dict[str, tuple[float, str]] = {}  # best first
    for found in chardet.detect_all(data, ignore_threshold=True):
        if (text := _in(data, found["encoding"])) is not None:
            readings.setdefault(text, (found["confidence"], found["encoding"]))
    (best, *_), (second, *_) = ([one[0] for one in readings.values()][at : at + 1] or [0.0] for at in (0, 1))
    foreign = len(data) if _ISO_2022.search(data) else sum(byte >= 0x80 for byte in data)  # noqa: PLR2004
    if foreign >= _LEAST_BYTES and best - second >= _MARGIN:
        text = next(iter(readings))
        rivals = {} if data.isascii() else _rivals(data, text)
        if _is_likely(text) and not rivals:
            return text
        shown = {text: readings[text]} if _is_likely(text) else {}
        readings = {**shown, **{rival: (0.0, charset) for rival, charset in rivals.items()}} or readings
    guesses = "; ".join(f"{one.lower()} gives {_start(text)!r}" for text, (_, one) in list(readings.items())[:3])
    raise DataError(
        f"{path} has a charset in doubt, and no valid UTF-8{': ' if guesses else ''}{guesses}. "
        "Save it as UTF-8, or say which it is:  encoding: CHARSET  beside corpus."
    )


def _is_likely(text: str) -> bool:
    """Return whether the words of a text look like a language, and its Korean syllables are common Korean."""
    words = _words(text)
    hangul = [char for char in text if "가" <= char <= "힣"]
    return (
        sum(map(_is_mixed, words)) <= _MIXED_SHARE * len(words)
        and not any(map(_has_sign, words))
        and sum(map(_COMMON_HANGUL.__contains__, hangul)) >= _COMMON_SHARE * len(hangul)
    )


def _rivals(data: bytes, text: str) -> dict[str, str]:
    """Return readings in other alphabets or case, by charset, whose words are as likely as those of the given text."""
    most = sum(map(_is_mixed, _words(text)))
    rivals: dict[str, str] = {}
    for charset in _ALPHABETS:
        rival = _in(data, charset)
        if rival is None or not any(map(_differ, text, rival)):
            continue
        if sum(_is_mixed(word) or _has_sign(word) for word in _words(rival)) <= most:
            rivals.setdefault(rival, charset)
    return rivals


def _words(text: str) -> set[str]:
    """Return the words with a character beyond ASCII."""
    return {word for word in _WORD.findall(text) if not word.isascii()}


def _is_mixed(word: str) -> bool:
    """Return whether a word has letters of two alphabets, capitals after small letters, or marks without a letter."""
    parts = re.findall(r"[^\W\d_]+", word)
    return (
        len({_alphabet(char) for char in word} - {""}) > 1
        or any(part not in {part.lower(), part.upper(), part.capitalize()} for part in parts)
        or any(
            unicodedata.combining(char) and not before.strip() for before, char in zip(f" {word}", word, strict=False)
        )
    )


def _has_sign(word: str) -> bool:
    """Return whether a word has a symbol or control between its letters, or a drawing sign beside other characters."""
    around = zip(word, word[1:], word[2:], strict=False)
    return (len(set(word)) > 1 and _DRAWING.search(word) is not None) or any(
        before.isalpha() and after.isalpha() and unicodedata.category(sign)[0] in "SC" for before, sign, after in around
    )


def _differ(one: str, other: str) -> bool:
    """Return whether two characters are letters of different alphabets, or of different case."""
    pair = _alphabet(one), _alphabet(other)
    return all(pair) and (pair[0] != pair[1] or one.isupper() != other.isupper())


@lru_cache(maxsize=4096)
def _alphabet(char: str) -> str:
    """Return the alphabet of a letter or mark, such as ``GREEK``; East Asia counts as one; empty for others."""
    name = unicodedata.name(char, "").partition(" ")[0] if unicodedata.category(char)[0] in "LM" else ""
    return "CJK" if name.startswith(("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "FULLWIDTH", "HALFWIDTH")) else name


def _start(text: str) -> str:
    """Return the part that best shows whether a text was decoded correctly: from its first character beyond ASCII."""
    at = next((at for at, char in enumerate(text) if not char.isascii()), 0)
    return " ".join(text[max(0, at - 8) :][:_SHOWN].split())


def cleaned(text: str) -> str:
    """Return a text without control characters and lone surrogates, with Unix line ends and no blanks before them."""
    text = re.sub(r"\r\n?|\f", "\n", text).encode("utf-8", "replace").decode().translate(_CONTROLS)
    return re.sub(r"[^\S\n]+$", "", text, flags=re.MULTILINE).strip("\n")

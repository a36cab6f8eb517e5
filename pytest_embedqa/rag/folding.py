"""Folding of texts to what people read: characters that keyboards, programs or fonts write differently become the same.

Unicode's NFKC_Casefold is close, but does both too much and too little: it turns 10² into 102 and 1½ into 11/2, and
keeps a curly apostrophe different from a keyboard's. So its parts are applied one by one.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from itertools import groupby
from urllib.parse import unquote

from pytest_embedqa.rag.regexes import search

# Default_Ignorable_Code_Point of Unicode 17 (DerivedCoreProperties.txt): characters without a glyph. The category Cf
# would include visible signs. Added are control characters except white space, and the Arabic tatweel, which only
# stretches a word.
_UNSEEN = (
    *((0x00, 0x08), (0x0E, 0x1B), (0x7F, 0x84), (0x86, 0x9F), (0x640, 0x640)),
    *((0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F)),
    *((0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF)),
    *((0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF)),
)
# Quotation_Mark of Unicode without the corner brackets of East Asia, plus signs that are typed or set in their place.
_SINGLE = "`´‘’‚‛‹›′‵ʹʻʼʽ՚׳᾽᾿＇"
_DOUBLE = "«»“”„‟″‶ʺ״〝〞〟⹂＂"
# The category Pd without the two wave dashes, which Japanese keyboards write as a tilde, plus the minus sign.
_DASHES = "\u058a\u05be\u1400\u1806‐‑‒–—―⸗⸚⸺⸻⹀⹝゠−⁃\ufe31\ufe32\ufe58\ufe63\uff0d\U00010d6e\U00010ead"
_SAME: dict[int, str | None] = dict.fromkeys(code for first, last in _UNSEEN for code in range(first, last + 1))
_SAME.update(
    {
        **dict.fromkeys(map(ord, _SINGLE), "'"),
        **dict.fromkeys(map(ord, _DOUBLE), '"'),
        **dict.fromkeys(map(ord, _DASHES), "-"),
        **dict.fromkeys(map(ord, "〜〰"), "~"),
        **dict.fromkeys(map(ord, "⁄∕"), "/"),
        **dict.fromkeys(map(ord, "º˚"), "°"),
        0x2800: " ",  # a blank in Braille
        0x6CC: "\u064a",  # yeh and kaf of Persian keyboards, drawn like the Arabic letters
        0x6A9: "\u0643",
    }
)
# No-break blanks inside French quotation marks, and soft hyphens at the end of a line.
_UNREAD = re.compile(r"(?<=[«‹])[\u00a0\u202f]|[\u00a0\u202f](?=[»›])|\u00ad[^\S\n]*\n\s*")
_HYPHENATED = re.compile(r"(?<=[^\W\d_])[-\u2010\u00ad][^\S\n]*\n\s*(?=[^\W\d_])")
# With a digit beside it, or after a dash, such a line end is never inside a cut word: the hyphen belongs to the text.
_BROKEN = re.compile(rf"(?<=[^\W_])([-{_DASHES}])[^\S\n]*\n\s*(?=[^\W_])")
# Chinese, Japanese and Korean signs; a line break between them is no blank.
_CJK = r"[\u3000-\u303f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]"
_BLANKS_OF_CJK = re.compile(rf"(?<={_CJK})\s+|\s+(?={_CJK})")
# Full-width punctuation counts as such a sign until it is folded to ASCII.
_WIDE = r"[\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff9f\uffe0-\uffe6]"
_BLANKS_OF_WIDE = re.compile(rf"(?<={_WIDE})\s+|\s+(?={_WIDE})")
# ASCII punctuation that means the same with or without blanks. A comma or point may be part of a number, so these count
# only beside Chinese, and a comma before a non-digit; dashes, quotes and _ stay distinct.
_SPACED = r"[!#$%&()*+/:;<=>?@\[\\\]^`{|}~]"
_BLANKS_OF_SIGNS = re.compile(
    rf"(?<={_SPACED})\s+|\s+(?={_SPACED})|(?<={_CJK}[,.])\s+|\s+(?=[,.]{_CJK})|(?<=,)\s+(?!\d)"
)
_BLANKS = re.compile(r"\s+")
# Tags of compatibility decompositions (UAX #44, 5.7.3) that affect only how a character is drawn.
_DRAWN = {"<font>", "<noBreak>", "<initial>", "<medial>", "<final>", "<isolated>", "<wide>", "<narrow>", "<small>"}
_DRAWN |= {"<vertical>"}
_RAISED = {"<super>", "<sub>"}
_FRACTION, _MARK, _PLAIN = "fraction", "mark", "plain"
# Vowel points of Hebrew, Arabic and Syriac: the fixed-position classes of combining marks.
_POINTS = range(10, 37)
_HYPHENS = re.compile("-{2,}")
# Escapes, sets, and all other characters of a regular expression.
_PARTS_OF_REGEX = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.", re.DOTALL)


@lru_cache(maxsize=4096)
def readings(text: str, *, case: bool = False, lenient: bool = False) -> tuple[str, ...]:
    """Return the forms in which a text is compared; each is the whole text.

    Forms at the same position belong together: superscripts kept as they are; superscripts as plain digits where they
    touch no digit (CO₂ and m², not 10²), with hyphenated words at line ends joined without the hyphen; the same, joined
    with it. A hyphen beside a digit always stays, and the line break after it goes in both of these.

    Args:
        text: The text.
        case: Whether case matters.
        lenient: Whether to equate what only some readers equate: vowel points, the Turkish dotless i, ``--`` and ``-``.
    """
    text = unicodedata.normalize("NFC", text)
    kept = _folded(text, case=case, marks=True, lenient=lenient)
    if text.isascii() and "\n" not in text:
        return kept, kept, kept
    return (
        kept,
        _folded(_BROKEN.sub(r"\1", _HYPHENATED.sub("", text)), case=case, marks=False, lenient=lenient),
        _folded(_BROKEN.sub(r"\1", _HYPHENATED.sub("-", text)), case=case, marks=False, lenient=lenient),
    )


def unmarked(text: str) -> str:
    """Return a text in plain signs (10² is not 102), as the second ``readings``, but with case, blanks and hyphens."""
    plain = _plain(unicodedata.normalize("NFC", text).translate(_SAME), marks=False)
    return unicodedata.normalize("NFC", plain.translate(_SAME))


def comparable(text: str) -> str:
    """Return the one form of a text that decides whether two texts are the same."""
    return readings(text)[1]


def looks(text: str) -> str:
    """Return the same form with case: two names with equal looks can't be told apart."""
    return readings(text, case=True)[1]


def stands_in(piece: str, text: str, part: tuple[int, int] | None = None, *, lenient: bool = False) -> bool:
    """Return whether a reader finds one text in another.

    Args:
        piece: The text to find.
        text: The text to search.
        part: Start and end of a part of the text that must hold at least some of the piece; ``None`` for all.
        lenient: As for ``readings``.
    """
    fold = partial(readings, lenient=lenient)
    for one, whole, (start, end) in zip(fold(piece), fold(text), _parts(fold, text, part), strict=True):
        if one in whole[max(0, start - len(one) + 1) : end + len(one) - 1]:
            return True
    return False


def finds(pattern: str, text: str, part: tuple[int, int] | None = None) -> bool:
    """Return whether a regular expression matches a text as it stands or as read, on one line, with its case.

    At least some of the match must lie in ``part``, as for ``stands_in``.

    Raises:
        SlowPatternError: If the search takes seconds.
    """
    forms = [pattern, *[_typed(pattern)] * 3]
    return any(
        search(
            [
                (one, pattern, whole, start, end)
                for one, whole, (start, end) in zip(forms, _lines(text), _parts(_lines, text, part), strict=True)
            ]
        )
    )


def _lines(text: str) -> tuple[str, ...]:
    """Return a text in one line, as it stands and as people read it."""
    return _BLANKS.sub(" ", text).strip(), *readings(text, case=True)


def _parts(
    fold: Callable[[str], tuple[str, ...]], text: str, part: tuple[int, int] | None
) -> Iterator[tuple[int, int]]:
    """Yield the start and end of a part in each form of a text, without blanks at its ends."""
    forms = fold(text)
    if part is None:
        yield from ((0, len(form)) for form in forms)
        return
    start, end = part
    for form, until, rest in zip(forms, fold(text[:end]), fold(text[start:]), strict=True):
        yield len(form) - len(rest), len(until)


@lru_cache(maxsize=4096)
def _typed(pattern: str) -> str:
    """Return a regular expression in the signs of a keyboard, as folded texts have them.

    An invisible sign becomes empty, and a quantifier behind it may repeat that. A set with such a sign, as a range of
    quotes, is meant for texts as they stand, and so the whole expression stays as it is.
    """
    parts = _PARTS_OF_REGEX.findall(unicodedata.normalize("NFC", pattern))
    if any(len(part) > 1 and part[0] == "[" and len(part.translate(_SAME)) < len(part) for part in parts):
        return pattern
    shown = "".join(part if part.translate(_SAME) not in {"", "\\"} else "(?:)" for part in parts)
    return re.sub(rf"\\?[{_DASHES}]", r"\\-", shown).translate(_SAME)  # a range inside []


def is_document(name: str, source: str) -> bool:
    """Return whether a document's path ends with a name, whatever system or service wrote either of them."""
    return f"/{_path(source)}".endswith(f"/{_path(name)}")


@lru_cache(maxsize=4096)
def _path(text: str) -> str:
    # The name of a web page is a URL's: blanks and letters beyond ASCII are written as %20.
    path = posixpath.normpath(unquote(text).replace("\\", "/"))
    return comparable(path).lstrip("/")


def _folded(text: str, *, case: bool, marks: bool, lenient: bool) -> str:
    text = _BLANKS_OF_WIDE.sub("", _UNREAD.sub("", text)).translate(_SAME)
    text = _plain(text, marks=marks).translate(_SAME)
    if not case:
        text = text.casefold().replace("i\u0307", "i")  # of the Turkish İ
    if lenient:
        points = (char for char in unicodedata.normalize("NFD", text) if unicodedata.combining(char) not in _POINTS)
        text = _HYPHENS.sub("-", "".join(points)).replace("ı", "i")
    text = _BLANKS_OF_CJK.sub("", unicodedata.normalize("NFC", text))
    if not case:
        text = _BLANKS_OF_SIGNS.sub("", text)
    return unicodedata.normalize("NFC", _BLANKS.sub(" ", text).strip())


def _plain(text: str, *, marks: bool) -> str:
    """Return a text without compatibility characters; superscripts and the like stay if ``marks`` is set."""
    if text.isascii():
        return text
    text = "".join(_drawn(char) for char in text)
    if unicodedata.is_normalized("NFKC", text):
        return text
    runs = [(kind, "".join(run)) for kind, run in groupby(text, _kind)]
    return "".join(_read(runs, number, kept=marks) for number in range(len(runs)))


def _read(runs: list[tuple[str, str]], number: int, *, kept: bool) -> str:
    kind, run = runs[number]
    before, after = (runs[number - 1][1] if number else "", "".join(one for _, one in runs[number + 1 : number + 2]))
    plain = unicodedata.normalize("NFKC", run)
    if kind == _FRACTION:
        return "".join(f"{' ' if touch else ''}{_nfkc(char)}" for char, touch in _touching(before, run))
    if kind == _MARK:
        raised = any(_tag(char) in _RAISED for char in run)
        left = before[-1:].isdecimal() and (raised or plain[0].isdecimal())
        right = after[:1].isdecimal() and (raised or plain[-1].isdecimal())
        return run if kept or left or right else plain
    return "".join(_nfkc(char) for char in run)


def _touching(before: str, run: str) -> Iterator[tuple[str, bool]]:
    """Yield each fraction, and whether a digit or another fraction stands in front of it."""
    return ((char, bool(number) or before[-1:].isdecimal()) for number, char in enumerate(run))


def _drawn(char: str) -> str:
    """Return a character as it is drawn plainly; a digit of any script becomes the ASCII digit."""
    if char.isascii():
        return char
    if _tag(char) in _DRAWN:
        char = unicodedata.normalize("NFKC", char)
    return str(unicodedata.decimal(char)) if len(char) == 1 and char.isdecimal() else char


def _kind(char: str) -> str:
    tag = _tag(char)
    if tag == "<fraction>":
        return _FRACTION
    mark = tag in _RAISED or (tag and any(one.isdecimal() for one in unicodedata.normalize("NFKC", char)))
    return _MARK if mark else _PLAIN


def _nfkc(char: str) -> str:
    """Return the compatibility form of a character, unless that is an accent on a blank."""
    plain = unicodedata.normalize("NFKC", char) if _tag(char) else char
    return char if plain[:1] == " " and len(plain) > 1 else plain


@lru_cache(maxsize=4096)
def _tag(char: str) -> str:
    """Return the tag of a compatibility decomposition, such as ``<super>``; empty if it has none."""
    form = unicodedata.decomposition(char)
    return form.partition(" ")[0] if form.startswith("<") else ""

"""The words by which BM25 compares queries and passages; split at white space, a Chinese sentence is one word."""

from __future__ import annotations

import importlib.util
import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from pytest_embedqa.core.errors import MissingExtraError
from pytest_embedqa.rag.folding import unmarked

if TYPE_CHECKING:
    from Stemmer import Stemmer

# A word keeps its combining marks: in many scripts they are vowels, but Python's own \w does not count them as letters.
_HAN = r"\p{Han}"
# Scripts without blanks between words; and Korean, whose words carry particles.
_PAIRED = r"\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Myanmar}\p{Khmer}\p{Hangul}"
_LETTER = rf"[[\w\p{{No}}]--[{_HAN}{_PAIRED}]]"
# 10² and 10⁻²: a different number than 10.
_POWER = r"[0-9][0-9.]*⁻?\p{No}+"
# 1,000 and 1'000.50; or a list of two numbers.
_GROUPED = r"(?<![0-9][.,']?)[0-9]{1,3}(?:[,'][0-9]{2,3})*[,'][0-9]{3}(?:\.[0-9]+)?(?![,']?[0-9])"
# C++, C#, F#: the letter alone is another name. And .NET, .env: not a sentence's end or a method call.
_SIGNED = r"(?<![A-Za-z0-9_])[A-Za-z]++(?:\+\+|\#)(?![A-Za-z_+#])"
_DOTTED = rf"(?<![\w.)\]}}'\"])\.(?=[A-Za-z]){_LETTER}+(?:\.{_LETTER}+)*"
_RUNS = (
    rf"(?V1)(?P<power>{_POWER})|(?P<grouped>{_GROUPED})|(?P<signed>{_SIGNED})|(?P<dotted>{_DOTTED})"
    rf"|(?P<han>{_HAN}+)|(?P<paired>[[{_PAIRED}]--\p{{Nd}}]+)|{_LETTER}+(?:[.']{_LETTER}+)*"
)
_BLANKS_OF_GROUPS = re.compile(r"(?<=\d)[\u00a0\u2009\u202f](?=\d{3}(?!\d))")
# Signs that not everybody writes: invisible signs, Arabic vowel points, Hebrew points.
_UNWRITTEN = r"[\p{Cf}\u064b-\u0652\u0670\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7]"
# Accents that people may omit; in other scripts such marks are letters.
_ACCENTS = r"(?<=[\p{Latin}\p{Greek}\p{Cyrillic}]\p{Mn}*)\p{Mn}"
# Boundaries inside get_user, getUser, HTTPServer, a.b and 10ms, but not inside 0.75.
_BOUNDARY = re.compile(
    r"_+|(?<!\d)\.|\.(?!\d)|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])"
)
# l'école, dell'arte, O'Neill; not user's and can't.
_AFTER_APOSTROPHE = re.compile(r"^[^'\W]{1,5}'([^\W\d_]{3,}.*)$")
# The last letter of many Arabic words, with or without its dots; and Spanish ordinals, which are no degrees.
_ALIKE = str.maketrans("\u0649º", "\u064ao")
# The language of a text is unknown. For each script, its most frequent language is assumed, for both sides.
_LANGUAGES = {
    "LATIN": "english",
    "CYRILLIC": "russian",
    "GREEK": "greek",
    "ARABIC": "arabic",
    "DEVANAGARI": "hindi",
    "TAMIL": "tamil",
}


def words(text: str) -> list[str]:
    """Split a query or a passage into words, in their order.

    Words are stemmed whatever their case, in the language that their script mostly stands for, Latin letters as
    English; Chinese is segmented; Korean and scripts without blanks give pairs of letters. A name such as ``get_user``
    or ``HTTPServer``, a number with its unit, and a word with an article (``l'école``) give themselves and their parts;
    a word with accents also gives itself without them, and ``1,000`` gives 1000. ``C++`` and ``10²`` are words of their
    own.

    Raises:
        MissingExtraError: If the extra ``rag`` is not installed.
    """
    if not text.isascii():
        text = _patterns(_UNWRITTEN).sub("", unmarked(_BLANKS_OF_GROUPS.sub(",", text).translate(_ALIKE)))
    return list(_words(text))


def _words(text: str) -> Iterator[str]:
    for run in _patterns(_RUNS).finditer(text):
        if run["power"]:
            yield run[0]
        elif run["grouped"]:
            yield from re.split("[,']", run[0])
            yield re.sub("[,']", "", run[0])
        elif run["signed"] or run["dotted"]:
            name = run[0].casefold()
            bare = run[0].strip(".+#")
            yield from _words(bare) if len(bare) > 1 else ()
            yield name
        elif run["han"]:
            yield from _segments(run["han"])
        elif run["paired"]:
            # Without a dictionary, pairs of letters stand for words.
            yield from (run[0][at : at + 2] for at in range(max(1, len(run[0]) - 1)))
        elif parts := [part for part in _BOUNDARY.split(run[0]) if part]:
            for part in parts if parts == [run[0]] else [*parts, run[0]]:
                yield from _forms(part)


def _forms(word: str) -> Iterator[str]:
    # I is the capital of the dotless i in Turkish and of the dotted i elsewhere.
    folded = word.casefold().replace("ı", "i")
    after = _AFTER_APOSTROPHE.match(folded)
    for form in (folded, *(after.groups() if after else ())):
        plain = _patterns(_ACCENTS).sub("", unicodedata.normalize("NFD", form)) if not form.isascii() else form
        yield from map(_stem, dict.fromkeys((form, unicodedata.normalize("NFC", plain))))


def _stem(form: str) -> str:
    # An inflected name is a different name; but DataFrames is also written dataframes.
    if re.search(r"[\d_.]", form):
        return form
    script = unicodedata.name(form[0], "").partition(" ")[0]
    return _stemmer(_LANGUAGES[script]).stemWord(form) if script in _LANGUAGES else form


def _segments(run: str) -> list[str]:
    """Return the words of a run of Chinese: the longest ones and the words within them."""
    _need("rjieba", "rjieba")
    import rjieba  # reads its dictionary

    segments: list[str] = rjieba.cut_for_search(run)
    return segments


@cache
def _patterns(pattern: str) -> Any:
    """Compile a pattern with Unicode's scripts, which Python's own ``re`` does not know."""
    _need("regex", "regex")
    import regex

    return regex.compile(pattern)


@cache
def _stemmer(language: str) -> Stemmer:
    _need("Stemmer", "PyStemmer")
    from Stemmer import Stemmer

    return Stemmer(language)


@cache
def _need(module: str, package: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise MissingExtraError(package, "rag", "Search by words (BM25)")

"""The joining of lines and pages where a sentence continues."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cache, cached_property
from typing import Any

from pytest_embedqa.core.errors import MissingExtraError

# Chinese and Japanese characters and their punctuation, for use inside [] in a pattern.
CJK = "\u2e80-\u9fff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff"

_IS_CJK = re.compile(f"[{CJK}]")
_SENTENCE_END = re.compile(r"[.!?:;。！？：；…][\"'”’」』）)\]]*$")
_LIST_ITEM = re.compile(r"[•·▪●○■◆–*-]|\(?\d+[.)、]|[（(]?[一二三四五六七八九十]+[、）)]|第.{1,4}[章节条]")
# A line of at least this share of a full line may have been broken by the margin; ragged lines are seldom shorter.
_FULL = 0.7
# A line of fewer columns (a CJK character takes two) was not broken by the margin, not even in two-column pages.
_NARROWEST = 30
_SOFT_HYPHEN = "\u00ad"
# The end of a line that is split at a hyphen (including U+2010), and its continuation.
_PARTED = re.compile(rf"(\w+)[-\u2010{_SOFT_HYPHEN}]$")
_FIRST_WORD = re.compile(r"\w+")
_WORD = re.compile(r"\w+(?:[-\u2010]\w+)*")
# Before these words a hyphen stands for the second part of a compound: "Ein- und Ausgang", "pre- and post-war".
_SUSPENDING = frozenset(
    {"and", "or", "to", "und", "oder", "bis", "bzw", "sowie", "et", "ou", "y", "o", "en", "of", "och"}
)


class Words:
    """The words of a text and of an English dictionary, which tell compounds from words split at a margin."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Keep the texts; they are searched once a hyphen has to be judged."""
        self._texts = texts

    @cached_property
    def _seen(self) -> frozenset[str]:
        # The fragment at the end of a line is no word of the text.
        return frozenset(
            word.replace("\u2010", "-")
            for text in self._texts
            for line in text.splitlines()
            for word in _WORD.findall(re.sub(r"\w+[-\u2010]$", "", line.casefold()))
        )

    def known(self, word: str) -> bool:
        """Return whether a word, regardless of case, is in the text or in the dictionary."""
        return word in self._seen or word in _dictionary()

    def compound(self, first: str, second: str) -> bool:
        """Return whether the hyphen between two parts belongs to a compound, and not to a margin."""
        first, second = first.casefold(), second.casefold()
        if first + second in self._seen:
            return False
        if f"{first}-{second}" in self._seen:
            return True
        return not self.known(first + second) and self.known(first) and self.known(second)


@cache
def _dictionary() -> Any:  # a mapping of a package without types
    try:
        from spellchecker import SpellChecker
    except ImportError:
        raise MissingExtraError("pyspellchecker", "rag", "Telling compounds from parted words") from None
    return SpellChecker(language="en").word_frequency.dictionary


def in_sentence(before: str, after: str) -> bool:
    """Return whether a sentence may continue from one line or page to the next."""
    return not _SENTENCE_END.search(before[-8:]) and not _LIST_ITEM.match(after)


def continued(before: str, after: str, words: Words) -> str:
    """Join two parts of a sentence: without a blank beside Chinese, and without the hyphen of a split word.

    A hyphen stays after a digit or capitals, before a digit or a capital, and in a compound. Ambiguous words are looked
    up in ``words``.
    """
    parted, following = _PARTED.search(before[-64:]), _FIRST_WORD.match(after)
    if not parted or not following:
        return before + ("" if _IS_CJK.search(before[-1] + after[0]) else " ") + after
    first, second = parted[1], following[0]
    if before[-1] == _SOFT_HYPHEN:
        return before[:-1] + after
    if second in _SUSPENDING and not words.known((first + second).casefold()):
        return f"{before} {after}"
    capitals = first.isupper() and (len(first) > 1 or second[0].isupper())
    if capitals and second.isupper():  # a title in capitals may be split like any word
        keeps = not words.known((first + second).casefold())
    else:
        keeps = capitals or not (first[-1].isalpha() and second[0].islower()) or words.compound(first, second)
    return (before if keeps else before[:-1]) + after


def joined_lines(lines: Sequence[str], words: Words, rows: Collection[int] = ()) -> list[str]:
    """Return paragraphs: full lines that the margin broke inside a sentence are joined with the next line.

    Args:
        lines: Lines from top to bottom.
        words: Words that tell compounds from split words.
        rows: Indices of the lines that are table rows, which stay as they are.
    """
    paragraphs: list[str] = []
    widths = sorted(map(columns, lines))
    # A quarter of the lines may be wider, such as a title or a table row.
    full = max(widths[len(widths) * 3 // 4] * _FULL, _NARROWEST) if widths else 0
    for number, (before, line) in enumerate(zip(["", *lines], lines, strict=False)):
        of_table = number in rows or number - 1 in rows
        if before and not of_table and in_sentence(before, line) and (columns(before) >= full or line[0].islower()):
            paragraphs[-1] = continued(paragraphs[-1], line, words)
        else:
            paragraphs.append(line)
    return paragraphs


def columns(text: str) -> int:
    """Return the width of a text in terminal columns: a Chinese character takes two."""
    return len(text) if text.isascii() else len(text) + len(_IS_CJK.findall(text))


def respaced(line: str, known: Callable[[str], bool]) -> str:
    """Restore the words of a letter-spaced line ("R e t u r n   i n"), if it has them."""
    if not re.fullmatch(r"\S(?: +\S)+", line):
        return line
    parts = [re.sub(" ", "", part) for part in re.split(r" {2,}", line)]
    letters = [part.strip(".,:;!?").casefold() for part in parts]
    long = [part for part in letters if len(part) > 3]  # noqa: PLR2004  shorter parts may be signs of columns
    return " ".join(parts) if long and all(map(known, long)) else line

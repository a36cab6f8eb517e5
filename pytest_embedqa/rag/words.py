"""The words by which BM25 compares a query with passages. A splitter at white space would take a Chinese sentence for one word."""

from __future__ import annotations

import importlib.util
import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from pytest_embedqa.core.errors import MissingExtraError

if TYPE_CHECKING:
    from Stemmer import Stemmer

_HAN = r"\u2e80-\u2fdf\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
# Other scripts without spaces: kana, Thai, Lao, Burmese, Khmer.
_UNSPACED = r"\u3041-\u3096\u30a1-\u30fa\u30fc-\u30fe\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff"
_LETTER = rf"[^\W{_HAN}{_UNSPACED}]"
_RUNS = re.compile(rf"(?P<han>[{_HAN}]+)|(?P<unspaced>[{_UNSPACED}]+)|{_LETTER}+(?:[.']{_LETTER}+)*")
# Between the parts of get_user, getUser, HTTPServer, a.b and 10ms, but not those of 0.75.
_BOUNDARY = re.compile(
    r"_+|(?<!\d)\.|\.(?!\d)|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])"
)


def words(text: str) -> list[str]:
    """Words of a query or a passage, in their order.

    English words are stemmed, whatever their case; Chinese is segmented. A name such as ``get_user`` or ``HTTPServer``,
    or a number with its unit, gives itself and its parts.

    Raises:
        MissingExtraError: If the extra ``rag`` is not installed.
    """
    return list(_words(unicodedata.normalize("NFKC", text).replace("’", "'")))


def _words(text: str) -> Iterator[str]:
    for run in _RUNS.finditer(text):
        if run["han"]:
            yield from _segments(run["han"])
        elif run["unspaced"]:
            # Pairs of letters, for want of a dictionary.
            yield from (run[0][at : at + 2] for at in range(max(1, len(run[0]) - 1)))
        elif parts := [part for part in _BOUNDARY.split(run[0]) if part]:
            yield from map(_stem, parts)
            if parts != [run[0]]:
                yield _stem(run[0])


def _stem(word: str) -> str:
    folded = word.casefold()
    # An inflected name is another name; but DataFrames is also written dataframes.
    return folded if re.search(r"[\d_.]", folded) else _stemmer().stemWord(folded)


def _segments(run: str) -> list[str]:
    """Words of a run of Chinese, the longer ones and those within them."""
    _need("rjieba", "rjieba")
    import rjieba  # noqa: PLC0415  reads its dictionary

    segments: list[str] = rjieba.cut_for_search(run)
    return segments


@cache
def _stemmer() -> Stemmer:
    _need("Stemmer", "PyStemmer")
    from Stemmer import Stemmer  # noqa: PLC0415

    return Stemmer("english")


@cache
def _need(module: str, package: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise MissingExtraError(package, "rag", "Search by words (BM25)")

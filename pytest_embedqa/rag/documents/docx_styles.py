"""The properties that a Word file's styles and lists give a paragraph."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from pytest_embedqa.core.errors import DataError
from pytest_embedqa.rag.documents.docx_package import attribute, is_on, number
from pytest_embedqa.rag.documents.docx_symbols import in_font

if TYPE_CHECKING:
    from lxml.etree import _Element

_HEADING = re.compile(r"heading ([1-9])|title", re.IGNORECASE)
_CODE = re.compile(r"html preformatted|source code|code", re.IGNORECASE)
_LEVELS = 9
_BOXES = "☐☑☒✓✔✕✖✗✘🗴🗵🗶🗷🗸🗹"  # bullets with a meaning
_ROMAN = [
    "1000",
    "m",
    "900",
    "cm",
    "500",
    "d",
    "400",
    "cd",
    "100",
    "c",
    "90",
    "xc",
    "50",
    "l",
    "40",
    "xl",
    "10",
    "x",
    "9",
    "ix",
    "5",
    "v",
    "4",
    "iv",
    "1",
    "i",
]
_CHINESE = "〇一二三四五六七八九"
_COUNTED = {
    "lowerLetter": "abcdefghijklmnopqrstuvwxyz",
    "russianLower": "абвгдежзиклмнопрстуфхцчшщыэюя",
    "ideographTraditional": "甲乙丙丁戊己庚辛壬癸",
    "ideographZodiac": "子丑寅卯辰巳午未申酉戌亥",
    "aiueoFullWidth": "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワヲン",
    "irohaFullWidth": "イロハニホヘトチリヌルヲワカヨタレソツネナラムウヰノオクヤマケフコエテアサキユメミシヱヒモセスン",
    "ganada": "가나다라마바사아자차카타파하",
    "chosung": "ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊㅋㅌㅍㅎ",
    "hebrew2": "אבגדהוזחטיכלמנסעפצקרשת",
    "arabicAlpha": "أبتثجحخدذرزسشصضطظعغفقكلمنهوي",
    "arabicAbjad": "أبجدهوزحطيكلمنسعفصقرشتثخذضظغ",
    "decimalEnclosedCircle": "①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳",
    "decimalEnclosedParen": "⑴⑵⑶⑷⑸⑹⑺⑻⑼⑽⑾⑿⒀⒁⒂⒃⒄⒅⒆⒇",
    "decimalEnclosedFullstop": "⒈⒉⒊⒋⒌⒍⒎⒏⒐⒑⒒⒓⒔⒕⒖⒗⒘⒙⒚⒛",
}
_DIGITS = {
    "decimalFullWidth": "０１２３４５６７８９",
    "thaiNumbers": "๐๑๒๓๔๕๖๗๘๙",
    "hindiNumbers": "०१२३४५६७८९",
    "ideographDigital": _CHINESE,
    "japaneseDigitalTenThousand": _CHINESE,
    "taiwaneseDigital": _CHINESE,
    "koreanDigital2": _CHINESE,
}
_TENS = [
    "chineseCounting",
    "chineseCountingThousand",
    "japaneseCounting",
    "taiwaneseCounting",
    "taiwaneseCountingThousand",
]


class Styles:
    """The styles of a Word file, each with the styles that it is based on."""

    def __init__(self, part: _Element | None) -> None:
        """Read the part ``styles``; a file may have none."""
        found = [] if part is None else list(part.iterchildren("{*}style"))
        self._by_id = {attribute(style, "styleId"): style for style in found}
        self._default = next(
            (
                attribute(style, "styleId")
                for style in found
                if attribute(style, "type") == "paragraph" and attribute(style, "default") in {"1", "true", "on"}
            ),
            None,
        )

    def of_paragraph(self, paragraph: _Element) -> list[_Element]:
        """Return the style of a paragraph and all styles that it is based on."""
        return self._chain(attribute(paragraph.find("{*}pPr/{*}pStyle")) or self._default)

    def _chain(self, identifier: str | None) -> list[_Element]:
        chain: list[_Element] = []
        while (style := self._by_id.get(identifier)) is not None and style not in chain:
            chain.append(style)
            identifier = attribute(style.find("{*}basedOn"))
        return chain

    def heading_level(self, paragraph: _Element) -> int:
        """Return the level of a heading, from 1 to 6; 0 for other paragraphs."""
        places = [paragraph, *self.of_paragraph(paragraph)]
        for place in places:
            outline = place.find("{*}pPr/{*}outlineLvl")
            if outline is not None:
                return min(number(outline) + 1, 6) if number(outline) < _LEVELS else 0
            # Word keeps the English names of its built-in styles in every language.
            if named := _HEADING.fullmatch(attribute(place.find("{*}name")) or ""):
                return min(int(named[1] or 1), 6)
        return 0

    def is_code(self, paragraph: _Element) -> bool:
        """Return whether a paragraph has a style for code."""
        return any(_CODE.fullmatch(attribute(style.find("{*}name")) or "") for style in self.of_paragraph(paragraph))

    def is_hidden(self, run: _Element, paragraph: _Element) -> bool:
        """Return whether a run is hidden text, directly or by the style of its characters or its paragraph.

        Two styles that both hide a run make it visible again (ECMA-376, 17.7.3).
        """
        own = run.find("{*}rPr/{*}vanish")
        if own is not None:
            return is_on(own)
        chains = self._chain(attribute(run.find("{*}rPr/{*}rStyle"))), self.of_paragraph(paragraph)
        return sum(is_on(_first(chain, "{*}rPr/{*}vanish")) for chain in chains) == 1

    def alignment(self, run: _Element) -> str | None:
        """Return a run's vertical alignment (``superscript``, ``subscript``), directly or by its character style."""
        return attribute(_first([run, *self._chain(attribute(run.find("{*}rPr/{*}rStyle")))], "{*}rPr/{*}vertAlign"))

    def list_level(self, paragraph: _Element) -> tuple[str | None, _Element | None, list[str | None]]:
        """Return the list of a paragraph, the level that is named, and the styles of the paragraph."""
        places = [paragraph, *self.of_paragraph(paragraph)]
        return (
            attribute(_first(places, "{*}pPr/{*}numPr/{*}numId")),
            _first(places, "{*}pPr/{*}numPr/{*}ilvl"),
            [attribute(style, "styleId") for style in places[1:]],
        )

    def list_of_style(self, identifier: str | None) -> str | None:
        """Return the list that belongs to a list style."""
        return attribute(_first(self._chain(identifier), "{*}pPr/{*}numPr/{*}numId"))


def _first(places: list[_Element], path: str) -> _Element | None:
    return next((found for place in places if (found := place.find(path)) is not None), None)


class Numbering:
    """The lists of a Word file, counted in the order of its paragraphs."""

    def __init__(self, part: _Element | None, styles: Styles) -> None:
        """Read the part ``numbering``; a file may have none."""
        children = [] if part is None else list(part)
        self._lists = {attribute(one, "numId"): one for one in children if one.tag.endswith("}num")}
        self._kinds = {attribute(one, "abstractNumId"): one for one in children if one.tag.endswith("}abstractNum")}
        self._styles = styles
        self._counts: dict[str | None, dict[int, int]] = defaultdict(dict)  # by kind, shared by the lists of that kind
        self._begun: set[tuple[str | None, int]] = set()

    def label(self, paragraph: _Element) -> str:
        """Return a paragraph's label: its number as Word counts, ``- `` for a bullet (with its box), or nothing.

        Raises:
            DataError: If it is numbered in an unknown way.
        """
        identifier, named, styles = self._styles.list_level(paragraph)
        kind = self._kind(identifier)
        if kind is None:
            return ""
        levels = {number_of: level for level in kind.iterchildren("{*}lvl") if (number_of := _level(level)) is not None}
        overrides = {_level(one): one for one in self._lists[identifier].iterchildren("{*}lvlOverride")}
        levels |= {
            key: own for key, one in overrides.items() if key is not None and (own := one.find("{*}lvl")) is not None
        }
        of_style = (key for key, level in levels.items() if attribute(level.find("{*}pStyle")) in styles)
        own_level = paragraph.find("{*}pPr/{*}numPr/{*}ilvl")
        depth = number(own_level) if own_level is not None else next(of_style, number(named))
        if depth not in levels:
            return ""
        counts = self._counts[attribute(kind, "abstractNumId")]
        start = overrides[depth].find("{*}startOverride") if depth in overrides else None
        if start is not None and (identifier, depth) not in self._begun:
            counts.pop(depth, None)
        self._begun.add((identifier, depth))
        first = {key: number(level.find("{*}start")) for key, level in levels.items()}
        if start is not None:
            first[depth] = number(start)
        counts[depth] = counts[depth] + 1 if depth in counts else first[depth]
        for deeper in [key for key in counts if key > depth]:
            if deeper in levels and attribute(levels[deeper].find("{*}lvlRestart")) != "0":
                del counts[deeper]
        return _written(levels, depth, first | counts)

    def _kind(self, identifier: str | None) -> _Element | None:
        for _ in range(_LEVELS):  # a list style may point to another
            if identifier not in self._lists:
                return None
            kind = self._kinds.get(attribute(self._lists[identifier].find("{*}abstractNumId")))
            link = None if kind is None else kind.find("{*}numStyleLink")
            if link is None:
                return kind
            identifier = self._styles.list_of_style(attribute(link))
        return None


def _level(element: _Element) -> int | None:
    level = attribute(element, "ilvl")
    return None if level is None else int(level)


def _written(levels: dict[int, _Element], depth: int, counts: dict[int, int]) -> str:
    """Format the label of a level with the numbers of the levels above it."""
    level = levels[depth]
    if attribute(level.find(".//{*}numFmt")) == "bullet":
        sign = in_font((attribute(level.find("{*}lvlText")) or "").strip(), level)
        return f"- {sign} " if sign in _BOXES and sign else "- "
    legal = is_on(level.find("{*}isLgl"))

    def numeral(place: re.Match[str]) -> str:
        key = int(place[1]) - 1
        form = levels[key].find(".//{*}numFmt") if key in levels else None
        decimal = form is None or (legal and attribute(form) != "decimalZero")
        return _numeral(counts.get(key, 1), "decimal" if decimal else str(attribute(form)), attribute(form, "format"))

    text = re.sub("%([1-9])", numeral, attribute(level.find("{*}lvlText")) or "").strip()
    return f"{text} " if text else ""


def _numeral(count: int, form: str, pattern: str | None = None) -> str:
    """Format a number in one of Word's number formats (ECMA-376, 17.18.59).

    Raises:
        DataError: If the format is unknown.
    """
    if form.startswith("upper") or form == "russianUpper":
        return _numeral(count, form.replace("upper", "lower").replace("Upper", "Lower")).upper()
    simple = {
        "none": "",
        "decimal": str(count),
        "decimalZero": f"{count:02}",
        "decimalHalfWidth": str(count),
        "numberInDash": f"- {count} -",
        "ordinal": f"{count}{'th' if count % 100 in {11, 12, 13} else {1: 'st', 2: 'nd', 3: 'rd'}.get(count % 10, 'th')}",
        "custom": str(count).zfill(len((pattern or "1").split(",")[0].strip())),
    }
    if form in simple:
        return simple[form]
    if form == "lowerRoman":
        text = ""
        for value, letters in zip(map(int, _ROMAN[::2]), _ROMAN[1::2], strict=True):
            text += letters * (count // value)
            count %= value
        return text
    if form in _DIGITS or (form in _TENS and count >= 100):  # noqa: PLR2004
        return "".join(_DIGITS.get(form, _CHINESE)[int(digit)] for digit in str(count))
    if form in _TENS:
        tens, ones = divmod(count, 10)
        ten = "" if not tens else ("" if tens == 1 else _CHINESE[tens]) + "十"
        return ten + (_CHINESE[ones] if ones or not tens else "")
    signs = _COUNTED.get(form.removesuffix("Chinese"), "")
    if signs and (form == "lowerLetter" or form.startswith("russian") or count <= len(signs)):
        return signs[(count - 1) % len(signs)] * ((count - 1) // len(signs) + 1)
    raise DataError(f"its list number {count} is written in a way that is not known ({form})")

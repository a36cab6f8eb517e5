"""Rows of a user's own JSONL, CSV and TSV files, with their places and fields.

Values that other readers silently convert, drop or overwrite are errors here, with file and line.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from pytest_embedqa.core.errors import DataError

if TYPE_CHECKING:
    from _csv import Reader

# C ends a text here: to trec_eval, ids that differ only after it are equal, which gives wild scores or a crash.
NUL = "\0"
Row = dict[str, Any]
Place = tuple[Path, int]


class _PlainTabs(csv.excel_tab):
    """The dialect of fields between tabs, in which a quote is an ordinary character."""

    quoting = csv.QUOTE_NONE


def read_rows(path: Path) -> Iterator[tuple[Place, Row]]:
    """Yield the rows of a JSONL, CSV or TSV file with their places.

    Raises:
        DataError: If a row can't be read, or can be read in two ways; with file and line.
    """
    require_file(path)
    kind = path.suffix.lower()
    if kind not in {".jsonl", ".csv", ".tsv"}:
        raise DataError(f"{path}: only .jsonl, .csv and .tsv files are read. Convert it to one of them.")
    csv.field_size_limit(2**31 - 1)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if kind == ".jsonl":
                yield from (
                    (place, json_object(line, place))
                    for number, line in enumerate(file, 1)
                    if line.strip() and (place := (path, number))
                )
            elif kind == ".csv":
                yield from _table(path, csv.reader(file, strict=True))
            else:
                dialect = csv.excel_tab if _is_quoted(path, file) else _PlainTabs
                file.seek(0)
                yield from _table(path, csv.reader(file, dialect))
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8: {error.reason} at byte {error.start:,}. Save it as UTF-8.") from None


def require_file(path: Path) -> None:
    """Raise DataError if there is no such file, or it can't be read."""
    if path.is_dir():
        folder = " Such a folder is for retrieval_task." if (path / "corpus.jsonl").is_file() else ""
        raise DataError(f"{path} is a folder, and a file was expected.{folder}")
    if not path.is_file():
        raise DataError(f"{path} does not exist (or is not a file).")
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}.") from None


def _table(path: Path, reader: Reader) -> Iterator[tuple[Place, Row]]:
    names: list[str] = []
    end = 0
    try:
        for fields in reader:
            end = reader.line_num
            if not fields:
                continue  # a blank line
            if not names:
                names = fields
                if len(names) == 1:
                    sign = "a comma" if path.suffix.lower() == ".csv" else "a tab"
                    raise error_at((path, end), f"the header has one column, '{names[0]}': put {sign} between columns")
                for name in names:
                    if name.strip() and names.count(name) > 1:
                        raise error_at((path, end), f"the header names '{name}' twice; keep one")
                continue
            if any(fields[len(names) :]):
                raise error_at(
                    (path, end), "more fields than the header names; in CSV a text with a comma needs quotes"
                )
            yield (path, end), dict(zip_longest(names, fields[: len(names)]))
    except csv.Error as error:
        raise error_at(
            (path, end + 1),
            f"the row that begins here can't be read: {error}. In CSV a quote within a quoted text is written twice",
        ) from None


def _is_quoted(path: Path, file: TextIO) -> bool:
    """Return whether a TSV file has CSV's quotes, as pandas, spreadsheets and BEIR write and read them.

    A file that breaks the rules of CSV has none: its quotes are characters of its texts.

    Raises:
        DataError: If a quote closes only some lines below, so that several rows may have become a single row.
    """
    reader = csv.reader(file, csv.excel_tab, strict=True)
    end, spread = 0, None
    try:
        for _ in reader:
            if reader.line_num > end + 1:
                spread = spread or (end + 1, reader.line_num)
            end = reader.line_num
    except csv.Error:
        return False
    if spread:
        raise error_at(
            (path, spread[0]),
            f"a quote opens here and is closed in line {spread[1]}: one text, or several rows. Save the file as .csv or .jsonl, where it is clear",
        )
    return True


def json_object(line: str, place: Place) -> Row:
    """Parse a line of a JSON Lines file.

    Raises:
        DataError: If the line is no JSON object, or has a key twice; with file and line.
    """

    def once(pairs: list[tuple[str, Any]]) -> Row:
        row = dict(pairs)
        if len(row) < len(pairs):
            names = [name for name, _ in pairs]
            raise error_at(
                place, f"'{next(name for name in names if names.count(name) > 1)}' appears twice in one object"
            )
        return row

    try:
        row = json.loads(line, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise error_at(place, f"not valid JSON: {error.msg.removesuffix(' at')} at column {error.colno}") from None
    except ValueError as error:  # a number of thousands of digits
        raise error_at(place, f"not valid JSON: {error}") from None
    except RecursionError:
        raise error_at(place, "a value is nested too deeply; a row is one flat object") from None
    if not isinstance(row, dict):
        raise error_at(place, f"a JSON object is expected, not a {type(row).__name__}")
    return row


def id_of(row: Row, key: str, place: Place) -> str:
    """Return an id; an integer becomes its digits, as mteb reads it.

    Raises:
        DataError: If the id is missing or of another type, or trec_eval would read another id; with file and line.
    """
    value = row.get(key)
    id_ = str(value) if isinstance(value, int) and not isinstance(value, bool) else text_of(row, key, place)
    if NUL in id_:
        raise error_at(place, f"'{key}' holds a NUL byte, at which trec_eval ends an id, but it is {id_!r:.40}")
    return id_


def text_of(row: Row, key: str, place: Place) -> str:
    """Return a text that is not blank.

    Raises:
        DataError: If the text is missing or of another type; with file and line.
    """
    value = row.get(key)
    if value is None:
        raise error_at(place, f"'{key}' is missing; there are {', '.join(str(name) for name in row)}")
    if not isinstance(value, str) or not value.strip():
        raise error_at(place, f"'{key}' must be a text that is not blank, but it is {value!r:.40}")
    return whole_text(value, key, place)


def whole_text(value: str, key: str, place: Place) -> str:
    """Return a text after a check that none of its characters was cut in two.

    Raises:
        DataError: If such a character stands in it; with file and line.
    """
    try:
        value.encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(value[error.start]):x}"
        raise error_at(place, f"'{key}' holds half of a character ({half}): the text was cut within it") from None
    return value


def number_of(row: Row, key: str, place: Place) -> float:
    """Return a finite number, which may also be written as a string of ASCII digits.

    Raises:
        DataError: If it is missing, or is a truth value, NaN, infinite or beyond a float; with file and line.
    """
    value = row.get(key)
    # Python takes True for 1, 1_5 for 15, and digits of other scripts for numbers.
    plain = not isinstance(value, bool) and str(value).isascii() and "_" not in str(value)
    try:
        number = float(value) if plain and value is not None else math.nan
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise error_at(place, f"'{key}' must be a number, but it is {value!r:.40}")
    return number


def error_at(place: Place, problem: str) -> DataError:
    """Return an error that leads an editor to its line."""
    path, line = place
    text = f"{path}:{line}: {problem}."
    return DataError(text.encode(errors="backslashreplace").decode())  # half of a character can't be printed

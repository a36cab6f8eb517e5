"""The validation of probe files by ``probe.schema.json``, with each fault in words and with its line."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_embedqa.core.errors import DataError
from pytest_embedqa.core.showing import one_line
from pytest_embedqa.rag.folding import comparable
from pytest_embedqa.rag.regexes import SlowPatternError, search

if TYPE_CHECKING:
    from jsonschema import ValidationError

SCHEMA = Path(__file__).with_name("probe.schema.json")
_IN_WORDS = {"string": "a text (in quotes)", "object": "a mapping", "array": "a list", "integer": "a whole number"}

# Texts with nothing in common: a pattern found in each of them is found in any passage.
_TEXTS = ("a", "7", "中")
# NUL, at which programs end a text, and halves of surrogate pairs.
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_KNOWN_TAGS = {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:omap"}
# Up to this number, all programs read the same whole number.
_MOST = 2**53
_LONGEST_REGEX = 10_000
# Characters of a value that an error shows.
_SHOWN = 200


@cache
def _schema() -> Mapping[str, Any]:
    schema: Mapping[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return schema


def require_valid(given: Any, path: Path) -> None:  # whatever YAML holds
    """Refuse a content that the schema does not allow.

    Raises:
        DataError: With file and line of each fault.
    """
    from jsonschema import Draft202012Validator, FormatChecker, validators

    checker = FormatChecker([])
    checker.checks("text", ValueError)(_is_text)
    checker.checks("regex", ValueError)(_is_regex)
    found = [(line_of(given, keys), problem) for keys, problem in _odd_values(given, [])]
    if not found:  # otherwise the validator might take a numeric key for a text
        # JSON Schema counts 5.0 as a whole number, but Python can't index with it.
        kinds = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
        validator = validators.extend(Draft202012Validator, type_checker=kinds)
        errors = list(validator(_schema(), format_checker=checker).iter_errors(given))
        unknown = {tuple(error.absolute_path) for error in errors if error.validator == "additionalProperties"}
        found = [
            (line_of(given, [*error.absolute_path, *keys]), problem)
            for error in errors
            # A missing key is most likely there, under the unknown name.
            if not (error.validator in {"anyOf", "required"} and tuple(error.absolute_path) in unknown)
            for keys, problem in _in_words(error)
        ]
    if found:
        raise all_wrong(path, sorted(set(found)))


def all_wrong(path: Path, problems: Iterable[tuple[int, str]]) -> DataError:
    """Return the error that names each problem with its line; control sequences of the file are made harmless."""
    return DataError("\n".join(f"{place(path, line)}: {one_line(problem)}" for line, problem in problems))


def _odd_values(value: Any, keys: list[Any]) -> Iterator[tuple[list[Any], str]]:
    """Yield values of YAML and Python that JSON, and so the schema, lacks, each with the keys that lead to it."""
    where, tag = _where(keys), _tag(value)
    if isinstance(value, float) and not math.isfinite(value):
        yield keys, f"{where} is {value}, but must be a finite number."
    elif isinstance(value, int) and abs(value) > _MOST:
        yield keys, f"{where} is a whole number of more than 53 bits, which not all programs read alike."
    elif isinstance(value, str) and (wrong := _NO_TEXT.search(value)):
        sign = wrong[0].encode("unicode_escape").decode()
        yield keys, f"{where} holds {sign}, which is not a character of text."
    elif tag:
        yield (
            keys,
            f"{where} is tagged {tag}, which is nothing here. A text that begins with ! needs quotes: '{tag} …'.",
        )
    elif not isinstance(value, str | int | float | Mapping | list | None):
        yield keys, f"{where} is a {type(value).__name__}, but must be a text, a number, a list or a mapping."
    for key, inner in value.items() if isinstance(value, Mapping) else ():
        if isinstance(key, str):
            yield from _odd_values(key, [*keys, key])
            yield from _odd_values(inner, [*keys, key])
        else:
            yield [*keys, key], f"the key {key!r:.60} in {_where(keys)} must be a text (in quotes)."
    for number, inner in enumerate(value if isinstance(value, list) else ()):
        yield from _odd_values(inner, [*keys, number])


def _tag(value: object) -> str | None:
    """Return the tag of a value that YAML does not know."""
    tag: str | None = getattr(getattr(value, "tag", None), "value", None)
    return tag if isinstance(tag, str) and tag not in _KNOWN_TAGS else None


def _where(keys: Iterable[Any]) -> str:
    return ".".join(key for key in keys if isinstance(key, str)) or "the file"


def _is_text(value: object) -> bool:
    """Return whether a text has anything to read."""
    if isinstance(value, str) and value and not comparable(value):
        raise ValueError("has only blanks and invisible characters, which any text contains")
    return True


def _is_regex(value: object) -> bool:
    """Return whether a value is a regular expression that distinguishes texts."""
    if not isinstance(value, str):
        return True
    if len(value) > _LONGEST_REGEX:
        raise ValueError(f"is a regular expression of {len(value):,} characters; {_LONGEST_REGEX:,} are the most")
    try:
        nothing, *texts = search([(value, None, text, -1, len(text) + 1) for text in ("", *_TEXTS)])
    except ValueError as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    except SlowPatternError as error:
        raise ValueError(f"can't be used: {error}") from None
    if nothing or all(texts):
        raise ValueError("matches any text, or only an empty text: say what the passage must contain")
    return True


def _in_words(error: ValidationError) -> Iterator[tuple[list[str], str]]:
    """Yield each fault, with the key below the error's own place that shows it."""
    where = _where(error.absolute_path)
    value, wanted = error.instance, error.validator_value
    if error.validator == "additionalProperties" and isinstance(value, Mapping):
        yield from _unknown_keys(where, value, list(error.schema["properties"]))
    elif error.validator == "required":
        missing = re.search(r"'([^']+)'", error.message)
        yield [], f"{where} needs '{missing[1] if missing else wanted}'."
    elif error.validator == "anyOf":
        yield (
            [],
            f"probe '{value.get('name', '?')!s:.{_SHOWN}}' expects nothing. Give it expect, reject or max_latency_ms.",
        )
    elif error.validator == "type":
        yield [], _of_another_kind(where, value, wanted)
    elif error.validator == "enum":
        guess = get_close_matches(str(value), wanted, n=1)
        yield (
            [],
            f"{where}: '{value!s:.{_SHOWN}}' is unknown.{f' Did you mean {guess[0]!r}?' if guess else ''} There are: {', '.join(wanted)}.",
        )
    elif error.validator == "pattern":
        yield [], f"{where}: '{value:.{_SHOWN}}' must be like '>15', '<=3' or a number."
    elif error.validator == "format":
        yield [], f"{where}: '{value:.{_SHOWN}}' {error.cause}."
    elif error.validator in {"minItems", "minLength", "minProperties"}:
        yield [], f"{where} is empty, and must hold something."
    else:
        percent = error.validator == "maximum" and wanted == 1 and value <= 100  # noqa: PLR2004
        yield [], f"{where}: {error.message}.{f' It is a share: did you mean {value / 100:g}?' if percent else ''}"


def _unknown_keys(where: str, given: Mapping[str, Any], known: list[str]) -> Iterator[tuple[list[str], str]]:
    for key in [key for key in given if key not in known]:
        guess = get_close_matches(str(key), known, n=1)
        hint = f" Did you mean '{guess[0]}'?" if guess else ""
        if given[key] is None:  # {contains: 30 days, or more}
            hint += " A text with a comma, in { }, needs quotes."
        yield [key], f"unknown key '{key:.{_SHOWN}}' in {where}.{hint} It takes: {', '.join(known)}."


def _of_another_kind(where: str, value: object, wanted: str | list[str]) -> str:
    names = " or ".join(_IN_WORDS.get(kind, f"a {kind}") for kind in (wanted if isinstance(wanted, list) else [wanted]))
    shown = json.dumps(value, ensure_ascii=False, default=str)
    given = "empty" if value is None else f"{shown:.60}"
    return f"{where} is {given}, but must be {names}.{_hint(where, value)}"


def _hint(where: str, value: object) -> str:
    """Suggest what to write instead of a value of the wrong kind; empty where that is obvious."""
    key = where.rpartition(".")[2]
    if where == "the file":
        return " It needs  probes:  and below it each probe with a dash in front."
    if key == "probes":
        return " Each probe begins with a dash:  - name: …"
    inner = {"expect": "contains", "reject": "contains", "retrieve": "by", "chunk": "size"}.get(key)
    if inner and isinstance(value, str | int):
        return f" Write  {key}: {{{inner}: {value!s:.30}}}"
    several = key in {"contains", "expect"} and isinstance(value, list)
    return " Several texts stand in any_of or all_of." if several else ""


def line_of(given: Any, path: Sequence[Any]) -> int:
    """Return the line of the last part of a path through the file; 0 outside of files."""
    line = given.lc.line + 1 if hasattr(given, "lc") else 0
    for part in path:
        try:
            if hasattr(given, "lc"):
                line = (given.lc.item(part) if isinstance(part, int) else given.lc.key(part))[0] + 1
            given = given[part]
        except (KeyError, IndexError, TypeError):  # noqa: PERF203  as far as the path leads
            break
    return line


def place(path: Path, line: int) -> str:
    """Return a line of a file as errors name it; for a marker, whose line is told beside it, only the file."""
    return path.name if path.suffix == ".py" else f"{relative(path)}:{line or 1}"


def relative(path: Path) -> str:
    """Return a path relative to where the run was started, as pytest shows test paths."""
    try:
        return os.path.relpath(path)
    except ValueError:  # on another drive
        return str(path)

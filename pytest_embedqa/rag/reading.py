"""``*.probe.yaml`` and the arguments of ``@rag_probe`` to probes. All that is wrong is said at once, with file and line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_embedqa.core.errors import DataError, EmbedQAError, MissingExtraError, SpecError
from pytest_embedqa.rag.choices import Chunking, Retrieval
from pytest_embedqa.rag.http import HttpRetrieval
from pytest_embedqa.rag.openwebui import OpenWebUISettings, parse_openwebui
from pytest_embedqa.rag.probe import (
    COMPARISONS,
    GROUP_MEASURES,
    INDEX,
    Expect,
    PageSpan,
    Pattern,
    Probe,
    ProbeFile,
    Reject,
    Robustness,
)
from pytest_embedqa.rag.variations import VARIATIONS

if TYPE_CHECKING:
    from jsonschema import ValidationError

SCHEMA = Path(__file__).with_name("probe.schema.json")
SUFFIX = ".probe.yaml"
# Passages on other subjects among which the answer must still be found.
NOISE, NOISE_LEVELS = "noise", (100, 1000)
_IN_WORDS = {"string": "a text (in quotes)", "object": "a mapping", "array": "a list", "integer": "a whole number"}
_PATTERN = ("contains", "any_of", "regex", "source", "page", "rank")


def read_file(path: Path) -> ProbeFile:
    """Read a probe file.

    Raises:
        DataError: If it is not as ``probe.schema.json`` says; with file and line of everything that is wrong.
        MissingExtraError: If a package is not installed.
    """
    try:
        from ruamel.yaml import YAML  # noqa: PLC0415
        from ruamel.yaml.error import MarkedYAMLError  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("ruamel.yaml", "rag", path.name) from None
    try:
        # Keeps lines, rejects duplicate keys, and reads "no" as a text (YAML 1.2).
        given = YAML().load(path.read_text(encoding="utf-8"))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise DataError(f"{path.name}:{line}: no valid YAML: {error.problem}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name}: not UTF-8: {error}. Save it as UTF-8.") from None
    return _read(given, path)


def read_retrieval(path: Path) -> tuple[Retrieval, OpenWebUISettings | HttpRetrieval | None]:
    """Read a file that holds what a probe file has under ``retrieve``, to be used for all probe files.

    Raises:
        DataError, MissingExtraError: As ``read_file``.
    """
    from ruamel.yaml import YAML  # noqa: PLC0415
    from ruamel.yaml.error import MarkedYAMLError  # noqa: PLC0415

    try:
        given = YAML().load(path.read_text(encoding="utf-8"))
    except MarkedYAMLError as error:
        raise DataError(f"{path.name}: no valid YAML: {error.problem}") from None
    _require_valid({"retrieve": given, "probes": [{"name": "-", "ask": "-", "max_latency_ms": 1}]}, path)
    return _retrieval(given)


def read_arguments(arguments: Mapping[str, Any], name: str, path: Path) -> ProbeFile:
    """Read the arguments of ``@rag_probe``: one probe, and the corpus it asks.

    Raises:
        DataError: Naming all that is wrong.
    """
    of_file = {key: value for key, value in arguments.items() if key in {"corpus", "chunk", "retrieve"}}
    of_probe = {key: value for key, value in arguments.items() if key not in of_file}
    plain = json.loads(json.dumps({**of_file, "probes": [{"name": name, **of_probe}]}))  # tuples are lists there
    return _read(plain, path)


def _read(given: Any, path: Path) -> ProbeFile:  # noqa: ANN401  whatever YAML holds
    _require_valid(given, path)
    problems: list[tuple[int, str]] = []

    def checked(line: int, problem: str | None) -> None:
        if problem:
            problems.append((line, problem))

    retrieval, service = Retrieval(), None
    try:
        retrieval, service = _retrieval(given.get("retrieve", {}))
    except EmbedQAError as error:
        checked(_line(given, ["retrieve"]), str(error))
    chunking = Chunking(**given.get("chunk", {}))
    checked(_line(given, ["chunk"]), _problem_of_chunks(chunking))
    checked(_line(given, ["retrieve"]), _problem_of_retrieval(retrieval))
    probes = tuple(_probe(one, _line(given, ["probes", number])) for number, one in enumerate(given["probes"]))
    probes, unknown = _with_expected_failures(probes, given)
    problems += unknown
    robustness = tuple(_robustness(given))
    taken = {*GROUP_MEASURES, INDEX, *(f"robustness-{one.variation}" for one in robustness)}
    for probe in probes:
        if probe.name in taken:
            checked(probe.line, f"the name '{probe.name}' is taken. Each test needs its own.")
        taken.add(probe.name)
        checked(probe.line, _problem_of(probe, retrieval))
    if problems:
        raise DataError("\n".join(f"{_at(path, line)}: {problem}" for line, problem in problems))
    bounds = {name: given[name] for name in GROUP_MEASURES if name in given}
    return ProbeFile(
        path,
        path.parent / str(given["corpus"]) if "corpus" in given else None,
        chunking,
        retrieval,
        probes,
        service=service,
        bounds={name: dict(bound) if isinstance(bound, Mapping) else float(bound) for name, bound in bounds.items()},
        robustness=robustness,
        check_index=given.get("check_index", False),
        lines={name: _line(given, [name]) for name in (*bounds, "check_index") if name in given},
    )


def _retrieval(given: Mapping[str, Any]) -> tuple[Retrieval, OpenWebUISettings | HttpRetrieval | None]:
    known = {key: value for key, value in given.items() if key not in {"openwebui", "http"}}
    if len(given.keys() & {"openwebui", "http", "by"}) > 1:
        raise SpecError("retrieve takes one of by, openwebui and http.")
    if "openwebui" in given:
        return Retrieval(**known), parse_openwebui(f"openwebui:{given['openwebui']}")
    return Retrieval(**known), HttpRetrieval(**json.loads(json.dumps(given["http"]))) if "http" in given else None


def _problem_of_chunks(chunking: Chunking) -> str | None:
    if chunking.overlap >= chunking.size:
        return f"overlap {chunking.overlap} must be less than size {chunking.size}."
    return None


def _problem_of_retrieval(retrieval: Retrieval) -> str | None:
    if retrieval.candidates < retrieval.k:
        return f"candidates {retrieval.candidates} must be at least k {retrieval.k}."
    return None


def _problem_of(probe: Probe, retrieval: Retrieval) -> str | None:
    patterns = [*(probe.expect.pieces if probe.expect else ()), *(one.pattern for one in probe.reject)]
    deepest = max((one.rank or 0 for one in patterns), default=0)
    if deepest > retrieval.k:
        return f"rank {deepest} is beyond the k {retrieval.k} passages that come back."
    if not probe.expect and any(one.margin is not None for one in probe.reject):
        return "margin is measured from the expected passage: it needs expect."
    ranked = retrieval.by == "rrf" and not retrieval.cross_encoder
    if ranked and any(one.margin for one in probe.reject):
        return "margin compares scores, and those of rrf only say ranks. Use margin: 0, or another way to retrieve."
    return None


def _probe(given: Mapping[str, Any], line: int) -> Probe:
    rejects = given.get("reject", [])
    return Probe(
        str(given["name"]),
        str(given["ask"]),
        expect=_expect(given["expect"]) if "expect" in given else None,
        reject=tuple(
            Reject(_pattern(one), one.get("margin")) for one in (rejects if isinstance(rejects, list) else [rejects])
        ),
        max_latency_ms=given.get("max_latency_ms"),
        translation=given.get("translation"),
        required=given.get("required", False),
        expected_failures=dict(given.get("expected_failures", {})),
        line=line,
    )


def _with_expected_failures(
    probes: tuple[Probe, ...], given: Mapping[str, Any]
) -> tuple[tuple[Probe, ...], list[tuple[int, str]]]:
    """Probes with what the file says of them by model and reason; and what it says of probes that it does not have."""
    by_name = {probe.name: probe for probe in probes}
    problems = []
    for model, reasons in given.get("expected_failures", {}).items():
        for reason, names in reasons.items():
            for number, name in enumerate(names):
                if name not in by_name:
                    guess = get_close_matches(name, by_name, n=1)
                    hint = f" Did you mean '{guess[0]}'?" if guess else ""
                    line = _line(given, ["expected_failures", model, reason, number])
                    problems.append((line, f"there is no probe '{name}'.{hint}"))
                    continue
                probe = by_name[name]
                by_name[name] = replace(probe, expected_failures={**probe.expected_failures, model: reason})
    return tuple(by_name[probe.name] for probe in probes), problems


def _expect(given: Mapping[str, Any]) -> Expect:
    outer = _pattern(given)
    # Beside all_of, source and rank say something about each of its passages.
    pieces = [
        _pattern({**{key: given[key] for key in ("source", "rank") if key in given}, **_as_mapping(one)})
        for one in given.get("all_of", ())
    ]
    if outer.has_text or outer.page or not pieces:
        pieces.insert(0, outer)
    return Expect(tuple(pieces), _page_span(given["page_span"]) if "page_span" in given else None)


def _as_mapping(piece: str | Mapping[str, Any]) -> Mapping[str, Any]:
    return {"contains": piece} if isinstance(piece, str) else piece


def _pattern(given: Mapping[str, Any]) -> Pattern:
    values = {key: given[key] for key in _PATTERN if key in given}
    for key in ("any_of", "page"):
        if key in values:
            values[key] = tuple(values[key]) if isinstance(values[key], list) else (values[key],)
    return Pattern(**values)


def _page_span(given: str | int) -> PageSpan:
    text = str(given)
    sign = next((one for one in COMPARISONS if text.startswith(one)), "")
    return PageSpan(sign or ">=", int(text.removeprefix(sign)))


def _robustness(given: Mapping[str, Any]) -> Iterator[Robustness]:
    for name, how in given.get("robustness", {}).items():
        levels = NOISE_LEVELS if name == NOISE else VARIATIONS[name].levels
        yield Robustness(
            name, tuple(how.get("levels", levels)), how.get("keep"), line=_line(given, ["robustness", name])
        )


@cache
def _schema() -> Mapping[str, Any]:
    schema: Mapping[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return schema


def _require_valid(given: Any, path: Path) -> None:  # noqa: ANN401
    try:
        from jsonschema import Draft202012Validator, FormatChecker  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("jsonschema", "rag", path.name) from None
    validator = Draft202012Validator(_schema(), format_checker=FormatChecker(["regex"]))
    found = [
        (_line(given, [*error.absolute_path, *keys]), problem)
        for error in validator.iter_errors(given)
        for keys, problem in _in_words(error)
    ]
    if found:
        raise DataError("\n".join(f"{_at(path, line)}: {problem}" for line, problem in sorted(set(found))))


def _in_words(error: ValidationError) -> Iterator[tuple[list[str], str]]:
    """What is wrong, each with the key below the error's own place that shows it."""
    where = ".".join(str(part) for part in error.absolute_path if isinstance(part, str)) or "the file"
    value, wanted = error.instance, error.validator_value
    if error.validator == "additionalProperties" and isinstance(value, Mapping):
        known = list(error.schema["properties"])
        for key in [key for key in value if key not in known]:
            guess = get_close_matches(str(key), known, n=1)
            hint = f" Did you mean '{guess[0]}'?" if guess else ""
            yield [key], f"unknown key '{key}' in {where}.{hint} It takes: {', '.join(known)}."
    elif error.validator == "required":
        missing = re.search(r"'([^']+)'", error.message)
        yield [], f"{where} needs '{missing[1] if missing else wanted}'."
    elif error.validator == "anyOf":
        yield [], f"probe '{value.get('name', '?')}' expects nothing. Give it expect, reject or max_latency_ms."
    elif error.validator == "type":
        kinds = wanted if isinstance(wanted, list) else [wanted]
        names = " or ".join(_IN_WORDS.get(kind, f"a {kind}") for kind in kinds)
        yield [], f"{where} is {json.dumps(value, ensure_ascii=False, default=str):.60}, but must be {names}."
    elif error.validator == "enum":
        guess = get_close_matches(str(value), wanted, n=1)
        yield (
            [],
            f"{where}: '{value}' is unknown.{f' Did you mean {guess[0]!r}?' if guess else ''} There are: {', '.join(wanted)}.",
        )
    elif error.validator == "pattern":
        yield [], f"{where}: '{value}' must be like '>15', '<=3' or a number."
    elif error.validator == "format":
        yield [], f"{where}: '{value}' is no regular expression: {error.cause}."
    elif error.validator in {"minItems", "minLength", "minProperties"}:
        yield [], f"{where} is empty."
    else:
        yield [], f"{where}: {error.message}."


def _line(given: Any, path: Sequence[Any]) -> int:  # noqa: ANN401
    """Line on which the last part of a path through the file is; 0 if it is not from a file."""
    line = given.lc.line + 1 if hasattr(given, "lc") else 0
    for part in path:
        if not hasattr(given, "lc"):
            break
        try:
            line = (given.lc.item(part) if isinstance(part, int) else given.lc.key(part))[0] + 1
            given = given[part]
        except (KeyError, IndexError, TypeError):
            break
    return line


def _at(path: Path, line: int) -> str:
    return f"{path.name}:{line}" if line else path.name

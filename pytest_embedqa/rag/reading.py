"""The reading of ``*.probe.yaml`` and of ``@rag_probe``. All errors are reported at once, with file and line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path, PurePath
from typing import Any

from pytest_embedqa.core.errors import DataError, EmbedQAError, SpecError
from pytest_embedqa.encoders.load import read_all_options
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.rag.choices import Chunking, HttpRetrieval, Retrieval
from pytest_embedqa.rag.folding import looks
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
from pytest_embedqa.rag.validation import all_wrong, line_of, require_valid
from pytest_embedqa.rag.variations import VARIATIONS
from pytest_embedqa.rag.yaml_file import read_yaml

# Passages on other subjects among which the answer must still be found.
NOISE, NOISE_LEVELS = "noise", (100, 1000)
_PATTERN = ("contains", "any_of", "regex", "source", "page", "rank")


def read_file(path: Path) -> ProbeFile:
    """Read a probe file.

    Raises:
        DataError: If it does not fit ``probe.schema.json``; with file and line of each error.
        MissingExtraError: If a package is not installed.
    """
    return _read(read_yaml(path), path)


def read_retrieval(path: Path) -> tuple[Retrieval, OpenWebUISettings | HttpRetrieval | None]:
    """Read a file with the content of a probe file's ``retrieve``, to be used for all probe files.

    Raises:
        DataError, MissingExtraError: As for ``read_file``.
    """
    return read_retrieval_of(read_yaml(path), path)


def read_retrieval_of(
    given: Mapping[str, Any], path: Path
) -> tuple[Retrieval, OpenWebUISettings | HttpRetrieval | None]:
    """Read what stands under a probe file's ``retrieve``, given in the file ``path``.

    Raises:
        DataError, MissingExtraError: As for ``read_file``.
    """
    require_valid({"retrieve": given, "probes": [{"name": "-", "ask": "-", "max_latency_ms": 1}]}, path)
    return _retrieval(given)


def read_arguments(arguments: Mapping[str, Any], name: str, path: Path) -> ProbeFile:
    """Read the arguments of ``@rag_probe``: a single probe, and its corpus.

    Raises:
        DataError: Naming all errors.
    """
    of_file = {key: value for key, value in arguments.items() if key in {"corpus", "encoding", "chunk", "retrieve"}}
    of_probe = {key: value for key, value in arguments.items() if key not in of_file}
    try:  # there, tuples are lists
        plain = json.loads(json.dumps({**of_file, "probes": [{"name": name, **of_probe}]}, default=_plain))
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{path.name}: @rag_probe takes texts, numbers, lists and mappings, but {error}.") from None
    return _read(plain, path)


def _plain(value: object) -> object:
    """Convert a Python value that JSON has no equivalent for."""
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, set | frozenset | range):
        return sorted(value, key=str) if isinstance(value, set | frozenset) else list(value)
    raise TypeError(f"there is a {type(value).__name__} among them")


def _read(given: Any, path: Path) -> ProbeFile:  # whatever YAML holds
    require_valid(given, path)
    problems: list[tuple[int, str]] = []

    def checked(line: int, problem: str | None) -> None:
        if problem:
            problems.append((line, problem))

    retrieval, service = Retrieval(), None
    try:
        retrieval, service = _retrieval(given.get("retrieve", {}))
    except EmbedQAError as error:
        wrong = ["retrieve", "reranker"] if "reranker" in given["retrieve"] else ["retrieve"]
        checked(line_of(given, wrong), str(error))
    chunking = Chunking(**given.get("chunk", {}))
    encoding = given.get("encoding")
    by_pattern = encoding if isinstance(encoding, Mapping) else {}
    for keys, charset in [([key], by_pattern[key]) for key in by_pattern] or [([], encoding)]:
        checked(line_of(given, ["encoding", *keys]), _problem_of_encoding(charset))
    checked(line_of(given, ["chunk"]), _problem_of_chunks(chunking))
    checked(line_of(given, ["retrieve"]), _problem_of_retrieval(retrieval))
    probes = tuple(_probe(one, line_of(given, ["probes", number])) for number, one in enumerate(given["probes"]))
    probes, unknown = _with_expected_failures(probes, given)
    problems += unknown
    robustness = tuple(_robustness(given))
    for one in robustness:
        checked(one.line, _problem_of_levels(one))
    own = {looks(name) for name in (*GROUP_MEASURES, INDEX, *(f"robustness-{one.variation}" for one in robustness))}
    taken: set[str] = set()
    for probe in probes:
        if looks(probe.name) in own:
            checked(probe.line, f"the name '{probe.name}' is that of a test on the whole file. Give the probe another.")
        elif looks(probe.name) in taken:
            checked(probe.line, f"the name '{probe.name}' is taken. Each test needs its own.")
        taken.add(looks(probe.name))
        checked(probe.line, _problem_of(probe, retrieval))
    if problems:
        raise all_wrong(path, problems)
    bounds = {name: given[name] for name in GROUP_MEASURES if name in given}
    return ProbeFile(
        path,
        path.parent / str(given["corpus"]) if "corpus" in given else None,
        chunking,
        retrieval,
        probes,
        encoding=dict(by_pattern) or encoding,
        service=service,
        bounds={name: _bound(bound) for name, bound in bounds.items()},
        robustness=robustness,
        check_index=given.get("check_index", False),
        lines=_lines(given, (*bounds, "check_index", "corpus", "encoding", "retrieve")),
    )


def _retrieval(given: Mapping[str, Any]) -> tuple[Retrieval, OpenWebUISettings | HttpRetrieval | None]:
    known = {key: value for key, value in given.items() if key not in {"openwebui", "http"}}
    # Whoever asks for more passages than a first stage hands on by default wants the first stage to hand on as many.
    known.setdefault("candidates", max(Retrieval.candidates, known.get("k", 0)))
    if len(given.keys() & {"openwebui", "http", "by"}) > 1:
        raise SpecError("retrieve takes one of by, openwebui and http.")
    if "reranker" in given:
        if live := given.keys() & {"openwebui", "http"}:
            raise SpecError(
                f"reranker orders passages of the built-in chain, and not those of {live.pop()}. Leave one out."
            )
        known["reranker"] = parse_spec(str(given["reranker"]))
        read_all_options(known["reranker"])
    if "openwebui" in given:
        return Retrieval(**known), parse_openwebui(f"openwebui:{given['openwebui']}")
    return Retrieval(**known), HttpRetrieval(**json.loads(json.dumps(given["http"]))) if "http" in given else None


def _problem_of_encoding(encoding: str | None) -> str | None:
    try:
        "".encode(encoding or "utf-8")
    except (LookupError, ValueError):  # ValueError: "undefined", and names with characters that no charset has
        return f"encoding '{encoding:.80}' is not a charset that Python knows. Name a charset such as gb18030, shift_jis or cp1252."
    return None


def _problem_of_chunks(chunking: Chunking) -> str | None:
    if chunking.overlap >= chunking.size:
        return f"overlap {chunking.overlap} must be less than size {chunking.size}."
    return None


def _problem_of_retrieval(retrieval: Retrieval) -> str | None:
    if retrieval.candidates < retrieval.k:
        return f"candidates {retrieval.candidates} must be at least k {retrieval.k}."
    return None


def _problem_of_levels(robustness: Robustness) -> str | None:
    if robustness.variation == NOISE:
        return None
    known = VARIATIONS[robustness.variation].levels
    wrong = [level for level in robustness.levels if level not in known]
    if wrong:
        return f"{robustness.variation} has no level {wrong[0]}. There are: {', '.join(map(str, known))}."
    return None


def _problem_of(probe: Probe, retrieval: Retrieval) -> str | None:
    deepest = max((one.rank or 0 for one in probe.patterns), default=0)
    if deepest > retrieval.k:
        return (
            f"rank {deepest} can never hold: {retrieval.k} passages come back. Raise k in retrieve, or lower the rank."
        )
    if not probe.expect and any(one.margin is not None for one in probe.reject):
        return "margin is measured from the expected passage: it needs expect."
    ranked = retrieval.by == "rrf" and not retrieval.reranker
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
    """Return probes with their ``expected_failures``, and the line and problem of each name that is no probe."""
    by_name = {looks(probe.name): probe for probe in probes}
    problems = []
    for model, reasons in given.get("expected_failures", {}).items():
        for reason, names in reasons.items():
            for number, name in enumerate(names):
                if looks(name) not in by_name:
                    guess = get_close_matches(name, [probe.name for probe in probes], n=1)
                    hint = f" Did you mean '{guess[0]}'?" if guess else ""
                    line = line_of(given, ["expected_failures", model, reason, number])
                    problems.append((line, f"there is no probe '{name}'.{hint}"))
                    continue
                probe = by_name[looks(name)]
                by_name[looks(name)] = replace(probe, expected_failures={**probe.expected_failures, model: reason})
    return tuple(by_name[looks(probe.name)] for probe in probes), problems


def _expect(given: Mapping[str, Any]) -> Expect:
    outer = _pattern(given)
    # Beside all_of, source and rank describe each of its passages.
    common = {key: given[key] for key in ("source", "rank") if key in given}
    pieces = [
        _pattern({**common, **_as_mapping(one)}, {**_lines(given, common), **_lines(one, _PATTERN)})
        for one in given.get("all_of", ())
    ]
    if outer.has_text or outer.page or not pieces:
        pieces.insert(0, outer)
    return Expect(tuple(pieces), _page_span(given["page_span"]) if "page_span" in given else None)


def _as_mapping(piece: str | Mapping[str, Any]) -> Mapping[str, Any]:
    return {"contains": piece} if isinstance(piece, str) else piece


def _pattern(given: Mapping[str, Any], lines: Mapping[str, int] | None = None) -> Pattern:
    values = {key: given[key] for key in _PATTERN if key in given}
    for key in ("any_of", "page"):
        if key in values:
            values[key] = tuple(values[key]) if isinstance(values[key], list) else (values[key],)
    return Pattern(**values, lines=_lines(given, _PATTERN) if lines is None else lines)


def _lines(given: Any, keys: Iterable[str]) -> dict[str, int]:  # a mapping of YAML, or of a marker
    """Return the lines of these keys, as far as the keys are there."""
    return {key: line_of(given, [key]) for key in keys if isinstance(given, Mapping) and key in given}


def _page_span(given: str | int) -> PageSpan:
    text = str(given)
    sign = next((one for one in COMPARISONS if text.startswith(one)), "")
    return PageSpan(sign or ">=", int(text.removeprefix(sign)))


def _robustness(given: Mapping[str, Any]) -> Iterator[Robustness]:
    for name, how in given.get("robustness", {}).items():
        levels = NOISE_LEVELS if name == NOISE else VARIATIONS[name].levels
        keep = _bound(how["keep"]) if "keep" in how else None
        yield Robustness(name, tuple(how.get("levels", levels)), keep, line=line_of(given, ["robustness", name]))


def _bound(given: float | Mapping[str, float]) -> float | Mapping[str, float]:
    return dict(given) if isinstance(given, Mapping) else float(given)

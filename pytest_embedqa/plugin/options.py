"""Options on the command line and in the ini file. Their values are parsed in ``read_settings.py`` when needed."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

# For each ini option: help, default (``None``: not given), type, and a second type that a TOML file may use.
_INI: Mapping[str, tuple[str, Any, Any, Any]] = {
    "embedqa_model": ("encoders under test, as --embedqa-model, one a line", None, "linelist", "string"),
    "embedqa_datasets": ("as --embedqa-datasets, relative to the ini file", None, "string", "string"),
    "embedqa_store": ("as --embedqa-store, or false", None, "string", "bool"),
    "embedqa_probe_env": ("as --embedqa-probe-env, one a line", None, "linelist", "string"),
    "embedqa_max_regression": (
        "drop of a main score that --embedqa-baseline allows (0.01)",
        "0.01",
        "string",
        "float",
    ),
    "embedqa_min_speed_ratio": (
        "least speed relative to --embedqa-baseline for @throughput tests (0.8)",
        "0.8",
        "string",
        "float",
    ),
}


def add_options(parser: pytest.Parser) -> None:
    """Add the plugin's groups to ``pytest --help``, and its ini options."""
    _what_is_tested(parser.getgroup("embedqa", "embedding quality: what is tested"))
    _gate(parser.getgroup("embedqa-gate", "embedding quality: gate on an upgrade"))
    _data(parser.getgroup("embedqa-data", "embedding quality: data"))
    _allowed(parser.getgroup("embedqa-allow", "embedding quality: what files may do (docs/security.md)"))
    _reports(parser.getgroup("embedqa-reports", "embedding quality: reports"))
    for name, (help_, default, type_, _) in _INI.items():
        parser.addini(name, help_, default=default, type=type_)


def fit_ini(config: pytest.Config, parser: pytest.Parser) -> None:
    """Give ini options the types that the ini file has, before any option is read.

    From pytest 9 on, a TOML file has numbers, booleans and lists, and an option of another type is an error, even a
    string where lines are expected.

    Raises:
        pytest.UsageError: If a value has a type that the option can't have; in pytest's words.
    """
    for name, (help_, default, _, other) in _INI.items():
        try:
            config.getini(name)
        except (TypeError, ValueError, pytest.UsageError) as error:
            problem = str(error)
        else:
            continue
        try:
            parser.addini(name, help_, default=default, type=other)
            config.getini(name)
        except (TypeError, ValueError, pytest.UsageError):
            from pytest_embedqa.core.showing import shown  # an unrelated run never needs it

            raise pytest.UsageError(shown(problem)) from None


def _given(text: str) -> str:
    """Return the value of an option; refuse an empty value, which must not switch anything off by accident."""
    if not text.strip():
        raise argparse.ArgumentTypeError(
            "its value is empty. Is the variable that it comes from unset? Set it, or leave the option out."
        )
    return text


def _what_is_tested(group: pytest.OptionGroup) -> None:
    group.addoption(
        "--embedqa-model",
        type=_given,
        action="append",
        metavar="SPEC",
        help="encoder under test, ENGINE:MODEL[@REVISION][?key=value&...]; several times to compare (default: builtin)",
    )
    group.addoption(
        "--embedqa-devices",
        type=_given,
        metavar="N|LIST",
        help="under pytest-xdist: how many encoders work side by side, or on which GPUs, e.g. 0,1 (default: one a GPU)",
    )
    group.addoption(
        "--embedqa-retriever",
        type=_given,
        metavar="HOW",
        help="how all probe files are searched: model, dense, bm25, rerank, rrf, openwebui:URL, or a YAML file as their retrieve:",
    )
    group.addoption(
        "--embedqa-budget",
        type=_given,
        metavar="TIME",
        help="time for the whole run, e.g. 45m, 90s, 1h30m: the cheapest tests run first, and what no longer fits is not run",
    )
    group.addoption(
        "--embedqa-strict",
        action="store_true",
        help="inconclusive verdicts, missing data, and max_regression= without a baseline fail",
    )
    group.addoption(
        "--embedqa-diagnose",
        choices=("off", "auto", "always"),
        help="say why a score is low, when a test fails or a model is far below its published score (auto), and which stage lost the answer to a probe",
    )


def _gate(group: pytest.OptionGroup) -> None:
    group.addoption(
        "--embedqa-baseline",
        type=_given,
        metavar="PATH|SPEC",
        help="what scores (and speed) must not fall below: a saved baseline, or another encoder",
    )
    group.addoption(
        "--embedqa-save-baseline", type=_given, metavar="PATH", help="write what this run scores to PATH (.json)"
    )


def _data(group: pytest.OptionGroup) -> None:
    group.addoption(
        "--embedqa-datasets",
        type=_given,
        metavar="DIR",
        help="take task data from DIR/ORG/NAME in the Hub's layout, never from the network (environment: EMBEDQA_DATASETS)",
    )
    group.addoption(
        "--embedqa-missing-data",
        choices=("skip", "fail"),
        help="tests whose data can't be reached (default: skip; fail under CI or --embedqa-strict)",
    )
    group.addoption(
        "--embedqa-store",
        type=_given,
        metavar="FILE",
        help="vector store, a file that can be written (default: in the user's cache folder; 'off': none is kept)",
    )
    group.addoption(
        "--embedqa-published",
        type=_given,
        metavar="PATH",
        help="checkout of the public results repository, for vs_published=",
    )


def _allowed(group: pytest.OptionGroup) -> None:
    group.addoption(
        "--embedqa-allow-spec",
        action="append",
        type=_given,
        metavar="SPEC",
        help="model that a baseline's file or a probe file may load though it starts a command, imports a module or asks a server; several times",
    )
    group.addoption(
        "--embedqa-allow-host",
        action="append",
        type=_given,
        metavar="HOST[:PORT]",
        help="host that probe files may ask (default: this machine); several times",
    )
    group.addoption(
        "--embedqa-probe-env",
        action="append",
        type=_given,
        metavar="NAME=URL",
        help="environment variable that headers of probe files may send, and to which server; several times",
    )
    group.addoption(
        "--embedqa-allow-outside",
        action="store_true",
        help="the corpus of a probe file may lie outside the rootdir, or lead there by links",
    )


def _reports(group: pytest.OptionGroup) -> None:
    group.addoption(
        "--embedqa-html", type=_given, metavar="PATH", help="write a report as one page that works offline (.html)"
    )
    group.addoption(
        "--embedqa-json", type=_given, metavar="PATH", help="write all verdicts and what they rest on (.json)"
    )


def were_given(config: pytest.Config) -> bool:
    """Return whether the command line or the ini file sets any option of this plugin."""
    return any(value for name, value in vars(config.option).items() if name.startswith("embedqa_")) or any(
        config.getini(name) is not None
        for name in ("embedqa_model", "embedqa_datasets", "embedqa_store", "embedqa_probe_env")
    )


def has_workers(config: pytest.Config) -> bool:
    """Return whether the tests run in xdist workers, and this process only receives their reports."""
    return bool(config.getoption("dist", "no") != "no")


def lines_of_ini(config: pytest.Config, name: str) -> list[str]:
    """Return the values of an ini option, one a line; nothing where the ini file does not have the option.

    Raises:
        pytest.UsageError: If the ini file has the option without a value.
    """
    found = config.getini(name)
    lines = [found] if isinstance(found, str) else found
    if lines is not None and not (lines and all(line.strip() for line in lines)):
        raise pytest.UsageError(f"{name} in the ini file has an empty value. Give it one, or take its line out.")
    return lines or []


def path_of(given: str, option: str) -> Path:
    """Return a path made absolute.

    Raises:
        pytest.UsageError: If no file can have this name.
    """
    try:
        path = Path(given).expanduser()
        path.exists()  # raises for a name that is too long or has characters that no name may have
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise pytest.UsageError(f"{option}: {given!r:.80} can't be used as a path: {error}.") from None

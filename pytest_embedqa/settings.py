"""What a run was asked to do: strings of the command line, ini file and environment, parsed to values once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_embedqa.core.errors import SpecError
from pytest_embedqa.encoders.load import read_all_options
from pytest_embedqa.encoders.spec import Spec, parse_spec

DEFAULT_MODEL = Spec("builtin", engine="builtin", model="")
_INI = ("pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")


@dataclass(frozen=True)
class Settings:
    """What a run was asked to do.

    Attributes:
        models: Encoders under test; several make a comparison.
        baseline: Encoder that ``max_regression`` compares with.
        datasets: Folder with task data in the Hub's layout.
        published: Published scores other than the snapshot of this package.
        store: Vector store; ``None`` for a temporary one.
        missing_data: ``skip`` or ``fail`` for tests whose data can't be reached.
        strict: Whether an inconclusive verdict fails.
    """

    models: tuple[Spec, ...] = (DEFAULT_MODEL,)
    baseline: Spec | None = None
    datasets: Path | None = None
    published: Path | None = None
    store: Path | None = None
    missing_data: str = "skip"
    strict: bool = False


def read_settings(config: pytest.Config) -> Settings:
    """Settings of a run.

    Raises:
        pytest.UsageError: If a value is wrong; the message says what was expected.
    """
    option = config.option
    _refuse_stolen_rootdir(config)
    given = option.embedqa_model or [text for text in [config.getini("embedqa_model")] if text]
    try:
        models = tuple(_spec(text) for text in given)
        baseline = _spec(option.embedqa_baseline) if option.embedqa_baseline else None
    except SpecError as error:
        raise pytest.UsageError(str(error)) from None
    if len(set(given)) < len(given):
        raise pytest.UsageError("--embedqa-model was given twice with the same spec.")
    strict = option.embedqa_strict
    in_ci = os.environ.get("CI", "").lower() not in {"", "0", "false"}
    return Settings(
        models=models or (DEFAULT_MODEL,),
        baseline=baseline,
        datasets=_folder(
            config, option.embedqa_datasets or os.environ.get("EMBEDQA_DATASETS"), config.getini("embedqa_datasets")
        ),
        published=_existing(option.embedqa_published, "--embedqa-published"),
        store=_store(config, option.embedqa_store or config.getini("embedqa_store")),
        missing_data=option.embedqa_missing_data or ("fail" if strict or in_ci else "skip"),
        strict=strict,
    )


def _refuse_stolen_rootdir(config: pytest.Config) -> None:
    """Catch a trap of pytest's: it looks for its ini file before it knows our options.

    ``--embedqa-datasets /data`` is to it an unknown flag and a test folder, so that it may take /data for the
    root of the project and read no ini file: the run would silently test another model.
    """
    option, here = config.option, config.invocation_params.dir
    found = config.inipath is not None and here.is_relative_to(config.inipath.parent)
    if (
        found
        or option.rootdir
        or not any((folder / name).exists() for folder in [here, *here.parents] for name in _INI)
    ):
        return
    paths = [(name, getattr(option, f"embedqa_{name}")) for name in ("datasets", "store", "published")]
    for name, given in [*paths, *(("model", model) for model in option.embedqa_model or ())]:
        if given in config.invocation_params.args and Path(given).exists():
            raise pytest.UsageError(
                f"pytest took '{given}' for a test folder and read no configuration. Write --embedqa-{name}={given}, with '='."
            )


def _spec(text: str) -> Spec:
    """Parse a spec and its options, without loading anything."""
    spec = parse_spec(text)
    read_all_options(spec)
    return spec


def _folder(config: pytest.Config, given: str | None, ini: str) -> Path | None:
    if given:
        return _existing(given, "--embedqa-datasets")
    return _existing(str(_beside_ini(config, ini)), "embedqa_datasets") if ini else None


def _existing(given: str | None, option: str) -> Path | None:
    if not given:
        return None
    path = Path(given).expanduser().resolve()
    if not path.exists():
        raise pytest.UsageError(f"{option}: {given} does not exist.")
    return path


def _store(config: pytest.Config, given: str) -> Path | None:
    if given == "off":
        return None
    if given:
        return _beside_ini(config, given) if not config.option.embedqa_store else Path(given).expanduser().resolve()
    from platformdirs import user_cache_path  # noqa: PLC0415

    return user_cache_path("pytest-embedqa") / "vectors.sqlite"


def _beside_ini(config: pytest.Config, given: Any) -> Path:  # noqa: ANN401  ini values are untyped
    return (config.inipath.parent if config.inipath else config.rootpath) / Path(str(given)).expanduser()

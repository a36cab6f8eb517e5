"""The parsing of strings from the command line, ini file and environment into settings."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_embedqa.core.arguments import share as share_of
from pytest_embedqa.core.errors import EmbedQAError, MissingExtraError, SpecError
from pytest_embedqa.encoders.devices import find_gpus, read_devices, share
from pytest_embedqa.encoders.load import read_all_options
from pytest_embedqa.encoders.spec import Spec, parse_spec
from pytest_embedqa.plugin.options import lines_of_ini, path_of
from pytest_embedqa.settings import DEFAULT_MODEL, Settings

if TYPE_CHECKING:
    from pytest_embedqa.rag.allowed import Allowed
    from pytest_embedqa.rag.override import Override


_INI = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")
# The first bytes of an SQLite database.
_DATABASE = b"SQLite format 3\0"


def read_settings(config: pytest.Config) -> Settings:
    """Return the settings of a run.

    Raises:
        pytest.UsageError: If a value is wrong; the message says which values are accepted.
    """
    option = config.option
    _refuse_stolen_rootdir(config)
    given = option.embedqa_model or lines_of_ini(config, "embedqa_model")
    try:
        models = tuple(_spec(text) for text in given)
        baseline = _baseline(option.embedqa_baseline) if option.embedqa_baseline else None
        allowed_specs = tuple(_spec(text) for text in option.embedqa_allow_spec or ())
    except SpecError as error:
        raise pytest.UsageError(str(error)) from None
    if len(set(given)) < len(given):
        raise pytest.UsageError(
            "--embedqa-model was given twice with the same spec. Give it once, or change one of the specs."
        )
    from pytest_embedqa.plugin.read_allowed import read_allowed  # what it names of probes imports more than this needs

    allowed, strict = read_allowed(config, (*models, *allowed_specs)), option.embedqa_strict
    in_ci = os.environ.get("CI", "").lower() not in {"", "0", "false"}
    json = _json(option.embedqa_json, [baseline, _path(option.embedqa_save_baseline), _path(option.embedqa_store)])
    return Settings(
        models=models or (DEFAULT_MODEL,),
        devices=({},) if hasattr(config, "workerinput") else _devices(option.embedqa_devices, [*models, baseline]),
        budget=_budget(option.embedqa_budget),
        baseline=baseline,
        save_baseline=_save_baseline(option.embedqa_save_baseline, models, baseline),
        max_regression=_share(config, "embedqa_max_regression"),
        min_speed_ratio=_share(config, "embedqa_min_speed_ratio"),
        datasets=_datasets(config),
        published=_existing(option.embedqa_published, "--embedqa-published"),
        store=_store(config),
        missing_data=option.embedqa_missing_data or ("fail" if strict or in_ci else "skip"),
        strict=strict,
        retriever=_retriever(option.embedqa_retriever, allowed),
        diagnose=option.embedqa_diagnose or "auto",
        allowed=allowed,
        allowed_specs=allowed_specs,
        html=_html(option.embedqa_html),
        json=json,
    )


def _refuse_stolen_rootdir(config: pytest.Config) -> None:
    """Refuse a rootdir that pytest took from an option's value: it looks for its ini file before it knows our options.

    To pytest, ``--embedqa-datasets /data`` is at that point an unknown flag and a test folder, so that it may take
    /data for the root of the project and read no ini file: the run would silently test another model.
    """
    option, here = config.option, config.invocation_params.dir
    found = config.inipath is not None and here.is_relative_to(config.inipath.parent)
    if (
        found
        or option.rootdir
        or not any((folder / name).exists() for folder in [here, *here.parents] for name in _INI)
    ):
        return
    paths = [
        (name, getattr(option, f"embedqa_{name}"))
        for name in ("datasets", "store", "published", "baseline", "save_baseline", "html", "json")
    ]
    for name, given in [*paths, *(("model", model) for model in option.embedqa_model or ())]:
        if given in config.invocation_params.args and os.path.exists(given):  # noqa: PTH110  no name is too long for it
            raise pytest.UsageError(
                f"pytest took '{given}' for a test folder and read no configuration. Write --embedqa-{name.replace('_', '-')}={given}, with '='."
            )


def _spec(text: str) -> Spec:
    """Parse a spec and its options, without loading anything."""
    spec = parse_spec(text)
    read_all_options(spec)
    return spec


def _devices(given: str | None, models: Iterable[Spec | Path | None]) -> tuple[Mapping[str, str], ...]:
    """Share the available devices among encoders; each gets as many GPUs as the largest of its models asks for."""
    each = [
        prod(int(value) for key, value in one.options.items() if key.endswith("_parallel_size"))
        for model in models
        if isinstance(model, Spec)
        for one in model.models
    ]
    try:
        return share(find_gpus(), read_devices(given) if given else None, max(each, default=1))
    except SpecError as error:
        raise pytest.UsageError(f"--embedqa-devices: {error}") from None


def _budget(given: str | None) -> int | None:
    """Parse a duration such as ``1h30m`` into seconds."""
    if given is None:
        return None
    found = re.fullmatch(r"(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,6})s)?", given.strip())
    hours, minutes, seconds = (int(number or 0) for number in (found.groups() if found else (0, 0, 0)))
    if not (budget := 3600 * hours + 60 * minutes + seconds):
        raise pytest.UsageError(
            f"--embedqa-budget: {given!r} is not a time. Write hours, minutes and seconds with their letters: 45m, 90s, 1h30m."
        )
    return budget


def _baseline(text: str) -> Spec | Path:
    """Return a path if the text names an existing file or looks like a file name; otherwise parse it as a spec."""
    if not (text.endswith(".json") or os.path.isfile(os.path.expanduser(text))):  # noqa: PTH111, PTH113  a spec may be no path
        return _spec(text)
    path = path_of(text, "--embedqa-baseline")
    if not path.is_file():
        raise pytest.UsageError(
            f"--embedqa-baseline: {text} does not exist. Make it with the old model:  pytest ... --embedqa-model=OLD --embedqa-save-baseline={text}"
        )
    return path


def _save_baseline(given: str | None, models: tuple[Spec, ...], baseline: Spec | Path | None) -> Path | None:
    """Return the file to write the baseline to, after checking that nothing is lost by that."""
    if not given:
        return None
    path = path_of(given, "--embedqa-save-baseline")
    if path.suffix != ".json":
        raise pytest.UsageError(f"--embedqa-save-baseline: {given} must end with .json; its evidence goes beside it.")
    if len(models) > 1:
        raise pytest.UsageError(
            "--embedqa-save-baseline: a baseline holds the scores of one model. Give --embedqa-model once."
        )
    if path == baseline:
        raise pytest.UsageError(
            f"--embedqa-save-baseline: {given} is what this run compares with. Write to another file, and replace it once you accept the new model."
        )
    from pytest_embedqa.upgrade.baseline import is_baseline  # a run that saves none never needs it

    if path.exists() and not is_baseline(path):
        raise pytest.UsageError(
            f"--embedqa-save-baseline: {given} exists and is not a baseline, so it is not overwritten."
        )
    return path


def _html(given: str | None) -> Path | None:
    """Return the file of the HTML report, after checking that it can be made: after a long run it would be too late."""
    if given:
        missing = [name for name in ("jinja2", "vl_convert") if importlib.util.find_spec(name) is None]
        if missing:
            raise pytest.UsageError(str(MissingExtraError(missing[0], "report", "--embedqa-html")))
    return _new_file(given, "--embedqa-html", ".html")


def _path(given: str | None) -> Path | None:
    return path_of(given, "--embedqa-json") if given else None


def _json(given: str | None, others: Iterable[Spec | Path | None]) -> Path | None:
    """Return the file to write, after checking that nothing else is kept there: a baseline would be lost."""
    path = _new_file(given, "--embedqa-json", ".json")
    if not path:
        return None
    from pytest_embedqa.upgrade.baseline import is_baseline  # a run that writes none never needs it

    if path in others or is_baseline(path):
        raise pytest.UsageError(
            f"--embedqa-json: {given} is a baseline, or a file that another option names, so it is not overwritten. Choose another name."
        )
    return path


def _new_file(given: str | None, option: str, suffix: str) -> Path | None:
    """Return the file of a report, which must be writable and have the right suffix."""
    if not given:
        return None
    path = path_of(given, option)
    if path.suffix != suffix or path.is_dir():
        raise pytest.UsageError(
            f"{option}: {given} is not the name of a {suffix} file. Write, for instance, {option}=report{suffix}."
        )
    return _writable(path, given, option)


def _writable(path: Path, given: str, option: str) -> Path:
    """Require before the run, and not after it, that a file can be written."""
    there = path if path.exists() else next(folder for folder in path.parents if folder.exists())
    if not os.access(there, os.W_OK) or (there != path and not there.is_dir()):
        raise pytest.UsageError(
            f"{option}: {given} can't be written: {there} does not allow it. Choose another folder."
        )
    return path


def _retriever(given: str | None, allowed: Allowed) -> Override | None:
    if not given:
        return None
    from pytest_embedqa.rag.override import read_override  # a run without it never needs it

    try:
        return read_override(given, allowed)
    except EmbedQAError as error:
        raise pytest.UsageError(f"--embedqa-retriever: {error}") from None


def _share(config: pytest.Config, ini: str) -> float:
    """Return a number from 0 up to 1 from the ini file."""
    text = config.getini(ini)
    try:
        return share_of(text)
    except ValueError as error:
        raise pytest.UsageError(f"{ini} = {text} in the ini file: {error}.") from None


def _datasets(config: pytest.Config) -> Path | None:
    """Return the data folder of the command line, else of the environment (if not empty), else of the ini file."""
    for name, given in (
        ("--embedqa-datasets", config.option.embedqa_datasets),
        ("EMBEDQA_DATASETS in the environment", os.environ.get("EMBEDQA_DATASETS")),
        *(
            ("embedqa_datasets", str(_beside_ini(config, one, "embedqa_datasets")))
            for one in lines_of_ini(config, "embedqa_datasets")
        ),
    ):
        if given:
            path = _existing(given, name)
            if path and not path.is_dir():
                raise pytest.UsageError(f"{name}: {given} is a file. Name a folder, with the data in DIR/ORG/NAME.")
            return path
    return None


def _existing(given: str | None, option: str) -> Path | None:
    if not given:
        return None
    path = path_of(given, option)
    if not path.exists():
        raise pytest.UsageError(f"{option}: {given} does not exist. Name an existing folder or file.")
    return path


def _store(config: pytest.Config) -> Path | None:
    in_file = config.getini("embedqa_store")
    lines = [] if isinstance(in_file, bool) else lines_of_ini(config, "embedqa_store")
    given = config.option.embedqa_store or next(iter(lines), in_file)
    if given in {"off", False}:
        return None
    if config.option.embedqa_store or lines:
        option = "--embedqa-store" if config.option.embedqa_store else "embedqa_store"
        path = _beside_ini(config, given, option) if option == "embedqa_store" else path_of(given, option)
        if path.is_dir():
            raise pytest.UsageError(
                f"{option}: {given} is a folder. Name a file; for instance {option}={given}/vectors.sqlite."
            )
        _require_database(path, given, option)
        return _writable(path, given, option)
    from pytest_embedqa.encoders.store import default_path

    return default_path()


def _require_database(path: Path, given: str, option: str) -> None:
    """Refuse a file of another kind, which would be moved aside as a damaged store."""
    try:
        with path.open("rb") as file:
            beginning = file.read(len(_DATABASE))
    except OSError:  # it is not there, or what opens the store says why it can't be read
        return
    if beginning.strip(b"\0") and beginning != _DATABASE[: len(beginning)]:  # a crash may leave zeros alone
        raise pytest.UsageError(
            f"{option}: {given} is no vector store: it does not begin as an SQLite database does, and is left as it is. "
            "Name another file, or delete this one."
        )


def _beside_ini(config: pytest.Config, given: str, option: str) -> Path:
    folder = config.inipath.parent if config.inipath else config.rootpath
    return path_of(str(folder / given) if not given.startswith("~") else given, option)

"""Data of mteb's tasks, from the Hub, its cache, or a folder in its layout."""

from __future__ import annotations

import contextlib
import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from pytest_embedqa.core.errors import DataError, EmbedQAError, MissingDataError
from pytest_embedqa.encoders.cache import cache_folder
from pytest_embedqa.encoders.digest import files_below, folder_digest
from pytest_embedqa.encoders.hub import hub_is_reachable
from pytest_embedqa.quality.own_rows import Place, error_at, json_object, whole_text

# Prefix of the revision of a folder's content; the revision of the Hub's data is a commit.
LOCAL = "sha256:"
_LFS_POINTER = b"version https://git-lfs"


def locate(root: Path, hub_name: str, task: str = "TASK") -> Path:
    """Return the folder below ``root`` that stands for a Hub dataset.

    Raises:
        MissingDataError: If it is not there. Nothing is downloaded instead: with ``--embedqa-datasets``
            a run depends on that folder alone.
    """
    folder = root / hub_name
    if not folder.is_dir():
        raise MissingDataError(
            f"no data: {hub_name} is not in {root}. Fetch it with:  embedqa fetch {task} --to {root}"
        )
    return folder


def cache_of(digest: str) -> Path:
    """Return the folder for the rows of data with this digest: other content has another folder."""
    return cache_folder() / "datasets" / digest[:32]


@contextlib.contextmanager
def loading(hub_name: str, folder: Path | None) -> Iterator[None]:
    """Let mteb load a dataset inside this context, with fresh rows from a folder, or a quick failure without the Hub.

    Raises:
        MissingDataError: If the data can't be reached.
        DataError: If the data is there but can't be read.
    """
    if folder:
        _refuse_pointers(folder)
        _refuse_elsewhere(folder)
    try:
        with reading(revision_of(folder) if folder else ""):
            yield
    except EmbedQAError:
        raise
    except Exception as error:
        if folder:
            if "BuilderConfig" in str(error):
                raise MissingDataError(
                    f"no data: {folder} lacks a part that the task needs ({_first_line(error)})"
                ) from error
            if (folder / "state.json").is_file():
                raise DataError(
                    f"{folder} is a single split, written by save_to_disk() of `datasets`. Move it into a folder named after the split, e.g. {folder / 'test'}."
                ) from error
            _name_bad_line(folder)
            cause = error.__cause__ or error  # `datasets` itself says only that an error occurred
            raise DataError(
                f"{folder} can't be read as {hub_name}: {type(cause).__name__}: {_first_line(cause)}"
            ) from error
        if hub_is_reachable() and not isinstance(error, OSError):
            raise DataError(
                f"{hub_name} from the Hub can't be read: {type(error).__name__}: {_first_line(error)}"
            ) from error
        raise MissingDataError(
            f"no data: {hub_name} is not in the Hub's cache, and the Hub can't be reached or does not offer it to you. "
            "Fetch it where the Hub can be reached, with  embedqa fetch TASK --to DIR,  and give --embedqa-datasets=DIR here"
        ) from error


def revision_of(folder: Path) -> str:
    """Return a revision of exactly this content."""
    return LOCAL + folder_digest(folder, of_data=True)


def reading(revision: str) -> contextlib.AbstractContextManager[None]:
    """Read rows inside this context: a folder's present content, or the Hub's without minutes of retries.

    Args:
        revision: Revision of the data, as ``revision_of`` or the Hub names it.
    """
    return _rows_of_this_content(revision.removeprefix(LOCAL)) if revision.startswith(LOCAL) else _hub()


@contextlib.contextmanager
def _rows_of_this_content(digest: str) -> Iterator[None]:
    """Give `datasets` a cache of its own for the content with this digest.

    `datasets` was seen to serve old rows after the files of a local folder changed: its cache is
    not keyed by their content alone.
    """
    import datasets  # seconds to import

    before = datasets.config.HF_DATASETS_CACHE
    datasets.config.HF_DATASETS_CACHE = cache_of(digest)
    try:
        yield
    finally:
        datasets.config.HF_DATASETS_CACHE = before


@contextlib.contextmanager
def _hub() -> Iterator[None]:
    """Use the Hub's cache at once inside this context if the Hub can't be reached, instead of minutes of retries."""
    with contextlib.nullcontext() if hub_is_reachable() else offline():
        yield


@contextlib.contextmanager
def offline() -> Iterator[None]:
    """Use only the Hub's cache, or a folder, inside this context."""
    import datasets
    import huggingface_hub

    modules = (huggingface_hub.constants, datasets.config)
    before = [module.HF_HUB_OFFLINE for module in modules]
    for module in modules:
        module.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        for module, value in zip(modules, before, strict=True):
            module.HF_HUB_OFFLINE = value


def _refuse_pointers(folder: Path) -> None:
    """Raise DataError for the first file below ``folder`` that is a pointer, left by a clone without Git LFS."""
    for path in files_below(folder):
        with path.open("rb") as file:
            if file.read(len(_LFS_POINTER)) == _LFS_POINTER:
                raise DataError(
                    f"{path}:1: a pointer of Git LFS stands here, not the data. Run `git lfs pull` in {folder}, or remove it and fetch it with `embedqa fetch`."
                )


def _refuse_elsewhere(folder: Path) -> None:
    """Raise DataError if the card of a folder names data outside it: `datasets` reads any path and any URL."""
    import yaml  # comes with huggingface_hub
    from huggingface_hub.repocard import metadata_load  # seconds to import

    card, settings = folder / "README.md", folder / ".huggingface.yaml"
    try:
        said = [(card, metadata_load(card))] if card.is_file() else []
        said += [(settings, yaml.safe_load(settings.read_text(encoding="utf-8")))] if settings.is_file() else []
    except (OSError, ValueError, yaml.YAMLError) as error:
        problem = getattr(error, "problem", None) or _first_line(
            error
        )  # of YAML, whose first line only says where it was
        raise DataError(
            f"{folder}: its card, the YAML at the top of {card.name}, can't be read: {problem}. Fix it."
        ) from None
    for file, facts in said:
        for name in _places(facts.get("configs") if isinstance(facts, dict) else None):
            parts = PurePosixPath(name)
            if ":" in name or parts.is_absolute() or ".." in parts.parts or name.startswith("~"):
                raise DataError(
                    f"{file}: its configs name {name!r:.200}, which is not in {folder}: files outside this folder are not read. Put the data there, and name its path."
                )


def _places(configs: Any) -> Iterator[str]:  # YAML
    """Yield all texts below ``data_files`` and ``data_dir`` in a card's configs: paths, patterns, names of splits."""
    if isinstance(configs, str):
        yield configs
    elif isinstance(configs, list):
        for one in configs:
            wanted = ("data_files", "data_dir") if isinstance(one, dict) and "config_name" in one else None
            yield from _places([one[key] for key in wanted if key in one] if wanted else one)
    elif isinstance(configs, dict):
        for value in configs.values():
            yield from _places(value)


def _name_bad_line(folder: Path) -> None:
    """Raise DataError for the first file below ``folder`` without rows, that is no Parquet file, or with a line that is not UTF-8 or JSON."""
    for path in files_below(folder):
        if path.suffix.lower() == ".parquet":
            _check_parquet(path)
        packed = path.suffix.lower() == ".gz"
        kind = (path.with_suffix("") if packed else path).suffix.lower()
        if kind not in {".jsonl", ".csv", ".tsv"}:
            continue
        number = 0
        try:
            with gzip.open(path) if packed else path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    _check_line(line, (path, number), is_json=kind == ".jsonl")
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(f"{path} can't be unpacked: {error}. Pack it again.") from None
        if not number:
            raise DataError(f"{path} is empty. Give it at least one row.")


def _check_parquet(path: Path) -> None:
    from pyarrow import ArrowException, parquet  # comes with `datasets`

    try:
        rows = parquet.read_metadata(path).num_rows
    except (ArrowException, OSError):
        raise DataError(f"{path} is not a Parquet file, or is incomplete. Fetch it again.") from None
    if not rows:
        raise DataError(f"{path} has no rows. Give it at least one.")


def _check_line(line: bytes, place: Place, *, is_json: bool) -> None:
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise error_at(place, f"not UTF-8: {error.reason} at byte {error.start:,} of the line") from None
    if is_json and text.strip():
        for key, value in json_object(text, place).items():
            whole_text(json.dumps(value, ensure_ascii=False), key, place)


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0][:300]

"""Probe files that pytest would silently pass over: they are not named ``*.probe.yaml``, or can't be opened."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from pytest_embedqa.core.showing import shown
from pytest_embedqa.markers import PROBE_FILES

# Names that authors give to what they mean as a probe file; other projects have such files, too.
_NAME = re.compile(r"(?:^|[._-])probes?\.(?:ya?ml|json)$", re.IGNORECASE)
# Content of probe files and of no others: a list of probes, each with a question.
_CONTENT = (re.compile(r"(?:^|[{,\s])[\"']?probes[\"']?\s*:"), re.compile(r"(?:^|[{,\s])[\"']?ask[\"']?\s*:"))
_MOST_BYTES = 100_000


def misnamed(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Report a file that only its name keeps from being collected as a probe file.

    Returns:
        A collector that fails, if the file was named on the command line; ``None`` after a warning, and for other
        files.
    """
    if not (_NAME.search(path.name) and _holds_probes(path)):
        return None
    if parent.session.isinitpath(path):
        return _Misnamed.from_parent(parent, path=path)
    warnings.warn_explicit(pytest.PytestCollectionWarning(_problem(path)), None, shown(str(path)), 1)
    return None


def unopenable(folder: pytest.Directory) -> Iterator[pytest.Collector]:
    """Yield the probe files of a folder that can't be opened (dangling links, pipes, devices) and so fail."""
    for entry in sorted(os.scandir(folder.path), key=lambda entry: entry.name):
        if entry.name.lower().endswith(PROBE_FILES) and not _can_be_collected(entry):
            path = Path(entry.path)
            if not folder.ihook.pytest_ignore_collect(collection_path=path, config=folder.config):
                from pytest_embedqa.plugin.probe_files import ProbeModule  # numpy, where there are probes only

                yield ProbeModule.from_parent(folder, path=path)


def _can_be_collected(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file() or entry.is_dir()
    except OSError:  # links in a circle
        return False


def _holds_probes(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return False
    return all(one.search(text) for one in _CONTENT)


def _problem(path: Path) -> str:
    name = f"{_NAME.sub('', path.name) or 'faq'}.probe.yaml"
    json = " (JSON is YAML, too)" if path.suffix.lower() == ".json" else ""
    return shown(
        f"{path.name} holds probes and is not collected, as it is not called *.probe.yaml: rename it to {name}{json}."
    )


class _Misnamed(pytest.File):
    def collect(self) -> NoReturn:
        raise self.CollectError(_problem(self.path))

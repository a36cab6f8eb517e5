"""The origin of an exception: this plugin, or code of the user."""

from __future__ import annotations

import inspect
import sysconfig
import traceback
from pathlib import Path
from typing import TypeGuard

import pluggy
import pytest

_OURS = Path(__file__).parents[1]
_LIBRARIES = tuple({Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")})
_PYTEST = tuple(Path(inspect.getfile(one)).parent for one in (pytest.Item, pluggy.PluginManager))
# Exceptions that deliberately end a run or the collection of a file.
MEANT = (pytest.UsageError, pytest.Collector.CollectError)
# Set on an exception that a user's own pipeline raised, even if no frame of it lies in the user's code.
THEIRS = "embedqa_theirs"


def is_ours(error: BaseException | None) -> TypeGuard[Exception]:
    """Return whether an exception that ended a test comes from this plugin: nobody else's code lies between."""
    return isinstance(error, Exception) and not isinstance(error, MEANT) and not is_of_the_user(error)


def is_of_the_user(error: BaseException) -> bool:
    """Return whether an exception comes from the user's code, not from ours or from a library that we called."""
    if hasattr(error, THEIRS):
        return True
    files = [Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)]
    called = [place for place, file in enumerate(files, start=1) if _below(file, *_PYTEST)]
    files = files[called[-1] if called else 0 :]  # the frames before pytest's last call are wrapper hooks
    # <string> and <frozen …> belong to nobody.
    return not (files and _below(files[0], _OURS)) or not all(
        _below(file, _OURS, *_LIBRARIES) or not file.is_absolute() for file in files
    )


def _below(file: Path, *folders: Path) -> bool:
    return any(map(file.is_relative_to, folders))

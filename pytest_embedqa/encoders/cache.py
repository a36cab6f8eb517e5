"""The cache folder of this package, for files that can be made again."""

from __future__ import annotations

import atexit
import tempfile
from functools import cache
from pathlib import Path

from platformdirs import user_cache_path


def cache_folder() -> Path:
    """Return our folder in the user's cache; where it can't be written, a temporary folder of this process."""
    return _written(users_folder())


def users_folder() -> Path:
    """Return this package's folder in the user's cache, writable or not; without a home it is below ``~``."""
    try:
        return user_cache_path("pytest-embedqa")
    except RuntimeError:  # from platformdirs 4.14 on; older versions leave "~" in the path
        return Path("~", ".cache", "pytest-embedqa")


@cache
def _written(folder: Path) -> Path:
    try:
        require_home(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        temporary = tempfile.TemporaryDirectory(prefix="pytest-embedqa-", ignore_cleanup_errors=True)
        atexit.register(temporary.cleanup)
        return Path(temporary.name)


def require_home(path: Path) -> None:
    """Refuse a path below a home that does not exist.

    Raises:
        FileNotFoundError: If the user of this process has no home.
    """
    if path.parts[:1] == ("~",):
        raise FileNotFoundError("the user of this process has no home")

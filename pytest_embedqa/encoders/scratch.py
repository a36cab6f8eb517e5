"""Temporary folders of a run. The next run removes the folders of a killed run."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_PREFIX = "embedqa-scratch-"
_NAME = re.compile(rf"{_PREFIX}[a-z]+-[a-z0-9_]{{8}}")
# A new folder is unlocked for a moment.
_SECONDS_TO_LOCK = 60


@contextlib.contextmanager
def scratch_folder(purpose: str) -> Iterator[Path]:
    """Make a folder in the system's folder for temporary files, and remove it at the end of this context.

    The folder is locked as long as this process or a fork of it is alive; the next run takes an unlocked folder
    for a folder that was left behind.

    Args:
        purpose: Its purpose, in lower-case letters: a part of its name.
    """
    _remove_left_behind()
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{purpose}-", ignore_cleanup_errors=True) as folder:
        lock = _lock(folder)
        try:
            yield Path(folder)
        finally:
            if lock is not None:
                os.close(lock)


def _lock(folder: str | Path) -> int | None:
    """Lock a folder and return the lock's file descriptor; ``None`` if it is taken, or the system has no such locks."""
    with contextlib.suppress(ImportError, OSError):
        import fcntl  # not on Windows

        lock = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise
        return lock
    return None


@cache  # once a process
def _remove_left_behind() -> None:
    """Remove the folders of killed runs: named as ours, owned by this user, and locked by nobody."""
    with contextlib.suppress(OSError):
        for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError):
                facts = folder.lstat()
                if (
                    _NAME.fullmatch(folder.name)
                    and facts.st_uid == os.getuid()
                    and time.time() - facts.st_mtime > _SECONDS_TO_LOCK
                    and (lock := _lock(folder)) is not None
                ):
                    shutil.rmtree(folder, ignore_errors=True)  # it follows no link
                    os.close(lock)

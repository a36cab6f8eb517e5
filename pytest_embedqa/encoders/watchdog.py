"""Watchdog of a server: ends it when the process that started it is gone, also if that was killed.

Run as a script, ``watchdog.py PARENT GROUP FOLDER``, with the standard library alone. It looks for its parent once a
second: a pipe from the parent would stay open as long as any process forked from it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time

_SECONDS_TO_STOP = 5


def watch(parent: int, group: int, folder: str) -> None:
    """Wait until the parent is gone; then end a process group, politely first, and remove a folder."""
    while os.getppid() == parent:
        time.sleep(1)
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: PermissionError where only zombies are left
        os.killpg(group, signal.SIGTERM)
        end = time.monotonic() + _SECONDS_TO_STOP
        while time.monotonic() < end:
            os.killpg(group, 0)
            time.sleep(0.1)
        os.killpg(group, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    watch(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])

"""Runs the steps of CI in turn, ends at the first that fails, and says how long each took.

`SECONDS` are those of a quiet run on two cores, to tell while a run goes on how long it will take: the machines of a shared
CI differ by a factor of two and more.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

# Seconds after which a run is at its end in vain, less a reserve to see it and stop it.
TOO_LONG = 75 * 60
# Seconds between two looks at that.
LOOK = 20


class Step(NamedTuple):
    """A step: what it is, the command for a shell, and the seconds that it takes on a quiet machine."""

    name: str
    command: str
    seconds: float


def expected(steps: Sequence[Step], done: int, before: float, within: float) -> float:
    """Seconds that a whole run will take at the pace of what is behind it.

    Args:
        steps: All steps.
        done: How many of them are done.
        before: Seconds that these took.
        within: Seconds in the one that runs.
    """
    usual = sum(step.seconds for step in steps[:done])
    pace = before / usual if usual else 1.0
    rest = sum(step.seconds for step in steps[done + 1 :])
    return before + max(within, pace * steps[done].seconds) + pace * rest


def run(steps: Sequence[Step]) -> int:
    """Run them; the exit code is that of the first that failed, or 0."""
    began = time.monotonic()
    took: list[tuple[str, float]] = []
    code = 0
    for done, step in enumerate(steps):
        before = time.monotonic() - began
        print(f"\n=== {step.name} (after {before:.0f} s)", flush=True)
        over = threading.Event()
        watch = threading.Thread(target=_watch, args=(steps, done, before, over), daemon=True)
        watch.start()
        # The commands are those of .ci/run.
        code = subprocess.run(step.command, shell=True, stdin=subprocess.DEVNULL, check=False).returncode  # noqa: S602
        over.set()
        took.append((step.name, time.monotonic() - began - before))
        if code:
            break
    print("\n=== seconds by step")
    for name, seconds in [*took, ("all", time.monotonic() - began)]:
        print(f"{seconds:7.0f}  {name}")
    if code:
        print(f"\n=== FAILED: {took[-1][0]}, with exit code {code}")
    return code


def _watch(steps: Sequence[Step], done: int, before: float, over: threading.Event) -> None:
    """Say it once a step, as soon as the run is expected to take too long."""
    entered = time.monotonic()
    while not over.wait(LOOK):
        whole = expected(steps, done, before, time.monotonic() - entered)
        if whole > TOO_LONG:
            print(
                f"\n=== SLOW: at this pace the run takes {whole / 60:.0f} minutes, and is to take {TOO_LONG // 60} at most",
                flush=True,
            )
            return


def read(lines: Sequence[str]) -> list[Step]:
    """Steps of a table: name | seconds | command."""
    parts = [[part.strip() for part in line.split("|", 2)] for line in lines if line.strip()]
    return [Step(name, command, float(seconds)) for name, seconds, command in parts]


if __name__ == "__main__":
    sys.exit(run(read(sys.stdin.readlines())))

"""Runs the steps of CI in turn, ends at the first that fails, and says how long each took.

The seconds of a step are those of a quiet run on two cores, to tell while a run goes on how long it will take: the machines of
a shared CI differ by a factor of two.
"""

from __future__ import annotations

import os
import signal
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
# Seconds from which on the pace of a run tells more than chance: installing hangs on the network.
ENOUGH = 5 * 60


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
    pace = before / usual if before > ENOUGH else 1.0
    rest = sum(step.seconds for step in steps[done + 1 :])
    return before + max(within, pace * steps[done].seconds) + pace * rest


def run(steps: Sequence[Step]) -> int:
    """Run them; the exit code is that of the first that failed, or 0.

    A signal that ends the run ends the step, with all that it started, and the seconds so far are shown.
    """
    began = time.monotonic()
    took: list[tuple[str, float]] = []
    code = 0
    for done, step in enumerate(steps):
        before = time.monotonic() - began
        print(f"\n=== {step.name} (after {before:.0f} s)", flush=True)
        over = threading.Event()
        threading.Thread(target=_watch, args=(steps, done, before, over), daemon=True).start()
        code = _run(step.command)
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


def _run(command: str) -> int:
    """Exit code of a command in a session of its own, which is ended with this process."""
    shell = ["bash", "-o", "pipefail", "-c", command]
    process = subprocess.Popen(shell, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603  those of .ci/run

    def end(number: int, _frame: object) -> None:
        os.killpg(process.pid, signal.SIGTERM)
        ended.append(number)

    ended: list[int] = []
    former = {one: signal.signal(one, end) for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        code = process.wait()
    finally:
        for one, handler in former.items():
            signal.signal(one, handler)
    return 128 + ended[0] if ended else code % 256


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
    """Steps of a table: name | seconds | command.

    Raises:
        ValueError: If there is none, or a line has another form.
    """
    steps = []
    for line in filter(str.strip, lines):
        name, seconds, command = ([part.strip() for part in line.split("|", 2)] + ["", ""])[:3]
        if not (name and command and seconds.isdigit()):
            raise ValueError(f"name | seconds | command is the form of a step, and not {line!r}")
        steps.append(Step(name, command, float(seconds)))
    if not steps:
        raise ValueError("there is no step")
    return steps


if __name__ == "__main__":
    sys.exit(run(read(sys.stdin.readlines())))

"""Show where the time of the plugin's own tests goes: by folder, and for the slowest tests.

python benchmarks/test_time.py [--slowest 20] [--json FILE] [-- tests/plugin -m "not slow"]

Arguments behind `--` go to pytest, in one process; options of `make test` that start several would hide what their
workers do. Each second counts once, for the innermost of: importing, loading a model, starting a server, encoding,
another process, waiting; the rest is Python and numpy. The time within another process is not divided.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import platform
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

Seconds = dict[str, float]

KINDS = ("importing", "loading", "servers", "encoding", "processes", "waiting", "rest")


class Clock:
    """A clock that assigns each stretch of time to one test and one kind.

    Attributes:
        spent: Seconds by kind, by test; time outside of tests has an empty name.
        test: The running test.
    """

    def __init__(self) -> None:
        """Start the clock."""
        self.spent: dict[str, Seconds] = defaultdict(lambda: dict.fromkeys(KINDS, 0.0))
        self.test = ""
        self._kinds = ["rest"]
        self._since = time.perf_counter()
        self._thread = threading.get_ident()

    def note(self) -> None:
        """Assign the time since the last note."""
        now = time.perf_counter()
        self.spent[self.test][self._kinds[-1]] += now - self._since
        self._since = now

    def timed(self, function: Callable[..., Any], kind: str) -> Callable[..., Any]:
        """Return the function wrapped so that its time in this thread counts as that kind."""

        @functools.wraps(function)
        def wrapped(*given: Any, **named: Any) -> Any:  # whatever the function takes
            if threading.get_ident() != self._thread:
                return function(*given, **named)
            self.note()
            self._kinds.append(kind)
            try:
                return function(*given, **named)
            finally:
                self.note()
                self._kinds.pop()

        return wrapped


class Timing:
    """The hooks of the measured run."""

    def __init__(self, clock: Clock) -> None:
        """Keep the clock."""
        self._clock = clock
        self._watching = False

    def pytest_sessionstart(self) -> None:
        """Watch the package, now that pytest has imported it; runs within tests find it watched."""
        if not self._watching:
            watch_engines(self._clock)
        self._watching = True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Assign time to the outermost test: tests of a run within it count for it."""
        outer = self._clock.test
        self._clock.note()
        self._clock.test = outer or item.nodeid
        result = yield
        self._clock.note()
        self._clock.test = outer
        return result


def watch(clock: Clock) -> None:
    """Wrap the clock around everything that is told apart, wherever it happens."""
    # Private, but the only function that every import of a new module passes through.
    bootstrap: Any = importlib._bootstrap  # noqa: SLF001
    bootstrap._find_and_load = clock.timed(bootstrap._find_and_load, "importing")  # noqa: SLF001
    time.sleep = clock.timed(time.sleep, "waiting")
    for name in ("communicate", "wait"):
        setattr(subprocess.Popen, name, clock.timed(getattr(subprocess.Popen, name), "processes"))


def watch_engines(clock: Clock) -> None:
    """Wrap the clock around the work of engines."""
    from pytest_embedqa.encoders import servers

    setattr(servers.Server, "__init__", clock.timed(servers.Server.__init__, "servers"))  # noqa: B010  mypy knows a method
    for engine in entry_points(group="pytest_embedqa.engines"):
        for owner in engine.load().__mro__[:-1]:
            for name, kind in (("load", "loading"), ("embed", "encoding")):
                method = owner.__dict__.get(name)
                if isinstance(method, classmethod):
                    setattr(owner, name, classmethod(clock.timed(method.__func__, kind)))
                elif method:
                    setattr(owner, name, clock.timed(method, kind))


def table(rows: dict[str, Seconds], first: str) -> str:
    """Format rows of seconds as Markdown, the longest first."""
    lines = [f"| {first} | all | {' | '.join(KINDS)} |", "|---" * (len(KINDS) + 2) + "|"]
    for name, spent in sorted(rows.items(), key=lambda row: -sum(row[1].values())):
        lines.append(f"| {name} | {sum(spent.values()):.0f} | {' | '.join(f'{spent[kind]:.0f}' for kind in KINDS)} |")
    return "\n".join(lines)


def by_folder(tests: dict[str, Seconds]) -> dict[str, Seconds]:
    """Return the seconds by the folder of a test, and in total."""
    folders: dict[str, Seconds] = defaultdict(lambda: dict.fromkeys(KINDS, 0.0))
    for test, spent in tests.items():
        for name in ("/".join(test.split("/")[:2]) or "outside of tests", "all"):
            for kind, seconds in spent.items():
                folders[name][kind] += seconds
    return folders


def processor() -> str:
    """Return the name of the processor and its instruction set."""
    try:
        facts = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    name = facts.partition("model name")[2].partition("\n")[0].strip("\t :")
    flags = facts.partition("flags")[2].partition("\n")[0].split()
    return f"{name}, {facts.count('processor	')} cores, {', '.join(one for one in ('avx2', 'avx512f', 'avx512_bf16') if one in flags)}"


def main() -> int:
    """Run pytest and print the tables; return pytest's exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slowest", type=int, default=20, help="tests in the second table")
    parser.add_argument("--json", type=Path, help="file for the seconds of each test")
    parser.add_argument("pytest", nargs="*", help="arguments for pytest, behind --")
    given = parser.parse_args()
    clock = Clock()
    watch(clock)
    code = pytest.main(given.pytest, plugins=[Timing(clock)])
    clock.note()
    tests = {name: spent for name, spent in clock.spent.items() if name}
    slowest = sorted(tests, key=lambda name: -sum(tests[name].values()))[: given.slowest]
    print(f"\n{processor()}; {len(tests)} tests, seconds\n")
    print(table(by_folder(clock.spent), "folder"), table({name: tests[name] for name in slowest}, "test"), sep="\n\n")
    if given.json:
        given.json.write_text(json.dumps(clock.spent, indent=1), encoding="utf-8")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())

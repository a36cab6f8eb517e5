"""What the installed plugin adds to a pytest run that has nothing to do with it.

    python benchmarks/startup.py [--pairs 50]

Alternates `pytest -p empty` and `pytest -p embedqa` on a folder with one trivial test, each in a process of its own and without
other plugins, whose start would hide a few milliseconds. Both look for a plugin by its name, as pytest does for all that are
installed. Prints the medians of the paired differences, in CPU time and in wall time, with their quartiles.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from importlib.metadata import entry_points
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median, quantiles
from time import perf_counter

PLUGIN, EMPTY = ("-p", "embedqa"), ("-p", "empty")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=50, help="runs of each kind (default: 50)")
    pairs = parser.parse_args().pairs
    if pairs < 2:  # noqa: PLR2004  quartiles of one number do not exist
        parser.error("--pairs must be 2 or more")
    if not entry_points(group="pytest11", name="embedqa"):
        sys.exit("The plugin is not installed: pip install -e .")

    without: list[tuple[float, float]] = []
    plugin: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")  # no other configuration is looked for
        (folder / "test_trivial.py").write_text("def test_trivial():\n    assert True\n", encoding="utf-8")
        (folder / "empty.py").write_text("", encoding="utf-8")
        # Not counted: the first runs read files from disk and write bytecode.
        milliseconds(folder, *EMPTY)
        milliseconds(folder, *PLUGIN)
        for number in range(pairs):
            # Whoever is second in a pair finds the processor warm, so that they take turns.
            if number % 2:
                plugin.append(milliseconds(folder, *PLUGIN))
                without.append(milliseconds(folder, *EMPTY))
            else:
                without.append(milliseconds(folder, *EMPTY))
                plugin.append(milliseconds(folder, *PLUGIN))

    print(f"{pairs} pairs   without   with   added (quartiles), ms")
    for kind, base, mine in zip(("CPU", "wall"), zip(*without, strict=True), zip(*plugin, strict=True), strict=True):
        added = [one - other for one, other in zip(mine, base, strict=True)]
        low, _, high = quantiles(added, n=4, method="inclusive")
        print(
            f"{kind:<10} {median(base):>7.0f} {median(mine):>6.0f} {median(added):>+7.1f} ({low:+.1f} to {high:+.1f})"
        )


def milliseconds(folder: Path, *options: str) -> tuple[float, float]:
    """CPU time and wall time of one pytest run."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    command = [sys.executable, "-m", "pytest", *options]
    before, began = getrusage(RUSAGE_CHILDREN), perf_counter()
    subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)  # noqa: S603  our own
    after, ended = getrusage(RUSAGE_CHILDREN), perf_counter()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return 1000 * cpu, 1000 * (ended - began)


if __name__ == "__main__":
    main()

"""Measure what the installed plugin adds to a pytest run that does not use it.

    python benchmarks/startup.py [--pairs 150]

The script makes two virtual environments, with pytest alone and with the plugin as users install it, and runs a trivial
test in each in turn. The plugin's requirements are not installed: an unrelated run imports none of them. It prints the
CPU time of each part of a run and what the plugin adds to it: the median, and the difference of the two medians.
Python's own start and end and the import of pytest are left out: they vary by more than the plugin's share, and no
plugin is loaded in them. Needs the package registry.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import venv
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
PARTS = ("look at what is installed, load it", "configure", "collect", "run", "finish")
# Runs pytest, and notes the CPU time at the start and end of each part.
RUN = """
import json, sys, time
import pytest

class Clock:
    @pytest.hookimpl(trylast=True)
    def pytest_load_initial_conftests(self):
        note()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self):
        note()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self):
        note()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self):
        note()

times = []
note = lambda: times.append(time.process_time())
note()
code = pytest.main(["test_trivial.py"], plugins=[Clock()])
note()
with open("times.json", "w") as file:
    json.dump(times, file)
sys.exit(code)
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=150, help="runs of each kind (default: 150)")
    pairs = parser.parse_args().pairs
    if pairs < 1:
        parser.error("--pairs must be 1 or more")

    without: list[list[float]] = []
    plugin: list[list[float]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        alone, installed = folder / "alone", folder / "installed"
        install(alone)
        install(installed, "--no-deps", str(ROOT))
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")  # no other configuration is looked for
        (folder / "test_trivial.py").write_text("def test_trivial():\n    assert True\n", encoding="utf-8")
        (folder / "run.py").write_text(RUN, encoding="utf-8")
        # Not counted: the first runs read files from disk and write bytecode.
        milliseconds(alone)
        milliseconds(installed)
        for number in range(pairs):
            # The second of a pair finds the processor warm, so the two take turns.
            if number % 2:
                plugin.append(milliseconds(installed))
                without.append(milliseconds(alone))
            else:
                without.append(milliseconds(alone))
                plugin.append(milliseconds(installed))

    print(f"{f'{pairs} pairs, ms of CPU time':<36} without   added")
    base = [median(part) for part in zip(*without, strict=True)]
    added = [median(part) - other for part, other in zip(zip(*plugin, strict=True), base, strict=True)]
    for part, one, more in zip((*PARTS, "sum"), (*base, sum(base)), (*added, sum(added)), strict=True):
        print(f"{part:<36} {one:>7.1f} {more:>+7.1f}")


def install(environment: Path, *packages: str) -> None:
    """Make a virtual environment with this pytest, and install packages into it."""
    venv.create(environment, with_pip=True)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, f"pytest=={version('pytest')}"], check=True)  # noqa: S603  our own
    if packages:
        subprocess.run([*pip, *packages], check=True)  # noqa: S603


def milliseconds(environment: Path) -> list[float]:
    """Return the CPU time of each part of a pytest run, in milliseconds."""
    # Bytecode is kept, as on users' machines.
    left_out = ("PYTEST_", "PYTHONDONTWRITEBYTECODE")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    command = [str(environment / "bin" / "python"), "run.py"]
    subprocess.run(command, cwd=environment.parent, env=variables, stdout=subprocess.DEVNULL, check=True)  # noqa: S603
    times = json.loads((environment.parent / "times.json").read_text(encoding="utf-8"))
    return [1000 * (end - begin) for begin, end in pairwise(times)]


if __name__ == "__main__":
    main()

"""What the installed plugin adds to a pytest run that has nothing to do with it.

    python benchmarks/startup.py [--pairs 15]

Alternates `pytest -p no:embedqa` and `pytest` on a folder with one trivial test, each in a process of its own, and
prints the median of the paired differences with its quartiles.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from importlib.metadata import entry_points
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

WITHOUT = ("-p", "no:embedqa")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=15, help="runs of each kind (default: 15)")
    pairs = parser.parse_args().pairs
    if pairs < 2:  # noqa: PLR2004  quartiles of one number do not exist
        parser.error("--pairs must be 2 or more")
    if not entry_points(group="pytest11", name="embedqa"):
        sys.exit("The plugin is not installed: pip install -e .")

    without: list[float] = []
    plugin: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")  # no other configuration is looked for
        (folder / "test_trivial.py").write_text("def test_trivial():\n    assert True\n", encoding="utf-8")
        # Not counted: the first runs read files from disk and write bytecode.
        seconds(folder, *WITHOUT)
        seconds(folder)
        for number in range(pairs):
            # Whoever is second in a pair finds the processor warm, so that they take turns.
            if number % 2:
                plugin.append(seconds(folder))
                without.append(seconds(folder, *WITHOUT))
            else:
                without.append(seconds(folder, *WITHOUT))
                plugin.append(seconds(folder))

    differences = [1000 * (mine - base) for mine, base in zip(plugin, without, strict=True)]
    low, _, high = quantiles(differences, n=4, method="inclusive")
    ratio = median(mine / base for mine, base in zip(plugin, without, strict=True))
    print(f"pytest without the plugin  {1000 * median(without):>7.0f} ms")
    print(f"pytest with the plugin     {1000 * median(plugin):>7.0f} ms")
    print(f"difference in a pair       {median(differences):>+7.0f} ms (quartiles {low:+.0f} to {high:+.0f} ms)")
    print(f"ratio in a pair            {ratio:>7.2f}    ({pairs} pairs)")


def seconds(folder: Path, *options: str) -> float:
    """Wall time of one pytest run."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    began = perf_counter()
    subprocess.run(  # noqa: S603  our own command
        [sys.executable, "-m", "pytest", *options], cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True
    )
    return perf_counter() - began


if __name__ == "__main__":
    main()

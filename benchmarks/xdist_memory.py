"""Measure what pytest-xdist costs in memory: four workers with one encoder between them, and with an encoder each.

python benchmarks/xdist_memory.py [--model SPEC] [--workers 4]

Eight files with a test each encode texts. Every 0.2 seconds the memory of all processes of the run is summed; shared
memory counts once (PSS, so Linux only). The peaks are printed, with their ratio to the peak of a process without xdist.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FILES = 8
TEST = """
def test_it(encoder):
    assert encoder.encode([f"{{number}} of file {number}, " + "word " * 100 for number in range(64)]).shape[0] == 64
"""
HOW = {
    "one process": (),
    "workers, one encoder": ("-n{workers}",),
    "workers, two encoders": ("-n{workers}", "--embedqa-devices=2"),
    "workers, an encoder each": ("-n{workers}", "--dist=worksteal"),
}


def main() -> None:
    """Run each way, and print a row for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="builtin", help="spec of the encoder (default: builtin)")
    parser.add_argument("--workers", type=int, default=4)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        for number in range(FILES):
            (folder / f"test_{number}.py").write_text(TEST.format(number=number), encoding="utf-8")
        alone = 0.0
        for how, options in HOW.items():
            given = [option.format(workers=arguments.workers) for option in options]
            mebibytes = peak(folder, f"--embedqa-model={arguments.model}", "--embedqa-store=off", *given)
            alone = alone or mebibytes
            print(f"{how:<26}{mebibytes:>7.0f} MiB  {mebibytes / alone:>5.2f}", flush=True)


def peak(folder: Path, *options: str) -> float:
    """Return the largest sum of the memory of a run's processes, in MiB."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    with subprocess.Popen(  # noqa: S603  our own command
        command, cwd=folder, stdout=subprocess.DEVNULL, start_new_session=True
    ) as run:
        most = 0
        while run.poll() is None:
            most = max(most, sum(map(kibibytes, processes(run.pid))))
            time.sleep(0.2)
    if run.returncode:
        sys.exit(f"This failed: {' '.join(command)}")
    return most / 1024


def processes(session: int) -> list[Path]:
    """Return the processes of a session, as their folders in /proc."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            if os.getsid(int(folder.name)) == session:
                found.append(folder)
    return found


def kibibytes(process: Path) -> int:
    """Return the memory of a process in KiB, with its part of shared memory."""
    try:
        lines = (process / "smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0  # it has just ended
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    main()

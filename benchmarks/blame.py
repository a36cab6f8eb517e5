"""Measure how often the right stage is named for what a knowledge base lost: each stage is broken on purpose, one at a time.

python benchmarks/blame.py [--only TEXT] [--lines] [--held-out]

The set-ups and faults are those of tests/rag/stage_faults.py: a long document, questions across languages, and answers
among distractors, with a real model of 16 languages.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "tests" / "rag")]

from stage_faults import FAULTS, HELD_OUT, outcome  # noqa: E402  after the path


def main() -> int:
    """Print a row for each fault, and return 1 if fewer than all but one are named right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="part of the names of the faults to plant")
    parser.add_argument("--lines", action="store_true", help="print the line of each failure")
    parser.add_argument("--held-out", action="store_true", help="the faults for which no rule was made")
    arguments = parser.parse_args()
    right = planted = 0
    sys.stdout.write("| fault | stage | experiment | held | lost | named | right |\n|---|---|---|---|---|---|---|\n")
    for name, fault in (HELD_OUT if arguments.held_out else FAULTS).items():
        if arguments.only not in name:
            continue
        named_right = []
        for experiment in fault.of:
            found = outcome(fault, experiment)
            named = ", ".join(f"{stage} {count}" for stage, count in found.named.most_common())
            verdict = "yes" if found.most == fault.stage else "NO" if found.lost else "costs nothing"
            named_right += [verdict == "yes"] if found.lost else []
            row = (name, fault.stage, experiment, str(found.held), str(found.lost), named, verdict)
            sys.stdout.write(f"| {' | '.join(row)} |\n")
            if arguments.lines:
                sys.stdout.writelines(f"    {line}\n" for line in found.lines)
            sys.stdout.flush()
        planted += bool(named_right)
        right += bool(named_right) and all(named_right)
    sys.stdout.write(f"\n{right} of {planted} faults are named right in each experiment.\n")
    return int(right < planted - 1)


if __name__ == "__main__":
    sys.exit(main())

"""Show which invariants catch which fault of an engine: the table of docs/invariants.md.

python benchmarks/invariant_faults.py
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "engines")]


def main() -> None:
    """Check every invariant on every fault, and print a row for each."""
    from importlib import import_module

    from tqdm import tqdm

    from pytest_embedqa.core.errors import EmbedQAError
    from pytest_embedqa.encoders.load import load_encoder
    from pytest_embedqa.encoders.spec import parse_spec
    from pytest_embedqa.invariants.catalogue import catalogue
    from pytest_embedqa.invariants.invariant import NotApplicableError

    engine_faults = import_module("engine_faults")
    encoders = {spec: load_encoder(parse_spec(spec), None) for spec in engine_faults.BY_DESIGN}
    print("| fault | meant to be caught by | fails too |\n|---|---|---|")
    for name, fault in tqdm(engine_faults.FAULTS.items()):
        spoilt = fault.put_into(encoders[fault.model])
        failed = []
        for invariant in catalogue().values():
            with contextlib.suppress(NotApplicableError):
                try:
                    holds = invariant.judge(spoilt)[0].passed
                except EmbedQAError:
                    holds = False
                failed += [] if holds else [invariant.name]
        others = [one for one in failed if one not in {*fault.caught_by, *engine_faults.BY_DESIGN[fault.model]}]
        missed = [one for one in fault.caught_by if one not in failed]
        meant = ", ".join(f"`{one}`" + (" (MISSED)" if one in missed else "") for one in fault.caught_by)
        shown = ", ".join(f"`{one}`" for one in others) if len(others) < 10 else f"{len(others)} others"  # noqa: PLR2004
        tqdm.write(f"| {name} | {meant} | {shown} |", file=sys.stdout)


if __name__ == "__main__":
    main()

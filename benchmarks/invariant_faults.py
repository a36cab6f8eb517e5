"""Show which invariants catch which fault of an engine: the tables of docs/invariants.md.

python benchmarks/invariant_faults.py [dense|sparse|multi-vector|reranker]

All but dense need the models of ``make models``: EMBEDQA_MODELS=build/models.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "engines")]


def main() -> None:
    """Check every invariant of a kind on every fault, print a row for each, and count those that are caught."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", nargs="?", default="dense", choices=["dense", "sparse", "multi-vector", "reranker"])
    kind = parser.parse_args().kind
    from tqdm import tqdm

    dense, others = import_module("engine_faults"), import_module("kind_faults")
    faults = dense.FAULTS if kind == "dense" else others.FAULTS_BY_KIND[kind]
    by_design = dense.BY_DESIGN if kind == "dense" else others.BY_DESIGN
    models: dict[str, Any] = {}
    caught = 0
    print("| fault | meant to be caught by | fails too |\n|---|---|---|")
    for name, fault in tqdm(faults.items()):
        if fault.model not in models:
            models[fault.model] = _load(fault.model, kind)
        failed = _failing(fault.put_into(models[fault.model]))
        allowed = by_design[fault.model if kind == "dense" else fault.model.partition("?")[0]]
        rest = [one for one in failed if one not in {*fault.caught_by, *allowed}]
        missed = [one for one in fault.caught_by if one not in failed]
        caught += not missed
        meant = ", ".join(f"`{one}`" + (" (MISSED)" if one in missed else "") for one in fault.caught_by)
        shown = ", ".join(f"`{one}`" for one in rest) if len(rest) < 10 else f"{len(rest)} others"  # noqa: PLR2004
        tqdm.write(f"| {name} | {meant} | {shown} |", file=sys.stdout)
    print(f"\n{kind}: {caught} of {len(faults)} faults are caught by all invariants that are meant for them.")


def _load(model: str, kind: str) -> Any:
    """Load the model of a fault: a spec, or the name of a model that ``make models`` makes."""
    from pytest_embedqa.encoders.load import load_model
    from pytest_embedqa.encoders.spec import parse_spec

    folder = Path(os.environ.get("EMBEDQA_MODELS", ROOT / "build" / "models"))
    return load_model(parse_spec(model if kind == "dense" else f"st:{folder / model}"), None)


def _failing(model: Any) -> list[str]:
    """Return the names of the invariants that do not hold for a model."""
    from pytest_embedqa.core.errors import EmbedQAError
    from pytest_embedqa.invariants.catalogue import catalogue
    from pytest_embedqa.invariants.invariant import NotApplicableError

    failed = []
    for invariant in catalogue().values():
        with contextlib.suppress(NotApplicableError):
            try:
                holds = invariant.judge(model)[0].passed
            except EmbedQAError:
                holds = False
            failed += [] if holds else [invariant.name]
    return failed


if __name__ == "__main__":
    main()

"""Make the snapshot of published scores that the package ships.

    python tools/snapshot_published.py SCORES.json pytest_embedqa/quality/published_scores.json.gz

SCORES.json has the form {"source", "commit", "models": {MODEL: {TASK: [result, ...]}}}, each result as a file of
the public results repository has it. Main scores only: bounds relative to the leaderboard need no more.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def main(source: Path, target: Path) -> None:
    """Reduce the results to main scores by split and subset."""
    raw = json.loads(source.read_text(encoding="utf-8"))
    models = {
        model: {task: distinct(map(reduce, results)) for task, results in sorted(tasks.items())}
        for model, tasks in sorted(raw["models"].items())
    }
    packed = json.dumps({"source": raw["source"], "commit": raw["commit"], "models": models}, separators=(",", ":"))
    # mtime=0: the same input gives the same bytes.
    target.write_bytes(gzip.compress(packed.encode(), mtime=0))


def reduce(result: dict[str, Any]) -> dict[str, Any]:
    """Return the main scores by split and subset, and the revisions of model and data."""
    scores = {
        split: {part["hf_subset"]: part["main_score"] for part in parts} for split, parts in result["scores"].items()
    }
    return {"model_revision": result["model_revision"], "data_revision": result["dataset_revision"], "scores": scores}


def distinct(results: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return each result once; the choice among revisions is made where a score is looked up."""
    found: list[dict[str, Any]] = []
    for result in results:
        if result not in found:
            found.append(result)
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

"""Published scores: a snapshot of mteb's public results repository, or a checkout of it."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from pytest_embedqa.core.errors import PublishedScoreError
from pytest_embedqa.encoders.spec import nearest

# Worse than its published score by this much is a wrong set-up rather than noise.
OFF_THE_LEADERBOARD = 0.03
# {split: {subset: main score}}
Parts = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Published:
    """What was published for one model and task.

    Attributes:
        parts: Main score by split and subset.
        data_revision: Revision of the data it was measured on.
    """

    parts: Parts
    data_revision: str

    def score(self, evaluated: Mapping[str, Mapping[str, Any]]) -> float:
        """Mean over exactly the splits and subsets that were evaluated, as mteb aggregates.

        Raises:
            PublishedScoreError: If one of them was not published.
        """
        wanted = [(split, subset) for split, subsets in evaluated.items() for subset in subsets]
        missing = [f"{split}/{subset}" for split, subset in wanted if subset not in self.parts.get(split, {})]
        if missing:
            raise PublishedScoreError(
                f"the published result lacks {', '.join(missing[:5])}; choose subsets= that it has"
            )
        return sum(self.parts[split][subset] for split, subset in wanted) / len(wanted)


class PublishedScores:
    """Look-up of published scores by model and task."""

    def __init__(self, source: Path | None = None) -> None:
        """Use the snapshot in this package, another file like it, or a checkout of the results repository."""
        self._source = source

    def find(self, model: str, task: str) -> Published:
        """The published result of a model on a task.

        Raises:
            PublishedScoreError: If there is none; the message says what to do instead.
        """
        if self._source and self._source.is_dir():
            entry = _from_checkout(self._source, model, task)
        else:
            models = _snapshot(self._source)
            if model not in models:
                raise PublishedScoreError(
                    f"no published scores are known for the model '{model}'.{nearest(model, models)} "
                    "Name the published model with name= in the spec, give a checkout of the results repository "
                    "with --embedqa-published, or use an absolute bound (min_<metric>=)"
                )
            entry = models[model].get(task)
        if entry is None:
            raise PublishedScoreError(
                f"no published score of '{model}' on {task} is known; use an absolute bound (min_<metric>=)"
            )
        return Published(entry["scores"], entry["data_revision"])


@cache
def _snapshot(path: Path | None) -> dict[str, dict[str, Any]]:
    try:
        packed = (
            path.read_bytes()
            if path
            else files("pytest_embedqa.quality").joinpath("published_scores.json.gz").read_bytes()
        )
        models: dict[str, dict[str, Any]] = json.loads(
            gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed
        )["models"]
    except (OSError, ValueError, KeyError, TypeError, EOFError, zlib.error) as error:
        raise PublishedScoreError(
            f"{path} can't be read as published scores ({type(error).__name__}: {error}). Name another with --embedqa-published"
        ) from error
    return models


def _from_checkout(root: Path, model: str, task: str) -> dict[str, Any] | None:
    """One result file ``results/ORG__MODEL/REVISION/TASK.json``; of several revisions one that is a commit goes first."""
    found = sorted(
        root.glob(f"**/{model.replace('/', '__')}/*/{task}.json"),
        key=lambda path: (path.parent.name not in {"no_revision_available", "external"}, path.parent.name),
    )
    if not found:
        return None
    try:
        result = json.loads(found[-1].read_text(encoding="utf-8"))
        scores = {
            split: {part["hf_subset"]: part["main_score"] for part in parts}
            for split, parts in result["scores"].items()
        }
        return {"scores": scores, "data_revision": result["dataset_revision"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PublishedScoreError(
            f"{found[-1]} can't be read ({type(error).__name__}: {error}). Restore it in the checkout, or update the checkout"
        ) from error

"""Published scores, from a snapshot of mteb's public results repository or from a checkout of it."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from pytest_embedqa.core.errors import PublishedScoreError
from pytest_embedqa.encoders.spec import nearest

# A score below the published score by this much means a wrong set-up rather than noise.
OFF_THE_LEADERBOARD = 0.03
# {split: {subset: main score}}, as published: NaN or null where a run failed.
Parts = Mapping[str, Mapping[str, Any]]
# Placeholders for a commit, where nobody knows which revision of the model was measured.
_NO_COMMIT = frozenset({"external", "no_revision_available", ""})


@dataclass(frozen=True)
class Published:
    """The published result of a model on a task.

    Attributes:
        parts: Main score by split and subset.
        data_revision: Revision of the measured data.
        model_revision: Revision of the measured model; empty if unknown.
    """

    parts: Parts
    data_revision: str
    model_revision: str = ""

    @property
    def names_a_commit(self) -> bool:
        """Whether the measured revision of the model is known."""
        return self.model_revision not in _NO_COMMIT

    def score(self, evaluated: Mapping[str, Mapping[str, Any]]) -> float:
        """Return the mean over exactly the evaluated splits and subsets, aggregated as in mteb.

        Raises:
            PublishedScoreError: If a part was not published, or its value is no score.
        """
        wanted = [(split, subset) for split, subsets in evaluated.items() for subset in subsets]
        missing = [f"{split}/{subset}" for split, subset in wanted if subset not in self.parts.get(split, {})]
        if missing:
            raise PublishedScoreError(
                f"the published result lacks {', '.join(missing[:5])}; choose subsets= that it has"
            )
        values: list[float] = []
        for split, subset in wanted:
            value = self.parts[split][subset]
            if isinstance(value, bool) or not isinstance(value, int | float) or not -1 <= value <= 1:
                raise PublishedScoreError(
                    f"the published result has {json.dumps(value)} for {split}/{subset}, which is not a score; "
                    "choose splits= and subsets= that have one, or use an absolute bound (min_<metric>=)"
                )
            values.append(value)
        return sum(values) / len(values)


class PublishedScores:
    """Published scores, looked up by model and task."""

    def __init__(self, source: Path | None = None) -> None:
        """Use the snapshot in this package, another file like it, or a checkout of the results repository."""
        self._source = source

    def find(self, model: str, task: str, revision: str | None = None) -> Published:
        """Return the published result of a model on a task.

        Args:
            model: Public name of the model.
            task: Name of the task.
            revision: Revision of the evaluated model, if it is known. Its result is returned if there is one; else the
                result of the revision in mteb's own entry of the model.

        Raises:
            PublishedScoreError: If there is no result, or several differ and nothing decides; the text says what to do.
        """
        if self._source and self._source.is_dir():
            results = _from_checkout(self._source, model, task)
        else:
            models = _snapshot(self._source)
            if model not in models:
                raise PublishedScoreError(
                    f"no published scores are known for the model '{model}'.{nearest(model, models)} "
                    "Name the published model with name= in the spec, give a checkout of the results repository "
                    "with --embedqa-published, or use an absolute bound (min_<metric>=)"
                )
            results = models[model].get(task, [])
        if not results:
            raise PublishedScoreError(
                f"no published score of '{model}' on {task} is known; use an absolute bound (min_<metric>=)"
            )
        return _of_revision(model, task, results, revision)


def _of_revision(model: str, task: str, results: Sequence[Published], revision: str | None) -> Published:
    """Return the result of the evaluated revision, else of the revision in mteb's entry, else the only result."""
    found = [one for one in results if revision and one.model_revision.startswith(revision)] or results
    if _differ(found):
        from pytest_embedqa.quality.mteb.registry import registered_revision  # imports mteb: seconds

        registered = registered_revision(model)
        commits = [one for one in found if one.names_a_commit]
        found = [one for one in found if one.model_revision == registered] or commits or found
    if _differ(found):
        raise PublishedScoreError(
            f"the published results of '{model}' on {task} differ between the revisions "
            f"{', '.join(one.model_revision[:12] for one in found[:5])}; "
            "name the revision in the spec (st:ORG/NAME@REVISION), or use an absolute bound (min_<metric>=)"
        )
    return found[0]


def _differ(results: Sequence[Published]) -> bool:
    return any(one.parts != results[0].parts for one in results)


@cache
def _snapshot(path: Path | None) -> dict[str, dict[str, list[Published]]]:
    try:
        packed = (
            path.read_bytes()
            if path
            else files("pytest_embedqa.quality").joinpath("published_scores.json.gz").read_bytes()
        )
        models = json.loads(gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed)["models"]
        return {
            model: {
                task: [Published(one["scores"], one["data_revision"], one["model_revision"]) for one in results]
                for task, results in tasks.items()
            }
            for model, tasks in models.items()
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError, EOFError, zlib.error) as error:
        raise PublishedScoreError(
            f"{path} can't be read as published scores ({type(error).__name__}: {error}). Name another with --embedqa-published"
        ) from error


def _from_checkout(root: Path, model: str, task: str) -> list[Published]:
    """Read the result files ``results/ORG__MODEL/REVISION/TASK.json``, a file for each revision."""
    return [_result(path) for path in sorted(root.glob(f"**/{model.replace('/', '__')}/*/{task}.json"))]


def _result(path: Path) -> Published:
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        scores = {
            split: {part["hf_subset"]: part["main_score"] for part in parts}
            for split, parts in result["scores"].items()
        }
        return Published(scores, str(result["dataset_revision"]), path.parent.name)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise PublishedScoreError(
            f"{path} can't be read ({type(error).__name__}: {error}). Restore it in the checkout, or update the checkout"
        ) from error

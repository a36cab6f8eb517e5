"""Saving a baseline at the end of a run; under pytest-xdist the workers hand theirs to the controller."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_embedqa.core.errors import BaselineError
from pytest_embedqa.encoders.names import names_of_two
from pytest_embedqa.markers import MARKERS, RAG, TASK
from pytest_embedqa.plugin.recorder import RECORDER, WRITTEN
from pytest_embedqa.plugin.state import SESSION, settings_of
from pytest_embedqa.rag.probe import PASS_RATE
from pytest_embedqa.upgrade.baseline import Baseline, read_baseline, two_encoders, write_baseline
from pytest_embedqa.upgrade.fingerprint import computes_the_same

if TYPE_CHECKING:
    from pytest_embedqa.reports.run import Run

_TAKEN: pytest.StashKey[Baseline] = pytest.StashKey()
# The error that says why the workers' results make no baseline.
_TWO: pytest.StashKey[BaselineError] = pytest.StashKey()
_OUTPUT = "embedqa_baseline"


def take(config: pytest.Config, output: Mapping[str, Any]) -> None:
    """Add the results of a worker."""
    if _OUTPUT in output:
        theirs = Baseline.from_dict(json.loads(output[_OUTPUT]))
        ours = config.stash.get(_TAKEN, theirs)
        # Functions of the same name in two folders differ by their vectors alone.
        if _facts(ours) != _facts(theirs) or not computes_the_same(ours.fingerprint, theirs.fingerprint):
            config.stash[_TWO] = two_encoders(*names_of_two(ours.encoder, theirs.encoder))
        config.stash[_TAKEN] = ours.updated(*theirs.evaluations)


def _facts(baseline: Baseline) -> dict[str, Any]:
    """Return the facts that identify an encoder, without those that differ between processes."""
    return {name: fact for name, fact in baseline.encoder.items() if name not in {"digest", "options"}}


def finish(config: pytest.Config) -> bool:
    """Write the baseline of this run; in a worker, hand it to the controller.

    Returns:
        Whether that succeeded.
    """
    session = config.stash.get(SESSION, None)
    baseline = (session.baseline if session else None) or config.stash.get(_TAKEN, None)
    if hasattr(config, "workeroutput"):
        if baseline:
            config.workeroutput[_OUTPUT] = json.dumps(baseline.as_dict())
        return True
    path = settings_of(config).save_baseline
    assert path is not None  # noqa: S101  the hook asked
    if baseline is None:
        config.stash[WRITTEN] = [
            f"no baseline was saved: {_why_none(config.stash[RECORDER].run())}; {path} is as it was"
        ]
        return False
    interrupted = config.stash[RECORDER].run().interrupted is not None
    try:
        if _TWO in config.stash:
            raise config.stash[_TWO]
        config.stash[WRITTEN] = _save(baseline, path, interrupted=interrupted)
    except BaselineError as error:
        config.stash[WRITTEN] = [f"no baseline was saved: {error}"]
        if interrupted and _TWO not in config.stash:
            config.stash[WRITTEN] += _keep_beside(baseline, path)
        return False
    return True


def _save(baseline: Baseline, path: Path, *, interrupted: bool) -> list[str]:
    """Write a baseline, merged with the file's earlier content.

    Returns:
        Lines for the summary.

    Raises:
        BaselineError: If writing would lose a task, or the file can't be written.
    """
    lines: list[str] = []
    if path.exists():
        baseline, lines = _with_older(baseline, path, interrupted=interrupted)
    write_baseline(path, baseline)
    tasks = ", ".join(str(one.subject) for one in baseline.evaluations)
    partial = "; the run was interrupted, and what it did not come to is not in it" if interrupted else ""
    return [f"saved the baseline {path}: {len(baseline.evaluations)} tasks ({tasks}){partial}", *lines]


def _keep_beside(baseline: Baseline, path: Path) -> list[str]:
    """Keep the results of an interrupted run beside the named file, if they can't go into it."""
    beside = path.with_name(f"{path.stem}.interrupted{path.suffix}")
    try:
        return _save(baseline, beside, interrupted=True)
    except BaselineError as error:
        return [str(error)]


def _why_none(run: Run) -> str:
    """Say why the run measured nothing that a baseline keeps."""
    tasks = [test for test in run.tests if test.capability == MARKERS[TASK].label]
    probes = [test for test in run.tests if test.capability == MARKERS[RAG].label]
    whole = [test for test in probes if test.id.partition("::")[2].partition("[")[0] == PASS_RATE]
    reasons = ["no task was evaluated with the model under test"] if tasks else []
    if probes and not whole:
        reasons.append(
            f"of probes it keeps the {PASS_RATE} of their file, a test that this run left out: run the whole file"
        )
    elif whole and not any(test.facts.get("encoder") for test in whole):
        reasons.append(f"no {PASS_RATE} was measured with an encoder: a retriever that has none is in no baseline")
    elif whole:
        reasons.append(f"no {PASS_RATE} was measured with the model under test")
    return "; ".join(reasons) or "no test of a task or of a probe file ran"


def _with_older(baseline: Baseline, path: Path, *, interrupted: bool) -> tuple[Baseline, list[str]]:
    """Add this run's tasks to an older baseline of the same encoder; replace a baseline of another encoder.

    Raises:
        BaselineError: If that would lose a task.
    """
    try:
        older = read_baseline(path)
    except BaselineError as error:
        if interrupted:  # the file's content is unknown, and this run has not measured all that was selected
            raise
        return baseline, [f"what was there before could not be read: {str(error).splitlines()[0]}"]
    if older.encoder["digest"] == baseline.encoder["digest"]:
        known = {one.subject: one.data_revision for one in older.evaluations}
        other = [
            str(one.subject)
            for one in baseline.evaluations
            if known.get(one.subject, one.data_revision) != one.data_revision
        ]
        lines = [f"overwritten, as the data has changed: {', '.join(other)}"] if other else []
        return older.updated(*baseline.evaluations), lines
    here = {one.subject for one in baseline.evaluations}
    if lost := [str(one.subject) for one in older.evaluations if one.subject not in here]:
        first, second = names_of_two(older.encoder, baseline.encoder)
        unclear = " Nothing tells whether both are the same: version= in the spec would." if first == second else ""
        raise BaselineError(
            f"{path} is a baseline of '{first}' and has tasks that this run of '{second}' did not evaluate: "
            f"{', '.join(lost)}. Run them too, save to another file, or delete this one.{unclear}"
        )
    return baseline, [f"it was a baseline of '{older.encoder['spec']}' before"]

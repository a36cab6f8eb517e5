"""Baselines: the scores of an encoder, kept in two files to compare later runs with.

``prod.json`` is for people: encoder, scores, data revisions, library versions, a fact in each line, so that a diff
shows each change. ``prod.evidence.json.gz`` beside it holds the data to compare: values of queries, rankings, texts.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from pytest_embedqa.core.errors import BaselineError
from pytest_embedqa.core.evaluation import Evaluation, Subject
from pytest_embedqa.core.evidence import STATISTICS
from pytest_embedqa.core.secrets import is_public
from pytest_embedqa.core.showing import inert
from pytest_embedqa.encoders.engine import Vectors
from pytest_embedqa.upgrade import stored
from pytest_embedqa.upgrade.evaluation_facts import evidence_facts, read_evaluation, readable_facts

FORMAT, VERSION = "pytest-embedqa baseline", 1
# A path that is no text is written with JSON's own escapes.
_ESCAPED = "backslashreplace"
# A score and the evidence behind it differ only by rounding: mteb keeps five digits of some scores.
_SAME = 1e-5


@dataclass(frozen=True)
class Baseline:
    """The scores of an encoder, with the facts to compare them.

    Attributes:
        encoder: Spec of the encoder (``spec``), digest of its identity (``digest``), and the facts of the identity.
        fingerprint: The encoder's vectors of a few fixed texts, shape (n, dim).
        evaluations: Scores of the encoder, with their evidence.
        path: File that the baseline was read from.
    """

    encoder: Mapping[str, Any]
    fingerprint: Vectors
    evaluations: tuple[Evaluation, ...]
    path: Path | None = None

    def find(self, subject: Subject) -> Evaluation:
        """Return the evaluation of exactly this subject.

        Raises:
            BaselineError: If the baseline lacks it; the text says what it has, and how to add the missing score.
        """
        known = {evaluation.subject: evaluation for evaluation in self.evaluations}
        if subject in known:
            return known[subject]
        same_task = [str(one) for one in known if one.task == subject.task]
        tasks = list(dict.fromkeys(one.task for one in known))
        moved = [one for one in tasks if _file_name(one) == _file_name(subject.task)]
        near = same_task or moved or get_close_matches(subject.task, tasks, n=1)
        what = (
            "has the task with other settings: " if same_task else "has " if near else f"has {len(tasks)} other tasks"
        )
        why = " (own files are known by their path below pytest's rootdir)" if moved and not same_task else ""
        raise BaselineError(
            f"the baseline {self.path} has no score for {subject}; it {what}{', '.join(near)}{why}. {self.how_to_add()}"
        )

    def how_to_add(self) -> str:
        """Return the command that mends a baseline, as a sentence."""
        if self.encoder.get("engine") == "retriever":
            return f"Add what is missing with a run of the retriever's tests alone:  pytest ... --embedqa-save-baseline={self.path}"
        spec, given, whose = self.encoder["spec"], f"'{self.encoder['spec']}'", ""
        if is_public(spec):
            given, whose = "WHOLE_SPEC", f" (its spec is {given} with the secrets or the command that no file shows)"
        return f"Add what is missing with the old model{whose}:  pytest ... --embedqa-model={given} --embedqa-save-baseline={self.path}"

    def updated(self, *newer: Evaluation) -> Baseline:
        """Return the baseline with these scores, which replace its own scores of the same subjects."""
        by_subject = {evaluation.subject: evaluation for evaluation in (*self.evaluations, *newer)}
        return replace(self, evaluations=tuple(by_subject.values()))

    def as_dict(self) -> dict[str, Any]:
        """Return the whole baseline, JSON-serialisable, as it travels between processes."""
        return {
            "encoder": dict(self.encoder),
            "tasks": [readable_facts(evaluation) for evaluation in self.evaluations],
            "evidence": {
                "fingerprint": np.asarray(self.fingerprint, dtype=np.float64).tolist(),
                "tasks": [evidence_facts(evaluation) for evaluation in self.evaluations],
            },
        }

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any], path: Path | None = None) -> Baseline:
        """Rebuild a baseline from the dictionary that ``as_dict`` returned."""
        kept = facts["evidence"]
        if len(facts["tasks"]) != len(kept["tasks"]):
            raise ValueError(f"its evidence has {len(kept['tasks'])} tasks, but the baseline has {len(facts['tasks'])}")
        stored.require_rectangle(kept["fingerprint"])
        return cls(
            facts["encoder"],
            np.array(kept["fingerprint"], dtype=np.float32),
            tuple(read_evaluation(*both) for both in zip(facts["tasks"], kept["tasks"], strict=True)),
            path,
        )


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Write both files whole, or neither. ``read_baseline`` refuses what a process killed between two renames leaves.

    Raises:
        BaselineError: If the files can't be written, or a score is not a valid number.
    """
    for problem in _contradictions(baseline):
        raise BaselineError(problem)
    ordered = sorted(baseline.evaluations, key=lambda evaluation: str(evaluation.subject))
    facts = replace(baseline, evaluations=tuple(ordered)).as_dict()
    beside = evidence_file(path)
    try:
        # Nothing is written that could not be read again.
        stored.require_form(stored.parsed(evidence := _compact(facts.pop("evidence"))), stored.EVIDENCE)
        packed = gzip.compress(evidence, mtime=0)
        named = {"file": beside.name, "sha256": hashlib.sha256(packed).hexdigest()}
        readable = {"format": FORMAT, "version": VERSION, **facts, "evidence": named}
        stored.require_form(stored.parsed(_compact(readable)), stored.READABLE)
        readable["checksum"] = _checksum(readable)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = (inert(json.dumps(readable, indent=2, ensure_ascii=False)) + "\n").encode(errors=_ESCAPED)
        drafts = {target: target.with_name(f"{target.name}.draft") for target in (beside, path)}
        for draft, content in zip(drafts.values(), (packed, text), strict=True):
            draft.write_bytes(content)
        for target, draft in drafts.items():  # only now: a full disk leaves the older baseline whole
            draft.replace(target)
    except (OSError, ValueError) as error:
        raise BaselineError(f"the baseline {path} can't be written: {error}.") from None


def two_encoders(first: str, second: str) -> BaselineError:
    """Return the error that two encoders of a run are no baseline."""
    return BaselineError(
        f"--embedqa-save-baseline: a baseline holds the scores of one encoder or retriever, but this run tested '{first}' first and "
        f"'{second}' now. Save a baseline for each, in a run of its own."
    )


def require_one_reranker(baseline: Baseline, newer: Evaluation) -> None:
    """Refuse a second score of the same candidates: a baseline keeps one of each task.

    Raises:
        BaselineError: If the baseline has a score of other stages.
    """
    for one in baseline.evaluations:
        if one.subject == newer.subject and one.stages != newer.stages:
            raise BaselineError(
                f"--embedqa-save-baseline: two tests rerank the candidates of {newer.subject} with different rerankers, and a baseline keeps "
                "one. Save a baseline for each, in a run of its own."
            )


def read_baseline(path: Path) -> Baseline:
    """Read a baseline, and check that it is as it was written.

    Raises:
        BaselineError: If it is missing, cut short, changed, of another format, or has content that no run writes.
    """
    where = ""
    try:
        facts = _read_facts(path)
        beside = stored.beside(path, facts["evidence"]["file"])
        packed, where = beside.read_bytes(), f"{beside.name}: "
        evidence = stored.parsed(stored.unpacked(packed, facts["evidence"]["sha256"]))
        stored.require_form(evidence, stored.EVIDENCE)
        baseline = Baseline.from_dict({**facts, "evidence": evidence}, path)
    except OSError as error:
        raise _unusable(path, f"it can't be read ({error.strerror})") from None
    except ValueError as error:
        raise _unusable(path, f"{where}{error}") from None
    with np.errstate(all="ignore"):  # an overflow is no score, and is reported as such
        for problem in _contradictions(baseline):
            raise _unusable(path, problem)
    return baseline


def is_baseline(path: Path) -> bool:
    """Return whether a file is a baseline, of whatever version and state, which may be overwritten."""
    try:
        return bool(json.loads(path.read_text(encoding="utf-8")).get("format") == FORMAT)
    except (OSError, ValueError, AttributeError):
        return False


def evidence_file(path: Path) -> Path:
    """Return the path of a baseline's evidence."""
    return path.with_name(f"{path.stem}.evidence.json.gz")


def _file_name(task: str) -> str:
    return task.rpartition("/")[2]


def _read_facts(path: Path) -> dict[str, Any]:
    if path.exists() and not path.is_file():
        raise ValueError("it is not a file")
    facts = stored.parsed(path.read_bytes())
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        holds = f"its keys are {', '.join(list(facts)[:5])}" if isinstance(facts, dict) else "it holds no object"
        raise ValueError(f"it is not a baseline of pytest-embedqa ({holds})")
    if facts.get("version") != VERSION:
        raise ValueError(f"it has format {facts.get('version')!r:.20}, and this version reads format {VERSION}")
    if facts.pop("checksum", None) != _checksum(facts):
        raise ValueError("it was changed after it was written (its checksum does not fit)")
    stored.require_form(facts, stored.READABLE)
    return facts


def _contradictions(baseline: Baseline) -> Iterator[str]:
    """Yield the facts that can't be true of a sound baseline."""
    if len({evaluation.subject for evaluation in baseline.evaluations}) < len(baseline.evaluations):
        yield "it has a task twice"
    for evaluation in baseline.evaluations:
        if not math.isfinite(evaluation.score):
            yield f"its score for {evaluation.subject} is {evaluation.score}"
        evidence = evaluation.evidence
        if evidence and evidence.statistic not in STATISTICS:
            yield f"it knows a statistic '{evidence.statistic}' that this version does not"
        elif evidence and not abs(evidence.value - evaluation.score) < _SAME:
            yield f"its score for {evaluation.subject} is {evaluation.score:.6f}, but its evidence gives {evidence.value:.6f}"


def _unusable(path: Path, problem: str) -> BaselineError:
    return BaselineError(
        f"the baseline {path} can't be used: {problem}.\n"
        f"Fetch it from version control, or make a new one with the old model:  pytest ... --embedqa-model=OLD --embedqa-save-baseline={path}"
    )


def _checksum(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(_compact(facts)).hexdigest()


def _compact(facts: Mapping[str, Any]) -> bytes:
    return json.dumps(facts, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode(
        errors=_ESCAPED
    )

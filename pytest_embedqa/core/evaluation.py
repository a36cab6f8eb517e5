"""The score of an encoder on a task, with all that a fair comparison with another score needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pytest_embedqa.core.evidence import Evidence, Exhibit

# What the label of a subject says.
_IN_LABEL = {"task", "dim", "index", "measure"}


@dataclass(frozen=True)
class Subject:
    """The task, or the part of a task, that was evaluated. Scores of different subjects can't be compared.

    Attributes:
        task: Name of the task.
        splits: Splits that were asked for; ``None`` for the task's own.
        subsets: Subsets that were asked for; ``None`` for all.
        languages: Languages that were asked for; ``None`` for all.
        limit: Units of a sample; ``None`` for the whole task.
        dim: Leading dimensions that the test keeps; ``None`` for those of the encoder.
        first_stage: Where candidates are reranked, the spec that finds them; ``None`` for the model under test.
        top_k: Where candidates are reranked, their number for each query; ``None`` where none are.
        index: Where an index was searched, the test that names it, and the state it was in; ``None`` elsewhere.
        measure: Where an index was searched, what was measured of it: a test measures several things.
    """

    task: str
    splits: tuple[str, ...] | None = None
    subsets: tuple[str, ...] | None = None
    languages: tuple[str, ...] | None = None
    limit: int | None = None
    dim: int | None = None
    first_stage: str | None = None
    top_k: int | None = None
    index: str | None = None
    measure: str | None = None

    @property
    def label(self) -> str:
        """Short name of the subject, for tables."""
        name = f"{self.measure} {self.task} {self.index}" if self.index else self.task
        return name + (f" @{self.dim}" if self.dim else "")

    def __str__(self) -> str:
        """Return the name of the task, followed by whatever else was asked for."""
        asked = {name: value for name, value in asdict(self).items() if name not in _IN_LABEL and value}
        shown = ", ".join(
            f"{name}={list(value) if isinstance(value, tuple) else value}" for name, value in asked.items()
        )
        return self.label + (f" ({shown})" if shown else "")

    def as_dict(self) -> dict[str, Any]:
        """Return the subject as a dictionary, JSON-serialisable."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Evaluation:
    """The result of one evaluation.

    Attributes:
        subject: The evaluated task or part of a task.
        type: Type of the task; for a task of mteb's, in mteb's words.
        metric: The task's main metric, which comparisons use.
        score: Value of the metric.
        parts: Value of the metric by split and subset.
        data_revision: Commit on the Hub, or a digest of the local files.
        libraries: Versions of the libraries that computed the score, by name.
        evidence: Units behind the score; ``None`` where there are none.
        exhibits: Texts and rankings of the units to show, by split and subset.
        candidates: Ids of the candidates that were reranked, by query, by split and subset; empty where none were.
        stages: Digests of the identities of ``first_stage`` and ``reranker``, or the name of the ``index``; empty where the
            model alone was evaluated.
    """

    subject: Subject
    type: str
    metric: str
    score: float
    parts: Mapping[tuple[str, str], float]
    data_revision: str
    libraries: Mapping[str, str] = field(default_factory=dict)
    evidence: Evidence | None = None
    exhibits: Mapping[tuple[str, str], Exhibit] = field(default_factory=dict)
    candidates: Mapping[tuple[str, str], Mapping[str, Sequence[str]]] = field(default_factory=dict)
    stages: Mapping[str, str] = field(default_factory=dict)

"""What is asked of a task, and what came out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from pytest_embedqa.core.errors import TaskError
from pytest_embedqa.core.evaluation import Evaluation, Subject
from pytest_embedqa.core.evidence import Evidence, Exhibit
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.core.requirement import MAIN_SCORE
from pytest_embedqa.core.statistics import interval
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.engine import Vectors
from pytest_embedqa.encoders.spec import nearest
from pytest_embedqa.encoders.truncation import Truncation
from pytest_embedqa.quality.own_tasks import OwnTask

# Short names that users write for what mteb calls otherwise.
ALIASES = {
    "STS": {"spearman": "cosine_spearman", "pearson": "cosine_pearson"},
    "PairClassification": {"ap": "max_ap", "f1": "max_f1", "accuracy": "max_accuracy"},
}
# Types for which mteb reports no Spearman; there it is our measure of separation.
SEPARATION_TYPES = frozenset(
    {"Retrieval", "Reranking", "InstructionRetrieval", "InstructionReranking", "BitextMining", "PairClassification"}
)
SEPARATION = "spearman"
# Shares that every task has, whatever mteb reports: of the texts that are cut, and of the tokens lost by it.
TRUNCATED, TOKENS_LOST = "truncated", "tokens_lost"
# Means over a benchmark, as a bound names them.
MEAN, MEAN_BY_TYPE = "mean", "mean_by_type"


@dataclass(frozen=True)
class TaskQuery:
    """Which part of which task. Equal queries are evaluated once per encoder.

    Attributes:
        task: Name of an mteb task, or a task on the user's own data.
        splits: Splits to evaluate; mteb's choice by default.
        subsets: Subsets (mteb's ``hf_subsets``) to evaluate; all by default.
        languages: Languages (``zho``, ``eng-Latn``) whose subsets to evaluate; all by default.
        limit: Units (queries, pairs, samples) to draw from a larger task; all by default.
    """

    task: str | OwnTask
    splits: tuple[str, ...] | None = None
    subsets: tuple[str, ...] | None = None
    languages: tuple[str, ...] | None = None
    limit: int | None = None

    @property
    def name(self) -> str:
        """Name of the task."""
        return self.task if isinstance(self.task, str) else self.task.name

    def subject(self, dim: int | None = None) -> Subject:
        """The same in terms that a baseline keeps, at ``dim`` dimensions."""
        return Subject(self.name, self.splits, self.subsets, self.languages, self.limit, dim)


@dataclass(frozen=True)
class TaskScores:
    """What one encoder scored.

    Attributes:
        task: Name of the task.
        type: Its type in mteb's words.
        main_score: Name of the metric the leaderboard shows.
        scores: Metrics by split and subset, under mteb's keys.
        evidence: What a metric rests on, by metric; where it is not here, it has no units.
        data_revision: Commit on the Hub, or a digest of the local files.
        limit: Units drawn, if it was a sample.
        units: Queries, pairs or samples that were scored.
        seconds: Wall time of encoding and scoring.
        encoded: Texts that had to be encoded; the rest came from the store.
        truncation: What of the texts the model did not see.
        ranges: Smallest and largest value of each dimension over the documents (over all texts where there are none),
            shape (2, dim).
        exhibits: What can be shown of the units, by split and subset.
        libraries: Versions of what scored it, by name.
    """

    task: str
    type: str
    main_score: str
    scores: Mapping[str, Mapping[str, Mapping[str, Any]]]
    evidence: Mapping[str, Evidence]
    data_revision: str
    limit: int | None = None
    units: int = 0
    seconds: float = 0.0
    encoded: int = 0
    truncation: Truncation = field(default_factory=Truncation)
    ranges: Vectors | None = field(default=None, compare=False, repr=False)
    exhibits: Mapping[tuple[str, str], Exhibit] = field(default_factory=dict, compare=False, repr=False)
    libraries: Mapping[str, str] = field(default_factory=dict)

    def metric(self, measure: str) -> str:
        """The key under which a measure stands in the scores."""
        return self.main_score if measure == MAIN_SCORE else ALIASES.get(self.type, {}).get(measure, measure)

    def score(self, measure: str = MAIN_SCORE) -> float:
        """A metric, averaged over splits and subsets as mteb does.

        Raises:
            TaskError: If the task has no such metric.
        """
        if measure in {TRUNCATED, TOKENS_LOST}:
            return self._truncated(measure)
        key = self.metric(measure)
        parts = [part for subsets in self.scores.values() for part in subsets.values()]
        if not parts or any(not isinstance(part.get(key), int | float) for part in parts):
            has = sorted({name for part in parts for name, value in part.items() if isinstance(value, int | float)})
            raise TaskError(f"{self.task} has no metric '{measure}'.{nearest(measure, has)} It has: {', '.join(has)}.")
        return sum(float(part[key]) for part in parts) / len(parts)

    def part_scores(self) -> dict[tuple[str, str], float]:
        """The main score by split and subset."""
        return {
            (split, subset): float(part[self.main_score])
            for split, subsets in self.scores.items()
            for subset, part in subsets.items()
        }

    def part_interval(self, part: tuple[str, str]) -> tuple[float, float] | None:
        """95 % interval of the main score of a split and subset; ``None`` where it rests on no units."""
        evidence = self.evidence.get(self.main_score)
        units = [one for one in evidence.parts if (one.split, one.subset) == part] if evidence else []
        return interval(replace(evidence, parts=tuple(units))) if evidence and units else None

    def evaluation(self, query: TaskQuery, dim: int | None) -> Evaluation:
        """The main score, to be compared with another encoder's.

        Args:
            query: What was asked for.
            dim: Dimensions that the test kept, or ``None``.
        """
        metric = self.metric(MAIN_SCORE)
        return Evaluation(
            query.subject(dim),
            self.type,
            metric,
            self.score(),
            self.part_scores(),
            self.data_revision,
            self.libraries,
            self.evidence.get(metric),
            self.exhibits,
        )

    def _truncated(self, measure: str) -> float:
        if self.truncation.uncounted:
            raise TaskError(
                f"{self.task}: '{measure}' can't be measured, because this engine does not count tokens. "
                "openai: counts them with tokenizer=FOLDER in the spec."
            )
        return self.truncation.share if measure == TRUNCATED else self.truncation.lost_share


@dataclass
class TaskResult:
    """What the fixture ``task_result`` gives a test: the scores, evaluated when first looked at.

    Attributes:
        query: What is asked.
        encoder: The encoder under test.
        evaluate: Evaluates, or looks up what was evaluated before.
        curve: Score and size with whole vectors, then with those of ``@matryoshka`` and ``@quantized``, the largest
            first; empty without these markers.
    """

    query: TaskQuery
    encoder: Encoder
    evaluate: Callable[[TaskQuery, Encoder], TaskScores] = field(repr=False)
    curve: Sequence[Point] = field(default=(), repr=False)

    @cached_property
    def details(self) -> TaskScores:
        """Everything that came out."""
        return self.evaluate(self.query, self.encoder)

    def __getitem__(self, measure: str) -> float:
        """A metric, averaged over splits and subsets: ``task_result["recall_at_100"]``."""
        return self.details.score(measure)

    @property
    def main_score(self) -> float:
        """The metric the leaderboard shows."""
        return self.details.score()

    @property
    def scores(self) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
        """All metrics by split and subset: ``task_result.scores["test"]["default"]["ndcg_at_10"]``."""
        return self.details.scores

    @property
    def identity(self) -> Identity:
        """Identity of the encoder that scored this."""
        return self.encoder.identity


@dataclass(frozen=True)
class Point:
    """A point of the curve of quality over size.

    Attributes:
        label: ``whole``, ``@256``, ``int8`` …
        score: Main score.
        loss: Main score of whole vectors less this one.
        bytes: Bytes of a vector.
        saved: Share of the bytes of a whole vector that is saved.
    """

    label: str
    score: float
    loss: float
    bytes: int
    saved: float

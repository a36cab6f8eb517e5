"""Questions to a task, and their results."""

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
from pytest_embedqa.encoders.engine import Vectors
from pytest_embedqa.encoders.spec import nearest
from pytest_embedqa.encoders.system import System
from pytest_embedqa.encoders.truncation import Truncation
from pytest_embedqa.quality.own_tasks import OwnTask

# Short names that users write for mteb's longer names.
ALIASES = {
    "STS": {"spearman": "cosine_spearman", "pearson": "cosine_pearson"},
    "PairClassification": {"ap": "max_ap", "f1": "max_f1", "accuracy": "max_accuracy"},
}
# Types of task for which mteb reports no Spearman; ``spearman`` is then this package's measure of separation.
SEPARATION_TYPES = frozenset(
    {"Retrieval", "Reranking", "InstructionRetrieval", "InstructionReranking", "BitextMining", "PairClassification"}
)
SEPARATION = "spearman"
# Measures of every task, whatever mteb reports: shares of the texts that are cut, and of the tokens lost by it.
TRUNCATED, TOKENS_LOST = "truncated", "tokens_lost"
# Names of the means over a benchmark in bounds.
MEAN, MEAN_BY_TYPE = "mean", "mean_by_type"
# A split and a subset.
Part = tuple[str, str]


@dataclass(frozen=True)
class TaskQuery:
    """A question: the task, or the part of a task, to evaluate. Equal queries are evaluated once per encoder.

    Attributes:
        task: Name of an mteb task, or a task on the user's own data.
        splits: Splits to evaluate; mteb's choice by default.
        subsets: Subsets (mteb's ``hf_subsets``) to evaluate; all by default.
        languages: Languages (``zho``, ``eng-Latn``) whose subsets to evaluate; all by default.
        limit: Units (queries, pairs, samples) to draw from a larger task; all by default.
        first_stage: Where candidates are reranked, the spec that finds them; ``None`` for the model under test.
        top_k: Where candidates are reranked, their number for each query; ``None`` where none are.
    """

    task: str | OwnTask
    splits: tuple[str, ...] | None = None
    subsets: tuple[str, ...] | None = None
    languages: tuple[str, ...] | None = None
    limit: int | None = None
    first_stage: str | None = None
    top_k: int | None = None

    @property
    def name(self) -> str:
        """Name of the task."""
        return self.task if isinstance(self.task, str) else self.task.name

    def subject(self, dim: int | None = None) -> Subject:
        """Return the query as a baseline keeps it, at ``dim`` dimensions."""
        return Subject(
            self.name, self.splits, self.subsets, self.languages, self.limit, dim, self.first_stage, self.top_k
        )


@dataclass(frozen=True)
class Stages:
    """What the first stage and the reranker made of the queries of a task.

    Attributes:
        first_stage: Spec of the system that finds candidates.
        reranker: Spec of the system that orders them.
        digests: Digests of their identities.
        top_k: Number of candidates for each query.
        queries: Number of queries with a relevant document.
        recall: Mean share of a query's relevant documents that is among its candidates.
        ceiling: Main score of the best order of the candidates; ``None`` where the task has a score of its own.
        missed: Queries without a relevant document among their candidates: the first stage lost them.
        lower: Queries whose first relevant document the reranker has put further back than it was.
        higher: Queries whose first relevant document it has moved forward.
        candidates: Ids of the candidates by query, by split and subset.
    """

    first_stage: str
    reranker: str
    digests: tuple[str, str]
    top_k: int
    queries: int
    recall: float
    ceiling: float | None
    missed: int
    lower: int
    higher: int
    candidates: Mapping[Part, Mapping[str, Sequence[str]]] = field(compare=False, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for a report, JSON-serialisable."""
        return {name: value for name, value in vars(self).items() if name not in {"candidates", "digests"}}

    @property
    def lines(self) -> list[str]:
        """What each stage lost, in words."""
        ceiling = "" if self.ceiling is None else f"; their best order would score {self.ceiling:.4f}"
        lost = f"{self.missed:,} of {self.queries:,} queries have no relevant document among them"
        return [
            f"first stage {self.first_stage}: recall {self.recall:.4f} at {self.top_k} candidates{ceiling}; {lost}",
            f"reranker {self.reranker}: the first relevant document moved forward for {self.higher:,} queries, back for {self.lower:,}",
        ]


@dataclass(frozen=True)
class TaskScores:
    """The scores of an encoder on a task.

    Attributes:
        task: Name of the task.
        type: Type of the task in mteb's words.
        main_score: Name of the leaderboard's metric.
        scores: Metrics by split and subset, under mteb's keys.
        evidence: Evidence by metric; a metric that is missing here has no units.
        data_revision: Commit on the Hub, or a digest of the local files.
        limit: Number of sampled units; ``None`` for the whole task.
        units: Number of scored queries, pairs or samples.
        seconds: Wall time of encoding and scoring.
        encoded: Number of texts that had to be encoded; all others came from the store.
        truncation: Counts of the texts and tokens that the model did not see.
        ranges: Smallest and largest value of each dimension over the documents (over all texts where there are none),
            shape (2, dim).
        exhibits: Texts and rankings of the units to show, by split and subset.
        libraries: Versions of the libraries that computed the scores, by name.
        bytes: Mean bytes that an index needs for a document; ``None`` where nothing was indexed.
        stages: What each stage made of the queries, of a system that reranks.
        notes: Facts about the system that a reader needs to read its score right.
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
    bytes: float | None = None
    stages: Stages | None = None
    notes: tuple[str, ...] = ()

    @property
    def every_note(self) -> list[str]:
        """The notes, and what each stage lost."""
        return [*self.notes, *(self.stages.lines if self.stages else ())]

    def metric(self, measure: str) -> str:
        """Return the key of a measure in the scores."""
        return self.main_score if measure == MAIN_SCORE else ALIASES.get(self.type, {}).get(measure, measure)

    def score(self, measure: str = MAIN_SCORE) -> float:
        """Return a metric, averaged over splits and subsets as in mteb.

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
        """Return the main score by split and subset."""
        return {
            (split, subset): float(part[self.main_score])
            for split, subsets in self.scores.items()
            for subset, part in subsets.items()
        }

    def part_interval(self, part: tuple[str, str]) -> tuple[float, float] | None:
        """Return the 95 % interval of the main score of a split and subset; ``None`` if it rests on no units."""
        evidence = self.evidence.get(self.main_score)
        units = [one for one in evidence.parts if (one.split, one.subset) == part] if evidence else []
        return interval(replace(evidence, parts=tuple(units))) if evidence and units else None

    def evaluation(self, query: TaskQuery, dim: int | None) -> Evaluation:
        """Return the main score, to be compared with another encoder's.

        Args:
            query: The query of these scores.
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
            self.stages.candidates if self.stages else {},
            dict(zip(("first_stage", "reranker"), self.stages.digests, strict=True)) if self.stages else {},
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
    """The value of the fixture ``task_result``: the scores of a task, evaluated when a test first looks at them.

    Attributes:
        query: The query to evaluate.
        encoder: The evaluated system: the model under test, or the model under test with a first stage or a reranker.
        evaluate: Evaluates the query, or returns an earlier result.
        curve: Score and size with whole vectors, then with those of ``@matryoshka`` and ``@quantized``, the largest
            first; empty without these markers.
    """

    query: TaskQuery
    encoder: System
    evaluate: Callable[[TaskQuery, System], TaskScores] = field(repr=False)
    curve: Sequence[Point] = field(default=(), repr=False)

    @cached_property
    def details(self) -> TaskScores:
        """All results of the evaluation."""
        return self.evaluate(self.query, self.encoder)

    def __getitem__(self, measure: str) -> float:
        """Return a metric, averaged over splits and subsets: ``task_result["recall_at_100"]``."""
        return self.details.score(measure)

    @property
    def main_score(self) -> float:
        """Value of the leaderboard's metric."""
        return self.details.score()

    @property
    def scores(self) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
        """All metrics by split and subset: ``task_result.scores["test"]["default"]["ndcg_at_10"]``."""
        return self.details.scores

    @property
    def identity(self) -> Identity:
        """Identity of the encoder that was evaluated."""
        return self.encoder.identity


@dataclass(frozen=True)
class Point:
    """A point of the curve of quality over size.

    Attributes:
        label: ``whole``, ``@256``, ``int8`` …
        score: Main score.
        loss: Main score of whole vectors less this score.
        bytes: Bytes of a vector.
        saved: Saved share of a whole vector's bytes.
    """

    label: str
    score: float
    loss: float
    bytes: int
    saved: float

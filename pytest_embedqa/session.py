"""The object behind the hooks: encoders, store and results of a pytest session."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import cached_property
from typing import TYPE_CHECKING, cast

from pytest_embedqa.core.requirement import MAIN_SCORE, Kind, Requirement
from pytest_embedqa.core.verdict import Outcome, Verdict
from pytest_embedqa.diagnosis.diagnose import as_published, diagnose
from pytest_embedqa.diagnosis.published import Standing
from pytest_embedqa.diagnosis.result import Diagnosis
from pytest_embedqa.diagnosis.stages import by_stage
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.names import is_same, names_of_two
from pytest_embedqa.encoders.pool import EncoderPool
from pytest_embedqa.encoders.spec import Spec
from pytest_embedqa.encoders.staging import Staging
from pytest_embedqa.encoders.store import Store
from pytest_embedqa.encoders.system import System
from pytest_embedqa.encoders.wording import encoder_facts
from pytest_embedqa.engine_parity.comparison import Agreement, ParityResult
from pytest_embedqa.engine_parity.ranking import agree
from pytest_embedqa.index import load, measured_indexes
from pytest_embedqa.quality import evaluator
from pytest_embedqa.quality.compression import Compression, curve, require_dense
from pytest_embedqa.quality.published import OFF_THE_LEADERBOARD
from pytest_embedqa.quality.retrievers.pool import Retrievers
from pytest_embedqa.quality.task import Point, TaskQuery, TaskResult
from pytest_embedqa.rag.session_probes import Probing
from pytest_embedqa.upgrade.baseline import Baseline, require_one_reranker, two_encoders
from pytest_embedqa.upgrade.fingerprint import fingerprint
from pytest_embedqa.upgrade.gate import Comparison, gate_verdict
from pytest_embedqa.upgrade.session_gate import Gate

if TYPE_CHECKING:
    from pytest_embedqa.core.evaluation import Evaluation
    from pytest_embedqa.encoders.encoder import Progress
    from pytest_embedqa.engine_parity.mark import ParityMark
    from pytest_embedqa.quality.mark import QualityMark
    from pytest_embedqa.settings import Settings
    from pytest_embedqa.speed.mark import SpeedMark


class Session:
    """Loads each encoder once, evaluates each task once, and judges tests."""

    def __init__(self, settings: Settings, progress: Progress | None = None) -> None:
        """Keep the settings; nothing is loaded or opened before it is needed."""
        self.settings = settings
        self.encoders = EncoderPool(lambda: self._store, evaluator.mteb_prompts, evaluator.mteb_engine, progress)
        self._staging = Staging(self.encoders.of)
        self._parities: dict[tuple[object, ...], Agreement] = {}
        self.probing = Probing(settings.retriever, progress, self.encoders.of, load.load_index)
        self.retrievers = Retrievers(progress)
        self.indexes = measured_indexes.MeasuredIndexes()
        # The scores of the encoder under test so far, if a baseline is to be made of them.
        self.baseline: Baseline | None = None

    @cached_property
    def _store(self) -> Store:
        return Store(self.settings.store)

    @property
    def notes(self) -> Sequence[str]:
        """Notes about the run as a whole, such as why vectors could not be kept in the store."""
        return self._store.notes if "_store" in self.__dict__ else ()

    @cached_property
    def _evaluator(self) -> evaluator.Evaluator:
        return evaluator.Evaluator(datasets=self.settings.datasets, published=self.settings.published)

    @cached_property
    def gate(self) -> Gate | None:
        """The comparisons with the baseline; ``None`` without a baseline."""
        given = self.settings.baseline
        if not given:
            return None
        # Specs that the run loads anyway need no further permission.
        return Gate(given, self.system, {*self.settings.models, *self.settings.allowed_specs})

    def system(self, spec: Spec) -> System:
        """Return the system of a spec, loaded once.

        Raises:
            EmbedQAError: If it can't be loaded.
        """
        return self.encoders.of(spec)

    def encoder(self, spec: Spec) -> Encoder:
        """Return the encoder of a spec, loaded once; SpecError if it has no vectors."""
        found = self.system(spec)
        if not isinstance(found, Encoder):
            found.encode([])
        return found  # type: ignore[return-value]  # encode() of any other system has raised

    def evaluated(self, mark: QualityMark, model: System) -> System:
        """Return the system that a marker evaluates: the model under test, with the first stage or the reranker it names.

        Raises:
            EmbedQAError: If one can't be loaded, or the model under test has no part in it.
        """
        if mark.query.top_k is None:
            return model
        return self._staging.around(model, mark.first_stage, mark.reranker, mark.query.top_k)

    def tested(self, system: System) -> System:
        """Return the model under test in a system that a marker asked for; any other system is returned as it is."""
        return self._staging.tested(system)

    def try_again(self) -> None:
        """Let a test that is run again be judged anew: a server may be up by now, or answer otherwise."""
        self.encoders.try_again()
        self.probing.try_again()
        self.retrievers.close()
        self.indexes.try_again()
        if self.gate:
            self.gate.try_again()

    def is_under_test(self, encoder: System) -> bool:
        """Return whether a system is a model of the command line, of a fixture that replaces it, or the run's retriever."""
        return self.tested(encoder).spec in {*self.settings.models, self.encoders.own, *self.retrievers.compared}

    def release(self, spec: Spec) -> None:
        """Free the devices of a system that no further test needs.

        Raises:
            EmbedQAError: If a collection that was made with the encoder on a live system can't be deleted.
        """
        given = self.settings.baseline
        with ExitStack() as stack:
            for system in self.encoders.take(spec, keep=given if isinstance(given, Spec) else None):
                stack.callback(system.close)
                stack.callback(self.probing.forget, system)

    def result(self, query: TaskQuery, encoder: System, max_minutes: float | None = None) -> TaskResult:
        """Return the result of a task; it is evaluated on first use."""
        return self._evaluator.result(query, encoder, max_minutes)

    def requirements(self, mark: QualityMark, encoder: System) -> tuple[Requirement, ...]:
        """Return a marker's requirements; with a baseline, also that the encoder under test is no worse."""
        named = mark.requirements(self.tested(encoder).name)
        named_it = any(one.kind is Kind.MAX_REGRESSION for one in named)
        if self.gate is None or named_it or not self.is_under_test(encoder):
            return named
        return (*named, Requirement(Kind.MAX_REGRESSION, MAIN_SCORE, self.settings.max_regression))

    def verdicts(self, mark: QualityMark, result: TaskResult, unjudged: list[str] | None = None) -> list[Verdict]:
        """Judge a result by a marker's requirements, at each dimension that the marker names.

        Args:
            mark: The requirements.
            result: The result to judge.
            unjudged: List that takes the reasons why a published score can't be compared; all other requirements are
                judged.

        Raises:
            EmbedQAError: If a requirement can't be measured or compared.
        """
        require_dense(result.encoder, mark.compressions, mark.dims)
        requirements = self.requirements(mark, result.encoder)
        gated = [one for one in requirements if one.kind is Kind.MAX_REGRESSION and self.gate]
        for dim in mark.dims:
            if gated and self.gate:
                self.gate.require(mark.query.subject(dim))
        verdicts: list[Verdict] = []
        for dim in mark.dims:
            at_dim = self._at(mark, result, dim)
            self.keep_for_baseline(result.encoder, at_dim.details.evaluation(mark.query, dim))
            judged = self._evaluator.verdicts(requirements, at_dim, unjudged=unjudged)
            verdicts += [verdict.labelled(f"{verdict.task} @{dim}") for verdict in judged] if dim else judged
            verdicts += [gate_verdict(one, self.upgrade(mark, result, dim), str(result.encoder.spec)) for one in gated]
        for compression, part in self._compressed(mark, result):
            judged = self._evaluator.verdicts(compression.requirements(result.encoder.name), part, result)
            verdicts += [verdict.labelled(f"{verdict.task} {compression.label}") for verdict in judged]
        return verdicts

    def upgrade(self, mark: QualityMark, result: TaskResult, dim: int | None) -> Comparison:
        """Compare a result with the baseline's.

        Raises:
            EmbedQAError: If the baseline has nothing to compare with, or the comparison would say nothing.
        """
        assert self.gate  # noqa: S101  only asked with a baseline
        at_dim = self._at(mark, result, dim)

        def before(old: System) -> Evaluation:
            system = cast("Encoder", old).at(dim) if dim else self.evaluated(mark, old)
            return self.result(mark.query, system).details.evaluation(mark.query, dim)

        return self.gate.compare(
            mark.query.subject(dim),
            at_dim.encoder,
            lambda: at_dim.details.evaluation(mark.query, dim),
            before,
            tested=self.tested(at_dim.encoder),
        )

    def _at(self, mark: QualityMark, result: TaskResult, dim: int | None) -> TaskResult:
        if dim is None:
            return result
        return self.result(mark.query, cast("Encoder", result.encoder).at(dim), mark.max_minutes)

    def keep_for_baseline(self, encoder: System, evaluation: Evaluation) -> None:
        """Remember the scores of the model under test, if a baseline is to be made of them.

        Raises:
            BaselineError: If the run has another one's scores already.
        """
        encoder = self.tested(encoder)
        kept = {self.encoders.own, self.settings.models[0], *self.retrievers.compared}
        if self.settings.save_baseline and encoder.spec in kept:
            facts = encoder_facts(encoder)
            self.baseline = self.baseline or Baseline(facts, fingerprint(encoder), ())
            if not is_same(first := self.baseline.encoder, facts):
                raise two_encoders(*names_of_two(first, facts))
            require_one_reranker(self.baseline, evaluation)
            self.baseline = self.baseline.updated(evaluation)

    def diagnosis(self, result: TaskResult) -> Diagnosis | None:
        """Diagnose why a task's score is low; ``None`` for a type of task that has no slice to experiment on.

        Raises:
            EmbedQAError: If the encoder can't encode the slice.
        """
        stages = result.details.stages
        if stages and stages.ceiling is not None:
            return by_stage(stages, stages.ceiling, result.details.score(), result.details.main_score)
        if not isinstance(result.encoder, Encoder):
            return None
        scores = result.details.part_scores()
        published = self._evaluator.published_parts(result)
        # Take the part that falls furthest below its published score; without published scores, the lowest part.
        part = min(scores, key=lambda one: scores[one] - published.get(one, 0.0))

        def stands(result: TaskResult) -> Standing:
            details = result.details
            return Standing(
                details.main_score, details.part_scores()[part], published[part], details.part_interval(part)
            )

        def rescore(encoder: Encoder, seconds: float) -> Standing:
            return stands(self.result(result.query, encoder, seconds / 60))

        standing = stands(result) if published else None
        if standing and standing.is_equal:
            return as_published(standing)
        found = self._evaluator.slice(result, part)
        if found is None:
            return None
        known = evaluator.mteb_prompts(result.encoder.name, result.encoder.declared_prompts)
        return diagnose(
            result.encoder,
            *found,
            self.variant,
            known_prompts=[known] if known else [],
            standing=standing,
            rescore=rescore,
        )

    def is_far_below_published(self, result: TaskResult) -> bool:
        """Return whether a published model scores so far below its published score that its set-up must be wrong."""
        gap = self._evaluator.published_gap(result)
        return gap is not None and gap < -OFF_THE_LEADERBOARD

    def curve(self, mark: QualityMark, result: TaskResult) -> list[Point]:
        """Measure quality over vector size, for the compressions of a marker, from the vectors of the result."""
        parts = [(compression, part.details) for compression, part in self._compressed(mark, result)]
        return curve(result.details, cast("Encoder", result.encoder).dim or 0, parts) if parts else []

    def _compressed(self, mark: QualityMark, result: TaskResult) -> list[tuple[Compression, TaskResult]]:
        return [
            (one, self.result(mark.query, one.applied(cast("Encoder", result.encoder), result.details)))
            for one in mark.compressions
        ]

    def parity(self, mark: ParityMark, encoder: System) -> ParityResult:
        """Compare a model with a reference; once, on first use."""
        key = (mark.reference, mark.ranks, mark.batch_sizes, mark.strata, mark.max_tokens, encoder.identity.digest)

        def compared() -> Agreement:
            if key not in self._parities:
                self._parities[key] = agree(mark, encoder, self.system(mark.reference))
            return self._parities[key]

        return ParityResult(encoder, lambda: self.system(mark.reference), compared)

    def speed_mark(self, mark: SpeedMark, encoder: System) -> tuple[SpeedMark, str]:
        """Return what a speed test asks; with a baseline, also that the encoder is not much slower than the baseline's.

        Returns:
            The mark, and the reason why it was not compared with a baseline, if it should have been.
        """
        if self.gate is None or mark.against or not self.is_under_test(encoder):
            return mark, ""
        against, problem = self.gate.speed_reference(encoder)
        return (mark.compared(against, self.settings.min_speed_ratio) if against else mark), problem

    def variant(self, spec: Spec) -> Encoder:
        """Make a separate encoder that keeps no vectors; the caller closes it.

        It runs in this process: on a cluster the replicas of the encoder under test occupy every place.
        """
        return load_encoder(spec.off_ray(), None, mteb_prompts=evaluator.mteb_prompts)

    def holds(self, verdict: Verdict) -> bool:
        """Return whether a verdict lets its test pass."""
        return verdict.passed or (verdict.outcome is Outcome.INCONCLUSIVE and not self.settings.strict)

    def close(self) -> None:
        """Free devices and close the store."""
        with ExitStack() as stack:  # an encoder that fails to close keeps none of the others open
            if "_store" in self.__dict__:
                stack.callback(self._store.close)
            for part in (self.encoders, self.probing, self.retrievers, self.indexes):
                stack.callback(part.close)

"""The decorators that users write. Each capability's own package reads what the arguments mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TypeVar, overload

import pytest

from pytest_embedqa.markers import BENCHMARK, EXAMPLES, INDEX, INVARIANTS, LABELS, PARITY, RAG, TASK, THROUGHPUT
from pytest_embedqa.marking import described, marker, marks

if TYPE_CHECKING:
    from pytest_embedqa.quality.mark import Bound
    from pytest_embedqa.quality.own_tasks import OwnTask

Test = TypeVar("Test", bound="Callable[..., Any] | type")


@marks(TASK)
def mteb_task(  # noqa: PLR0913  the arguments users write
    task: str | OwnTask,
    /,
    *,
    vs_published: Bound | None = None,
    max_regression: Bound | None = None,
    dims: Sequence[int] | None = None,
    splits: Sequence[str] | None = None,
    subsets: Sequence[str] | None = None,
    languages: Sequence[str] | None = None,
    limit: int | None = None,
    max_minutes: float | None = None,
    reranker: str | None = None,
    first_stage: str | None = None,
    retriever: str | PurePath | Mapping[str, Any] | None = None,
    top_k: int | None = None,
    **bounds: Bound,
) -> None:
    """Set thresholds on a task. The body of the test runs after they hold.

    Args:
        task: Name of an mteb task, or a task on your own data (``retrieval_task("data/faq")``).
        vs_published: Allowed difference to the published main score, e.g. ``-0.015``.
        max_regression: Allowed drop of the main score against ``--embedqa-baseline``.
        dims: Dimensions (Matryoshka) at which the thresholds must hold; one encoding pass serves all.
        splits: Splits to evaluate; mteb's own choice by default.
        subsets: Subsets to evaluate; all by default.
        languages: Languages whose subsets to evaluate; all by default.
        limit: Units (queries, pairs, samples) to draw from a large task.
        max_minutes: Fail if encoding takes longer.
        reranker: Spec of a reranker that orders what the first stage finds.
        first_stage: Spec of the system that finds candidates, or ``"bm25"``; the model under test by default. A model under
            test that is itself a reranker orders them.
        retriever: Retriever to evaluate in place of the model under test: the name of the fixture that returns your
            pipeline, the path of a TREC run file, or an HTTP service (``{"http": {...}}``, or a YAML file of it).
        top_k: Number of candidates to rerank for each query (100), or of passages to ask a retriever for (as many as the
            bounds look at).
        **bounds: ``min_<metric>`` and ``max_<metric>``; a number, or a dict of numbers by model name.
    """


@marks(BENCHMARK)
def mteb_benchmark(  # noqa: PLR0913
    name: str,
    /,
    *,
    min_mean: Bound | None = None,
    min_mean_by_type: Bound | None = None,
    vs_published: Bound | None = None,
    max_regression: Bound | None = None,
    limit: int | None = None,
    max_minutes: float | None = None,
) -> None:
    """Test the text tasks of an mteb benchmark, each on its own splits and subsets, and the mean of their scores.

    Args:
        name: Name of the benchmark, e.g. ``MTEB(eng, v2)``.
        min_mean: Bound on the mean of the tasks' main scores, the leaderboard's ``Mean (Task)``.
        min_mean_by_type: Bound on the mean of the types of task, each type being the mean of its tasks:
            ``Mean (TaskType)``.
        vs_published: Allowed difference to the published score, for each task.
        max_regression: Allowed drop against ``--embedqa-baseline``, for each task.
        limit: Units to draw from each task.
        max_minutes: Fail a task if its encoding takes longer.
    """


@marks(PARITY)
def parity(  # noqa: PLR0913
    *,
    reference: str,
    min_cosine: float | None = None,
    min_mean_cosine: float | None = None,
    min_overlap: float | None = None,
    min_kendall: float | None = None,
    batch_sizes: Sequence[int] | None = None,
    strata: Sequence[str] | None = None,
    max_tokens: int | None = None,
) -> None:
    """Compare a model with a reference: in another engine, format or server it gives the same vectors, or ranks alike.

    Args:
        reference: Spec of the model to agree with.
        min_cosine: Lowest cosine between the two vectors of any text, at any batch size.
        min_mean_cosine: Lowest mean cosine of any stratum (kind of text).
        min_overlap: Least mean share of the ten nearest neighbours that both have in common; beside ``min_kendall``,
            of the ten best documents for a query.
        min_kendall: Least mean Kendall's tau of their rankings, where vectors can't be compared: models of two kinds, rerankers.
        batch_sizes: Batch sizes to try; 1, 2, 4, ... 64 by default.
        strata: Kinds of text to compare, e.g. ``["short", "cjk"]``; all by default.
        max_tokens: Length of the longest texts to make (4096), capped at the models' own maximum.
    """


@marks(INDEX)
def index_recall(  # noqa: PLR0913
    task: str | OwnTask,
    /,
    *,
    index: Any = None,
    retriever: str | PurePath | Mapping[str, Any] | None = None,
    k: int | None = None,
    rows: int | None = None,
    filter: float | None = None,  # noqa: A002  the word of every database
    delete_nearest: int | None = None,
    churn: int | None = None,
    reopen: bool | None = None,
    sweep: Mapping[str, Sequence[Any]] | None = None,
    max_regression: Bound | None = None,
    splits: Sequence[str] | None = None,
    subsets: Sequence[str] | None = None,
    languages: Sequence[str] | None = None,
    **bounds: float,
) -> None:
    """Build a real index of a task's documents, and compare what it returns with exact search over the same vectors.

    Args:
        task: Name of an mteb retrieval task, or a task on your own data (``retrieval_task("data/faq")``).
        index: Spec of the index, e.g. ``"faiss:HNSW32?efSearch=64"``, with settings under the client's own names; or a class
            of your own with ``build(vectors, ids)`` and ``search(queries, k)``.
        retriever: Retriever whose answers to compare, in place of an index; named as in ``@mteb_task``.
        k: Number of neighbours; the number in ``min_recall_at_<k>`` by default, or 10.
        rows: Number of rows to grow the data to, as production has them.
        filter: Share of the rows that a filter lets through, from 0.001: the filtered search is measured, too.
        delete_nearest: Number of nearest documents of each query to delete; then the index is measured again.
        churn: Rounds in which a fifth of the rows is deleted and added again; then the index is measured again.
        reopen: Close and open the index, and measure it again.
        sweep: Values of settings to draw a curve of, e.g. ``{"efSearch": [16, 64, 256]}``.
        max_regression: Allowed drop of recall, and of the nDCG that the index keeps, against ``--embedqa-baseline``; a number, or
            numbers by model name.
        splits: Splits of the task; mteb's own choice by default.
        subsets: Subsets of the task.
        languages: Languages whose subsets to take.
        **bounds: Bounds on each state that is measured: ``min_recall_at_<k>``, ``min_worst_decile`` (mean recall of the tenth
            of the queries that fares worst), ``max_ndcg_loss`` (at 10, against exact search), ``max_p50_ms``,
            ``max_p95_ms``; on the index as built: ``max_bytes_per_vector``, ``max_build_s``.
    """


@marks("matryoshka")
def matryoshka(*, dims: Sequence[int], max_loss: Bound | None = None) -> None:
    """Measure, beside ``@mteb_task``, what shorter vectors cost, from the same encoding pass.

    Args:
        dims: Leading dimensions to keep; vectors are normalised again after the cut.
        max_loss: Allowed loss of the task's main score against whole vectors, e.g. ``0.01`` for one point;
            a number, or a dict of numbers by model name. Without it the loss is only shown.
    """


@marks("quantized")
def quantized(precision: str, /, *, max_loss: Bound | None = None, rescore: int | None = None) -> None:
    """Measure, beside ``@mteb_task``, what quantised vectors cost, from the same encoding pass.

    Args:
        precision: ``int8`` or ``ubinary``, as sentence-transformers quantises.
        max_loss: Allowed loss of the task's main score against float32 vectors; a number, or a dict of numbers by
            model name. Without it the loss is only shown.
        rescore: Keep queries in float32, and reorder the best ``rescore`` x 10 documents with them.
    """


@marks(THROUGHPUT)
def throughput(  # noqa: PLR0913
    *,
    min_texts_per_s: float | None = None,
    min_pairs_per_s: float | None = None,
    min_tokens_per_s: float | None = None,
    max_p50_ms: float | None = None,
    max_p95_ms: float | None = None,
    max_p99_ms: float | None = None,
    max_memory_mb: float | None = None,
    max_gpu_memory_mb: float | None = None,
    min_ratio: float | None = None,
    against: str | None = None,
    batch_size: int = 32,
    length: int | str | Sequence[int | str] | None = None,
    max_seconds: float | None = None,
) -> None:
    """Set bounds on speed, measured by pytest-benchmark: bulk rounds, or single queries if only they are bounded.

    Args:
        min_texts_per_s: Documents a second, in batches.
        min_pairs_per_s: Pairs of a query and a document a second, of a reranker.
        min_tokens_per_s: Tokens a second, in batches.
        max_p50_ms: Median time of a single query, in milliseconds.
        max_p95_ms: Most milliseconds that 95 of 100 single queries may take.
        max_p99_ms: Most milliseconds that 99 of 100 single queries may take.
        max_memory_mb: Peak memory of this process during the bulk rounds.
        max_gpu_memory_mb: Peak memory that torch allocates on the GPU.
        min_ratio: Least speed relative to ``against``, measured in turns in the same run.
        against: Spec of the model to compare with.
        batch_size: Texts in a batch (32); of a reranker, pairs in a batch, and documents of a single query.
        length: Tokens in a text or pair (128), or ``"max"``; a list gives one test for each length.
        max_seconds: Limit on the comparison (60).
    """


@overload
def parametrize_with_invariants(test: Test, /) -> Test: ...


@overload
def parametrize_with_invariants(
    *,
    only: Iterable[str] | None = None,
    bounds: Mapping[str, float] | None = None,
    expected_failures: Mapping[str, str | Mapping[str, str]] | None = None,
) -> Callable[[Test], Test]: ...


def parametrize_with_invariants(
    test: Test | None = None,
    /,
    *,
    only: Iterable[str] | None = None,
    bounds: Mapping[str, float] | None = None,
    expected_failures: Mapping[str, str | Mapping[str, str]] | None = None,
) -> Test | Callable[[Test], Test]:
    """Check each invariant in a test of its own. The body of the test, if it has any, runs after the invariant holds.

    Args:
        test: The test, where the decorator stands without brackets.
        only: Names of the invariants to check; all by default.
        bounds: Bounds that replace the invariants' own, by name: ``{"batch_size_independent": 0.02}``.
        expected_failures: Reason why an invariant is expected to fail, by name:
            ``{"case_distinct": "an uncased model"}``; or by name and model,
            ``{"case_distinct": {"sentence-transformers/all-MiniLM-L6-v2": "uncased"}}``.

    Raises:
        pytest.Collector.CollectError: If a name is unknown or a bound can't hold.
    """
    from pytest_embedqa.core.errors import SpecError  # numpy, where there are invariants only
    from pytest_embedqa.invariants.catalogue import catalogue
    from pytest_embedqa.invariants.invariant import choose

    if test is not None and not callable(test):
        raise pytest.Collector.CollectError(
            f"@{INVARIANTS} takes keyword arguments only, e.g. @{INVARIANTS}(only=[...]), but got {test!r}."
        )
    try:
        chosen = choose(catalogue(), only, bounds or {}, expected_failures or {})
    except SpecError as error:
        raise pytest.Collector.CollectError(f"@{INVARIANTS}: {error}") from None
    parameters = [pytest.param(one, id=one.invariant.name) for one in chosen]

    def decorate(test: Test) -> Test:
        parametrized: Test = pytest.mark.parametrize("invariant", parameters, indirect=True)(test)
        marked: Test = marker(INVARIANTS)(parametrized)
        return marked

    return decorate(test) if test is not None else decorate


@marks(RAG)
def rag_probe(  # noqa: PLR0913
    *,
    ask: str,
    corpus: str | None = None,
    expect: Mapping[str, Any] | None = None,
    reject: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    max_latency_ms: float | None = None,
    chunk: Mapping[str, Any] | None = None,
    retrieve: Mapping[str, Any] | None = None,
    encoding: str | Mapping[str, str] | None = None,
    expected_failures: Mapping[str, str] | None = None,
) -> None:
    """Ask a knowledge base one question, as ``*.probe.yaml`` files do. The body of the test runs after the probe holds.

    Args:
        ask: The question.
        corpus: Folder or file with the documents, from the folder of the test file; none if the fixture ``retriever``
            is overridden.
        expect: Passage that must come back: ``{"contains": "30 days", "source": "returns.md", "rank": 1}``.
        reject: Passage that must not come back: ``{"contains": "60 days"}``, or several.
        max_latency_ms: Most milliseconds that retrieval may take.
        chunk: How documents are cut: ``{"by": "headings", "size": 200}``.
        retrieve: How passages are found: ``{"by": "rrf", "k": 5}``.
        encoding: Charset of documents that are not UTF-8 and do not name a charset; or charsets by patterns of their
            paths below the corpus: ``{"old/*.txt": "big5"}``.
        expected_failures: Reason why the probe can't hold, by name of the model.
    """


def descriptions() -> tuple[str, ...]:
    """Return the lines of ``pytest --markers``: labels with what they select, and markers with their arguments."""
    return (
        *(f"{label}: {meaning}" for label, meaning in LABELS.items()),
        *map(described, EXAMPLES),
        f"{INVARIANTS}: set by the decorator of that name",
    )

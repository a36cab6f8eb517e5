"""Names of the markers, of their fixtures and of the capabilities they belong to."""

from __future__ import annotations

TASK, BENCHMARK, PARITY = "mteb_task", "mteb_benchmark", "parity"
INVARIANTS, THROUGHPUT = "parametrize_with_invariants", "throughput"
RAG = "rag_probe"
# The fixture of the model under test.
ENCODER = "encoder"
# The fixture that holds what a marker's test looks at.
RESULTS = {
    TASK: "task_result",
    BENCHMARK: "task_result",
    PARITY: "parity_result",
    INVARIANTS: "invariant",
    THROUGHPUT: "speed_result",
    RAG: "probe_result",
}
# What stands beside the marker of a task.
MODIFIERS = ("matryoshka", "quantized")
# The marker that selects the tests of a capability, where its own has another name.
CAPABILITIES = {TASK: "quality", BENCHMARK: "quality", INVARIANTS: "invariants", THROUGHPUT: "speed", RAG: "rag"}
# Each marker as it may be written, without ``@``; one that needs no arguments has some here, too.
EXAMPLES = {
    TASK: 'mteb_task("ArguAna", min_ndcg_at_10=0.48)',
    BENCHMARK: 'mteb_benchmark("MTEB(eng, v2)", min_mean=0.6)',
    PARITY: 'parity(reference="st:ORG/MODEL", min_cosine=0.999)',
    "matryoshka": "matryoshka(dims=[256, 128], max_loss=0.01)",
    "quantized": 'quantized("int8", max_loss=0.01)',
    THROUGHPUT: "throughput(min_texts_per_s=100)",
    RAG: 'rag_probe(ask="How long?", corpus="documents", expect={"contains": "30 days"})',
}
# The property of a test that says so, in every report of it.
CAPABILITY = "embedqa.capability"
DESCRIPTIONS = (
    "quality: measures embedding quality on a task",
    "invariants: checks what must hold for any encoder",
    f"{TASK}(task, *, min_<metric>, max_<metric>, vs_published, max_regression, dims, splits, subsets, languages, limit, max_minutes): thresholds on an mteb task or a task on own data",
    f"{BENCHMARK}(name, *, min_mean, min_mean_by_type, vs_published, max_regression, limit, max_minutes): the tasks of an mteb benchmark, one test each",
    f"{PARITY}(*, reference, min_cosine, min_mean_cosine, min_overlap, batch_sizes, strata, max_tokens): the encoder gives the same vectors as another",
    "matryoshka(*, dims, max_loss): beside a task: what shorter vectors cost",
    "quantized(precision, *, max_loss, rescore): beside a task: what int8 or binary vectors cost",
    "speed: measures speed",
    f"{THROUGHPUT}(*, min_texts_per_s, min_tokens_per_s, max_p50_ms, max_p95_ms, max_p99_ms, max_memory_mb, max_gpu_memory_mb, min_ratio, against, batch_size, length, max_seconds): bounds on speed, on pytest-benchmark",
    "rag: asks a knowledge base, and checks what comes back",
    f"{RAG}(*, ask, corpus, expect, reject, max_latency_ms, chunk, retrieve, ...): one probe, as in a *.probe.yaml file",
    f"{INVARIANTS}: set by the decorator of that name",
)


# Words that other projects mark tests with, too.
_COMMON = frozenset({PARITY, THROUGHPUT, *MODIFIERS})


# Last "task" of a benchmark: the mean of the others.
MEAN = "mean"

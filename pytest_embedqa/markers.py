"""The table of capabilities: each marker, its fixture, the label of its tests, and the module that checks it."""

from __future__ import annotations

from dataclasses import dataclass

TASK, BENCHMARK, PARITY = "mteb_task", "mteb_benchmark", "parity"
INVARIANTS, THROUGHPUT = "parametrize_with_invariants", "throughput"
RAG, INDEX = "rag_probe", "index_recall"
# The fixture that holds the model under test.
ENCODER = "encoder"
# The fixture that holds it where it scores pairs.
RERANKER = "reranker"
# The last "task" of a benchmark is the mean of all the others.
MEAN = "mean"
# Endings of the names of probe files.
PROBE_FILES = (".probe.yaml", ".probe.yml")
# The user property that names the capability of a test in every report.
CAPABILITY = "embedqa.capability"


@dataclass(frozen=True)
class Marker:
    """A marker that this plugin judges.

    Attributes:
        fixture: Name of the fixture that holds the result of the marked test.
        label: The marker that selects all tests of the capability: ``-m quality``.
        check: The module of ``plugin.checks`` that parses and judges the marker.
        needs_arguments: Whether the marker means nothing without arguments.
    """

    fixture: str
    label: str
    check: str
    needs_arguments: bool = False


MARKERS = {
    TASK: Marker("task_result", "quality", "quality", needs_arguments=True),
    BENCHMARK: Marker("task_result", "quality", "quality"),
    PARITY: Marker("parity_result", PARITY, "parity", needs_arguments=True),
    INVARIANTS: Marker("invariant", "invariants", "invariants"),
    THROUGHPUT: Marker("speed_result", "speed", "speed"),
    RAG: Marker("probe_result", "rag", "rag", needs_arguments=True),
    INDEX: Marker("index_result", "index", "index", needs_arguments=True),
}
# Markers that modify the marker of a task.
MODIFIERS = ("matryoshka", "quantized")
LABELS = {
    "quality": "measures embedding quality on a task",
    "invariants": "checks what must hold for any encoder",
    "speed": "measures speed",
    "rag": "asks a knowledge base, and checks what comes back",
    "index": "compares an index with exact search",
}
# An example of each marker, without ``@``; it has arguments even where the marker needs none.
EXAMPLES = {
    TASK: 'mteb_task("ArguAna", min_ndcg_at_10=0.48)',
    BENCHMARK: 'mteb_benchmark("MTEB(eng, v2)", min_mean=0.6)',
    PARITY: 'parity(reference="st:ORG/MODEL", min_cosine=0.999)',
    "matryoshka": "matryoshka(dims=[256, 128], max_loss=0.01)",
    "quantized": 'quantized("int8", max_loss=0.01)',
    THROUGHPUT: "throughput(min_texts_per_s=100)",
    RAG: 'rag_probe(ask="How long?", corpus="documents", expect={"contains": "30 days"})',
    INDEX: 'index_recall("SciFact", index="faiss:HNSW32?efSearch=64", min_recall_at_10=0.95)',
}
# Names that other projects use for markers of their own, too.
COMMON_WORDS = frozenset({PARITY, THROUGHPUT, *MODIFIERS})

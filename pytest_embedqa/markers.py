"""The table of capabilities: each marker, the fixture that it brings, the label of its tests, and the module that checks it."""

from __future__ import annotations

from dataclasses import dataclass

TASK, BENCHMARK, PARITY = "mteb_task", "mteb_benchmark", "parity"
INVARIANTS, THROUGHPUT = "parametrize_with_invariants", "throughput"
RAG = "rag_probe"
# The fixture of the model under test.
ENCODER = "encoder"
# Last "task" of a benchmark: the mean of the others.
MEAN = "mean"
# The property of a test that names its capability, in every report of it.
CAPABILITY = "embedqa.capability"


@dataclass(frozen=True)
class Marker:
    """A marker whose tests are judged.

    Attributes:
        fixture: The fixture that holds what its test looks at.
        label: The marker that selects the tests of its capability: ``-m quality``.
        check: The module of ``plugin.checks`` that reads and judges it.
        needs_arguments: Whether it says nothing without any.
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
}
# What stands beside the marker of a task.
MODIFIERS = ("matryoshka", "quantized")
LABELS = {
    "quality": "measures embedding quality on a task",
    "invariants": "checks what must hold for any encoder",
    "speed": "measures speed",
    "rag": "asks a knowledge base, and checks what comes back",
}
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
# Words that other projects mark tests with, too.
COMMON_WORDS = frozenset({PARITY, THROUGHPUT, *MODIFIERS})

"""Names of the markers, and how an item is asked for its own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest

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


def ours(marks: Iterable[pytest.Mark], config: pytest.Config) -> list[pytest.Mark]:
    """Those of some markers that we judge by, in the same order.

    A marker that is called as one of ours, but is registered by the project and has no argument of ours, is the project's.
    """
    known = [mark for mark in marks if mark.name in RESULTS or mark.name in MODIFIERS]
    return [mark for mark in known if mark.name not in _COMMON or mark.kwargs or not _is_registered(mark.name, config)]


def _is_registered(name: str, config: pytest.Config) -> bool:
    """Whether the project, or another plugin, has registered a marker of this name."""
    others = (line for line in config.getini("markers") if line not in DESCRIPTIONS)
    return any(re.split(r"[:(]", line, maxsplit=1)[0].strip() == name for line in others)


def find_mark(item: pytest.Item) -> pytest.Mark | None:
    """The marker of ours that an item has, if any."""
    return next((mark for mark in own_marks(item) if mark.name in RESULTS), None)


def own_marks(item: pytest.Item) -> list[pytest.Mark]:
    """All markers of ours that an item has, the closest first."""
    return ours(item.iter_markers(), item.config)


def parameters_of(item: pytest.Item) -> Mapping[str, Any]:
    """The parameters of a test, by name."""
    return item.callspec.params if hasattr(item, "callspec") else {}


def encoder_fixtures(node: pytest.Item) -> Sequence[Any]:
    """The fixtures ``encoder`` that a test can see: each stands over the one before, the last is the test's own."""
    known = getattr(node, "_fixtureinfo", None)  # pytest has no public way to ask
    return known.name2fixturedefs.get(ENCODER, ()) if known else ()


def uses_encoder(node: pytest.Item) -> bool:
    """Whether a test has our fixture ``encoder``, or one of the project's own that extends it.

    A fixture or a parameter of another project may be called so, too: what is ours is known by where it is defined. A marker
    that came after pytest had listed the fixtures of a test brings ours with it.
    """
    mark, known = find_mark(node), getattr(node, "_fixtureinfo", None)
    if mark and known and RESULTS[mark.name] not in known.name2fixturedefs:
        return True
    for definition in reversed(encoder_fixtures(node)):
        if getattr(definition.func, "__module__", "") == f"{__package__}.fixtures":
            return True
        if ENCODER not in definition.argnames:
            return False
    return False


def is_ours(item: pytest.Item) -> bool:
    """Whether an item is a test of embedding quality, or of the user's own with our encoder."""
    return any(name == CAPABILITY for name, _ in item.user_properties)

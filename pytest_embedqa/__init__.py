"""Embedding quality as tests: thresholds on MTEB tasks and on your own data, as ordinary pytest tests.

The public names are loaded on first use: importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_embedqa.decorators import (
        index_recall,
        matryoshka,
        mteb_benchmark,
        mteb_task,
        parametrize_with_invariants,
        parity,
        quantized,
        rag_probe,
        throughput,
    )
    from pytest_embedqa.encoders.prompts import DOCUMENT, QUERY, SYMMETRIC
    from pytest_embedqa.encoders.retrievers.passage import Passage
    from pytest_embedqa.quality.own_tasks import bitext_task, pair_task, retrieval_task, sts_task

_HOMES = {
    "DOCUMENT": "encoders.prompts",
    "Passage": "encoders.retrievers.passage",
    "QUERY": "encoders.prompts",
    "SYMMETRIC": "encoders.prompts",
    "bitext_task": "quality.own_tasks",
    "index_recall": "decorators",
    "matryoshka": "decorators",
    "mteb_benchmark": "decorators",
    "mteb_task": "decorators",
    "pair_task": "quality.own_tasks",
    "parametrize_with_invariants": "decorators",
    "parity": "decorators",
    "quantized": "decorators",
    "rag_probe": "decorators",
    "retrieval_task": "quality.own_tasks",
    "sts_task": "quality.own_tasks",
    "throughput": "decorators",
}

__all__ = [
    "DOCUMENT",
    "QUERY",
    "SYMMETRIC",
    "Passage",
    "bitext_task",
    "index_recall",
    "matryoshka",
    "mteb_benchmark",
    "mteb_task",
    "pair_task",
    "parametrize_with_invariants",
    "parity",
    "quantized",
    "rag_probe",
    "retrieval_task",
    "sts_task",
    "throughput",
]


def __getattr__(name: str) -> Any:  # any public name
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)

"""The facts that probes report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pytest_embedqa.rag.judging import place_of, snippet_of
from pytest_embedqa.rag.retrieval import Chain

if TYPE_CHECKING:
    from pytest_embedqa.encoders.retrievers.passage import Retriever
    from pytest_embedqa.rag.group import Decay
    from pytest_embedqa.rag.judging import Answer
    from pytest_embedqa.rag.probe import ProbeFile


def probe_facts(
    file: ProbeFile, answer: Answer, model: str, shown: str, retriever: Retriever | None = None
) -> dict[str, Any]:
    """Return a probe's question, answer and faults, JSON-serialisable; ``shown`` is the name of its file."""
    chain = retriever if isinstance(retriever, Chain) else None
    expect = answer.probe.expect
    return {
        "model": model,
        "file": shown,
        "path": str(file.path),
        "name": answer.probe.name,
        "ask": answer.probe.ask,
        "holds": answer.holds,
        "rank": answer.rank,
        "recall": answer.recall,
        "expected": [str(piece) for piece in expect.pieces] if expect else [],
        "by": chain and chain.by,
        "scale": chain and chain.scale,
        "missing": list(answer.missing),
        "lost": [one.facts() for one in answer.lost],
        "intruders": list(answer.intruders),
        "milliseconds": answer.milliseconds,
        "too_slow": answer.too_slow,
        "in_short": answer.in_short,
        "passages": [
            {"source": one.source, "pages": place_of(one), "score": one.score, "snippet": snippet_of(one, answer.probe)}
            for one in answer.passages
        ],
        "notes": list(answer.notes),
    }


def decay_facts(decays: Sequence[Decay], model: str, shown: str) -> dict[str, Any]:
    """Return the effect of a variation on a file's probes, level by level, JSON-serialisable."""
    return {"model": model, "file": shown, "levels": [asdict(one) for one in decays]}

"""An evaluation in the two files of a baseline: its scores for people, and the data to compare them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pytest_embedqa.core.evaluation import Evaluation, Subject
from pytest_embedqa.core.evidence import Evidence, Exhibit, Units
from pytest_embedqa.upgrade import stored

# Documents kept of a ranking, and documents kept with their texts.
RANKED, SHOWN = 10, 5


def readable_facts(evaluation: Evaluation) -> dict[str, Any]:
    """Return what the readable file has of an evaluation, JSON-serialisable."""
    parts: dict[str, dict[str, float]] = {}
    for (split, subset), score in evaluation.parts.items():
        parts.setdefault(split, {})[subset] = score
    return {
        **evaluation.subject.as_dict(),
        "type": evaluation.type,
        "metric": evaluation.metric,
        "score": evaluation.score,
        "parts": parts,
        "units": evaluation.evidence.count if evaluation.evidence else 0,
        "data_revision": evaluation.data_revision,
        "libraries": dict(evaluation.libraries),
        **({"stages": dict(evaluation.stages)} if evaluation.stages else {}),
    }


def evidence_facts(evaluation: Evaluation) -> dict[str, Any] | None:
    """Return what the evidence has of an evaluation, JSON-serialisable; ``None`` where there is none."""
    evidence = evaluation.evidence
    if evidence is None:
        return None
    parts = []
    for part in evidence.parts:
        exhibit = evaluation.exhibits.get((part.split, part.subset), Exhibit())
        shown = {
            document
            for unit in part.ids
            for document in [*exhibit.rankings.get(unit, ())[:SHOWN], *exhibit.relevant.get(unit, ())[:SHOWN]]
        }
        parts.append(
            {
                "split": part.split,
                "subset": part.subset,
                "ids": list(part.ids),
                "values": part.values.tolist(),
                "labels": None if part.labels is None else part.labels.tolist(),
                "texts": [exhibit.texts.get(unit, "") for unit in part.ids],
                "rankings": {unit: list(ranking[:RANKED]) for unit, ranking in exhibit.rankings.items()},
                "relevant": {unit: list(relevant) for unit, relevant in exhibit.relevant.items()},
                "documents": {document: exhibit.documents.get(document, "") for document in sorted(shown)},
                **_candidates(evaluation.candidates.get((part.split, part.subset), {})),
            }
        )
    return {"statistic": evidence.statistic, "unit": evidence.unit, "parts": parts}


def _candidates(found: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    return {"candidates": {query: list(documents) for query, documents in found.items()}} if found else {}


def read_evaluation(facts: Mapping[str, Any], kept: Mapping[str, Any] | None) -> Evaluation:
    """Return the evaluation of what both files have of it."""
    asked: dict[str, Any] = {
        name: tuple(facts[name]) if isinstance(facts[name], list) else facts[name]
        for name in (
            "task",
            "splits",
            "subsets",
            "languages",
            "limit",
            "dim",
            "first_stage",
            "top_k",
            "index",
            "measure",
        )
        if name in facts
    }
    parts = kept["parts"] if kept else []
    for part in parts:
        stored.require_consistent(part, kept["statistic"] if kept else "")
    return Evaluation(
        subject=Subject(**asked),
        type=facts["type"],
        metric=facts["metric"],
        score=float(facts["score"]),
        parts={(split, subset): score for split, scores in facts["parts"].items() for subset, score in scores.items()},
        data_revision=facts["data_revision"],
        libraries=facts["libraries"],
        evidence=Evidence(kept["statistic"], kept["unit"], tuple(map(_units, parts))) if kept else None,
        exhibits={
            (part["split"], part["subset"]): Exhibit(
                dict(zip(part["ids"], part["texts"], strict=True)),
                part["rankings"],
                part["relevant"],
                part["documents"],
            )
            for part in parts
        },
        candidates={(part["split"], part["subset"]): part["candidates"] for part in parts if "candidates" in part},
        stages=facts.get("stages", {}),
    )


def _units(part: Mapping[str, Any]) -> Units:
    labels = part["labels"]
    return Units(
        part["split"],
        part["subset"],
        tuple(part["ids"]),
        np.array(part["values"], dtype=np.float64),
        None if labels is None else np.array(labels, dtype=np.float64),
    )

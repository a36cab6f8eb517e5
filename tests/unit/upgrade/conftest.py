"""Evaluations that need no model."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_embedqa.core.evaluation import Evaluation, Subject
from pytest_embedqa.core.evidence import Evidence, Exhibit, Units
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.upgrade.baseline import Baseline

PART = ("test", "default")


@pytest.fixture
def queries():
    """Makes the evaluation of a retrieval task from the score of each query."""

    def make(values, task="Faq", **changes):
        ids = tuple(f"q{number}" for number in range(len(values)))
        evidence = Evidence("mean", "queries", (Units(*PART, ids, np.asarray(values, dtype=float)),))
        rankings = {
            unit: ["d0", "d1", "d2"] if value > 0.5 else ["d2", "d1"] for unit, value in zip(ids, values, strict=True)
        }
        exhibit = Exhibit(
            {unit: f"question {unit}" for unit in ids},
            rankings,
            {unit: ["d0"] for unit in ids},
            {"d0": "the answer", "d1": "another text", "d2": "a third"},
        )
        facts = {
            "subject": Subject(task),
            "type": "Retrieval",
            "metric": "ndcg_at_10",
            "score": evidence.value,
            "parts": {PART: evidence.value},
            "data_revision": "sha256:1234",
            "libraries": {"mteb": "2.26.24"},
            "evidence": evidence,
            "exhibits": {PART: exhibit},
        }
        return Evaluation(**{**facts, **changes})

    return make


@pytest.fixture
def pairs():
    """Makes the evaluation of an STS task from similarities and grades."""

    def make(similarities, grades, task="Pairs"):
        ids = tuple(map(str, range(len(grades))))
        units = Units(*PART, ids, np.asarray(similarities, dtype=float), np.asarray(grades, dtype=float))
        evidence = Evidence("spearman", "pairs", (units,))
        texts = Exhibit({unit: f"one ↔ two {unit}" for unit in ids})
        return Evaluation(
            Subject(task, splits=("test",), limit=7, dim=64),
            "STS",
            "cosine_spearman",
            evidence.value,
            {PART: evidence.value},
            "abc",
            {},
            evidence,
            {PART: texts},
        )

    return make


@pytest.fixture
def baseline(queries, pairs):
    """A baseline with a retrieval task, an STS task, and one without units."""
    bare = queries([1.0], "Bare", evidence=None, exhibits={}, score=0.25, parts={PART: 0.25})
    return Baseline(
        {"spec": "st:models/old", "digest": "d" * 64, "prompts_from": "none", **Identity("old", "st").as_dict()},
        np.eye(3, 4, dtype=np.float32),
        (queries([1.0, 0.5, 0.0]), pairs([0.1, 0.5, 0.9], [1, 3, 2]), bare),
    )

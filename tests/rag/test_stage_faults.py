"""Each stage of a knowledge base broken on purpose, with real models and documents: the failure names it, and no other.

A part of the bench; ``benchmarks/blame.py`` has all of it.
"""

from __future__ import annotations

import pytest
from stage_faults import DISTRACTORS, FAULTS, LANGUAGES, LONG, holding, outcome

# In the order of the stages.
QUICK = [
    ("fonts without letters", LONG),
    ("answers are cut in two", LONG),
    ("another model, which knows one language", LONG),
    ("instruction of another task", LANGUAGES),
    ("index looks at one cell of 12", LANGUAGES),
    ("first stage without segmentation", DISTRACTORS),
    ("as many candidates as k", DISTRACTORS),
    ("reranker turned round", DISTRACTORS),
    ("fusion drowns the model", LANGUAGES),
    ("k = 1", DISTRACTORS),
    ("the probe names another page", LONG),
    ("the probe names another document", DISTRACTORS),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "experiment"), QUICK)
def test_the_broken_stage_is_named(name, experiment):
    """Probes that held are lost, and for most of what they lost the stage that was broken is named."""
    found = outcome(FAULTS[name], experiment)
    assert found.lost > 0
    assert found.most == FAULTS[name].stage, found.lines
    assert found.named[FAULTS[name].stage] > found.lost / 2, found.lines


@pytest.mark.slow
@pytest.mark.parametrize("by", ["model", "bm25", "rrf", "rerank"])
def test_nothing_is_lost_where_probes_hold(by):
    """No stage is named for what came back, however it was found; what did not come back has one."""
    name = {"bm25": "BM25 without segmentation", "rerank": "reranker turned round"}.get(by, "k = 1")
    if by == "rrf":
        name = "index looks at one cell, fused with words"
    sound = FAULTS[name].sound(DISTRACTORS)
    assert sound.file.retrieval.by == by
    assert len(holding(sound)) > 20  # which also follows each of them


def test_every_stage_is_broken():
    """At least fourteen faults, of every stage of the built-in chain."""
    assert len(FAULTS) >= 14
    assert {fault.stage for fault in FAULTS.values()} == {
        *("extraction", "chunking", "source", "page", "model", "prompt", "index", "bm25"),
        *("fusion", "candidates", "reranker", "cut"),
    }

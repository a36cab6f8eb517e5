"""Faults in real pipelines, on real data: the diagnosis names the one that was put in, and nothing in sound ones.

The quick ones of the bench; ``benchmarks/diagnosis_faults.py`` has all.
"""

from __future__ import annotations

import pytest
from pipeline_faults import FAULTS, HEALTHY, ask, data, diagnose_fault

pytestmark = pytest.mark.slow

QUICK = [
    "no normalisation with dot product",
    "wrong pooling",
    "max length 64",
    "soft hyphens in the texts",
    "texts read to the first line break",
    "cut to 32 dimensions",
    "corpus file cut off",
]
SOUND = ["all-MiniLM-L6-v2, similarity", "all-MiniLM-L6-v2, code", "Universal Sentence Encoder, similarity"]


@pytest.mark.parametrize("name", QUICK)
def test_the_cause_is_named_first(datasets_folder, tmp_path, name):
    """The fault costs points, its cause comes first, and undoing it gives most of them back."""
    outcome = diagnose_fault(FAULTS[name], tmp_path, datasets_folder)
    found = outcome.diagnosis
    cost = outcome.sound - found.score
    assert cost > 0.03
    assert FAULTS[name].cause in found.findings[0].cause, found.lines
    assert found.findings[0].recovered > 0.5 * cost


@pytest.mark.parametrize("name", SOUND)
def test_nothing_is_wrong_with_a_sound_set_up(datasets_folder, name):
    """No cause is named where there is none, whatever was tried."""
    make, task, units = HEALTHY[name]
    found = ask(make(), data(datasets_folder, task, units))
    assert found.findings == (), found.lines
    assert found.tried

"""Faults in real pipelines, on real data: the diagnosis names the one that was put in, and nothing in sound ones.

The quick ones of the bench; ``benchmarks/diagnosis.py`` has all.
"""

from __future__ import annotations

import pytest
from pipeline_faults import CODE, FAULTS, SIMILARITY, UNIVERSAL, ask, data, diagnose_fault, load

from pytest_embedqa.encoders.spec import parse_spec

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
# Sound set-ups: the encoder, its task and units, and a change that gains there although nothing is wrong.
SOUND = {
    "similarity": ("builtin", SIMILARITY, 150, ""),
    "code": ("builtin", CODE, 64, ""),
    "Chinese": ("builtin", "LCQMC", 1000, "with pooling=cls"),
    "classes": ("builtin", "SIB200Classification eng_Latn", 200, "with pooling=lasttoken"),
    "similarity, another model": (UNIVERSAL, SIMILARITY, 150, ""),
}


@pytest.mark.parametrize("name", QUICK)
def test_the_cause_is_named_first(datasets_folder, tmp_path, name):
    """The fault costs points, its cause comes first, and undoing it gives most of them back."""
    outcome = diagnose_fault(FAULTS[name], tmp_path, datasets_folder)
    found = outcome.diagnosis
    cost = outcome.sound - found.score
    assert cost > 0.03
    assert FAULTS[name].cause in found.findings[0].cause, found.lines
    assert found.findings[0].recovered > 0.5 * cost


@pytest.mark.parametrize("name", [name for name in QUICK if FAULTS[name].in_files])
def test_files_are_not_doubted_without_a_published_score(datasets_folder, tmp_path, name):
    """Nothing tells a wrong file from a model that was trained so: what gains is an observation."""
    found = diagnose_fault(FAULTS[name], tmp_path, datasets_folder, published=False).diagnosis
    assert found.findings == ()
    assert found.observations[0].gained > 0.03


@pytest.mark.parametrize("name", SOUND)
def test_nothing_is_wrong_with_a_sound_set_up(datasets_folder, name):
    """No cause is named where there is none, whatever was tried and whatever it gains."""
    spec, task, units, gains = SOUND[name]
    found = ask(load(parse_spec(spec)), data(datasets_folder, task, units))
    assert found.findings == (), found.lines
    assert found.tried
    assert [one.evidence for one in found.observations if one.evidence.startswith(gains)] or not gains

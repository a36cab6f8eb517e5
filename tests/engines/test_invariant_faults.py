"""Every fault of an engine is caught by the invariant that is meant for it, and real models without fault pass."""

from __future__ import annotations

import engine_faults
import pytest
import tiny_qwen3
from engine_faults import BY_DESIGN, FAULTS, MINILM, UNIVERSAL
from kind_faults import FAULTS_BY_KIND

from pytest_embedqa.core.errors import EmbedQAError
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.invariants.catalogue import catalogue
from pytest_embedqa.invariants.invariant import NotApplicableError

CATALOGUE = catalogue()


def holds(name, encoder):
    """Whether an invariant holds; ``None`` where it does not apply. An encoder that gives up does not pass."""
    try:
        return CATALOGUE[name].judge(encoder)[0].passed
    except NotApplicableError:
        return None
    except EmbedQAError:
        return False


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_caught(name, load):
    """The invariants that are meant for a fault fail."""
    fault = FAULTS[name]
    encoder = fault.put_into(load(fault.model))
    assert {one: holds(one, encoder) for one in fault.caught_by} == dict.fromkeys(fault.caught_by, False)


@pytest.mark.slow
@pytest.mark.parametrize("spec", [MINILM, UNIVERSAL], ids=["minilm", "universal"])
def test_model_without_fault_passes(spec, load):
    """Nothing is a false alarm but what these models are by design."""
    found = {name for name in CATALOGUE if holds(name, load(spec)) is False}
    assert found == BY_DESIGN[spec]


@pytest.mark.parametrize("eos", [True, False], ids=["with", "without"])
def test_missing_closing_token_is_caught(tmp_path, eos):
    """A model that pools its last token needs one of its own at the end of a text."""
    encoder = load_encoder(parse_spec(f"st:{tiny_qwen3.make(tmp_path / 'model', eos=eos)}"), None)
    assert holds("closing_token", encoder) is eos
    for name in ("dimension", "deterministic", "cut_where_promised", "instruction_matters"):
        assert holds(name, encoder) is True


def test_every_invariant_catches_a_fault():
    """None is there that no fault needs; one has a model and a test of its own."""
    everything = [*FAULTS.values(), *(fault for faults in FAULTS_BY_KIND.values() for fault in faults.values())]
    caught = {name for fault in everything for name in fault.caught_by}
    # The only reranker at hand fails the second by design.
    assert set(CATALOGUE) - caught == {"closing_token", "answers_first_by_language"}


def test_faults_are_as_many_as_promised():
    """More than one kind of fault for each sort of invariant."""
    assert len(FAULTS) >= 15
    assert engine_faults.PROMPT

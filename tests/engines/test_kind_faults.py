"""Every fault of a sparse encoder, a multi-vector encoder or a reranker is caught by the invariant that is meant for it."""

from __future__ import annotations

import kind_faults
import pytest
from kind_faults import BY_DESIGN, FAULTS_BY_KIND
from test_invariant_faults import holds

from pytest_embedqa.encoders.load import load_model
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.invariants.catalogue import catalogue
from pytest_embedqa.invariants.invariant import ENCODERS, RERANKER

CASES = [(kind, name) for kind, faults in FAULTS_BY_KIND.items() for name in faults]


@pytest.fixture(scope="session")
def model(retriever):
    """A model by its name, with the keys of its spec; each is loaded once."""
    loaded = {}

    def load_once(text):
        if text not in loaded:
            name, _, keys = text.partition("?")
            loaded[text] = load_model(parse_spec(f"st:{retriever(name)}?{keys}".removesuffix("?")), None)
        return loaded[text]

    yield load_once
    for one in loaded.values():
        one.close()


@pytest.mark.parametrize(("kind", "name"), CASES, ids=[f"{kind}: {name}" for kind, name in CASES])
def test_fault_is_caught(kind, name, model):
    """The invariants that are meant for a fault fail; they hold for the model without it."""
    fault = FAULTS_BY_KIND[kind][name]
    whole = model(fault.model)
    assert whole.kind == kind
    spoilt = fault.put_into(whole)
    assert {one: holds(one, spoilt) for one in fault.caught_by} == dict.fromkeys(fault.caught_by, False)


@pytest.mark.parametrize("name", kind_faults.MISSED)
def test_fault_that_none_catches(name, model):
    """The page says so: it would be wrong if an invariant that could see it did."""
    fault = kind_faults.MISSED[name]
    spoilt = fault.put_into(model(fault.model))
    names = ("few_dimensions", "no_negative_weight", "repetition_saturates", "answers_first", "prompts_as_promised")
    assert not [one for one in names if holds(one, spoilt) is False]


@pytest.mark.slow
@pytest.mark.parametrize("name", BY_DESIGN)
def test_model_without_fault_passes(name, model):
    """Nothing is a false alarm but what these models are by design."""
    whole = model(name)
    promised = [one.name for one in catalogue().values() if whole.kind in one.kinds]
    assert {one for one in promised if holds(one, whole) is False} == BY_DESIGN[name]


def test_kinds_are_known():
    """No invariant is for a kind that no model has, and each kind has faults."""
    assert {kind for one in catalogue().values() for kind in one.kinds} == {*ENCODERS, RERANKER}
    assert set(FAULTS_BY_KIND) == {"sparse", "multi-vector", "reranker"}
    assert kind_faults.BY_DESIGN

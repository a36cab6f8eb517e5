"""The session object: what it holds, and what it lets go."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from pytest_embedqa.encoders.engines.python_callable import PythonEngine
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.session import Session
from pytest_embedqa.settings import Settings

NEW, OLD = parse_spec("python:a_model:new"), parse_spec("python:a_model:old")


@pytest.fixture
def session(monkeypatch):
    """A session that tests one function against another."""
    module = ModuleType("a_model")
    module.new = module.old = lambda texts: np.eye(4)[: len(texts)]
    monkeypatch.setitem(sys.modules, "a_model", module)
    session = Session(Settings(models=(NEW,), baseline=OLD))
    yield session
    session.close()


@pytest.fixture
def closed(monkeypatch):
    """Names of the engines that were closed."""
    names = []
    monkeypatch.setattr(PythonEngine, "close", lambda engine: names.append(engine.identity.model))
    return names


def test_an_encoder_is_loaded_once_until_it_is_released(session, closed):
    """Its device is free as soon as no further test needs it; asked for again, it is loaded again."""
    first = session.encoder(NEW)
    assert session.encoder(NEW) is first
    session.release(NEW)
    assert closed == ["a_model:new"]
    assert session.encoder(NEW) is not first


def test_the_baseline_stays_until_the_end(session, closed):
    """The tests that come are compared with it, too."""
    old = session.encoder(OLD)
    session.release(OLD)
    assert closed == []
    assert session.encoder(OLD) is old


def test_the_end_frees_every_encoder(session, closed):
    """Of the model under test and of the baseline."""
    session.encoder(NEW), session.encoder(OLD)
    session.close()
    assert sorted(closed) == ["a_model:new", "a_model:old"]


def test_the_end_frees_what_was_opened_if_one_part_fails(session, monkeypatch, closed):
    """A retriever that can't be closed keeps no encoder open, and is still an error."""
    session.encoder(NEW)
    monkeypatch.setattr(session.probing, "close", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        session.close()
    assert closed == ["a_model:new"]
    monkeypatch.undo()


def test_only_a_run_with_a_baseline_has_a_gate(session):
    """Without one nothing is compared."""
    assert session.gate is session.gate is not None
    assert Session(Settings(models=(NEW,))).gate is None


@pytest.mark.parametrize(("gap", "far"), [(None, False), (0.0, False), (-0.02, False), (-0.04, True)])
def test_far_below_published(session, gap, far):
    """More than three points below its published score a model must be set up wrongly."""
    session._evaluator = SimpleNamespace(published_gap=lambda _: gap)
    assert session.is_far_below_published(None) is far

"""From a spec to an encoder: options reach their place, and prompts come from the first source that has any."""

from __future__ import annotations

import contextlib
import sys

import pytest

from pytest_embedqa.core.errors import EngineError, SpecError
from pytest_embedqa.encoders import load
from pytest_embedqa.encoders.engine import Limits
from pytest_embedqa.encoders.load import engine_class, load_encoder, read_all_options
from pytest_embedqa.encoders.prompts import Prompts
from pytest_embedqa.encoders.spec import Spec, parse_spec
from pytest_embedqa.encoders.store import Store

MTEB = Prompts("mteb", {"query": "mteb: "})
MODEL = Prompts("model", {"query": "model: "})


@pytest.fixture
def store():
    """A temporary store."""
    with contextlib.closing(Store(None)) as store:
        yield store


@pytest.fixture
def fake(fake_engine, monkeypatch):
    """Specs of the engine ``st`` load the fake engine, which declares prompts of its own."""

    class WithPrompts(fake_engine):
        def __init__(self, **settings):
            super().__init__(**settings)
            self.prompts = MODEL

    monkeypatch.setattr(load, "engine_class", lambda _spec: WithPrompts)
    return WithPrompts


def test_options_reach_their_place(fake, store):
    """Common keys are the encoder's, the rest is the engine's."""
    spec = parse_spec("st:org/model?name=org/public&dim=4&clean=nfc&batch_tokens=99&batch_size=7&version=2")
    encoder = load_encoder(spec, store)
    assert encoder.spec is spec
    assert (encoder.name, encoder.dim, encoder.identity.clean) == ("org/public", 4, "nfc")
    assert encoder._limits == Limits(99, 7)
    assert encoder._engine.loaded_with == {"version": "2"}


def test_without_options_the_engine_decides(fake, store):
    """Name, dimensions and limits are the engine's, and texts stay as they are."""
    encoder = load_encoder(parse_spec("st:org/model"), store)
    assert (encoder.name, encoder.dim, encoder.identity.dim, encoder.identity.clean) == ("org/model", 8, None, "none")
    assert encoder._limits == encoder._engine.limits
    assert encoder._engine.loaded_with == {}


def test_one_limit_keeps_the_other(fake, store):
    """Setting one limit leaves the engine's other one."""
    assert load_encoder(parse_spec("st:m?batch_size=3"), store)._limits == Limits(100_000, 3)


@pytest.mark.parametrize(
    ("query", "lookup", "prompts"),
    [
        ("?query_prompt=q:%20", MTEB, Prompts("spec", {"query": "q: ", "document": ""}, placeholder=True)),
        ("?document_prompt=d:%20", MTEB, Prompts("spec", {"query": "", "document": "d: "}, placeholder=True)),
        ("?query_prompt=", MTEB, Prompts("spec", {"query": "", "document": ""}, placeholder=True)),
        ("", MTEB, MTEB),
        ("", None, MODEL),
    ],
)
def test_prompts_come_from_the_spec_then_mteb_then_the_model(fake, store, query, lookup, prompts):
    """The first source that has prompts decides alone; an empty prompt in the spec turns all off."""
    encoder = load_encoder(parse_spec(f"st:m{query}"), store, mteb_prompts=lambda _name, _own: lookup)
    assert encoder.prompts == prompts


def test_no_prompts_anywhere(fake_engine, store, monkeypatch):
    """Without any source there are none, also without a look-up in mteb."""
    monkeypatch.setattr(load, "engine_class", lambda _spec: fake_engine)
    assert load_encoder(parse_spec("st:m"), store).prompts == Prompts("none")


def test_mteb_is_asked_by_the_public_name(fake, store):
    """A copy of a model in a folder gets its published prompts by ``name=``; mteb is told what the model declares."""
    asked = []
    for spec in ("st:./copy?name=org/public", "st:org/model"):
        load_encoder(parse_spec(spec), store, mteb_prompts=lambda *told: asked.append(told))
    assert asked == [("org/public", MODEL), ("org/model", MODEL)]


def test_progress_is_handed_on(fake, store):
    """The session's progress is told about an encoding."""
    begun = []

    @contextlib.contextmanager
    def progress(label, total):
        begun.append((label, total))
        yield lambda _done: None

    load_encoder(parse_spec("st:m"), store, progress=progress).encode(["a"])
    assert begun == [("st:m", 1)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "python:m:f?dims=3",
            r"Unknown key 'dims' in the spec 'python:m:f\?dims=3'. Did you mean 'dim'\?\nThe engine 'python' knows: .*version",
        ),
        ("python:m:f?clean=html", "clean=html is wrong: one of none, whitespace, printable, nfc, lower is expected"),
        ("python:m:f?batch_size=0", "batch_size=0 is wrong: a whole number from 1 up"),
    ],
)
def test_wrong_option_is_found_without_loading(text, says):
    """Options of the encoder and of the engine are checked before a model is touched: here there is none."""
    with pytest.raises(SpecError, match=says):
        read_all_options(parse_spec(text))


def test_what_an_engine_lets_through_is_one_clear_error(fake, store, monkeypatch):
    """Each library has errors of its own: loading and embedding name them, and a run goes on with other tests."""
    encoder = load_encoder(parse_spec("st:org/model"), store)
    broken = staticmethod(lambda *_: {}["rope_scaling"])
    monkeypatch.setattr(fake, "embed", broken)
    with pytest.raises(
        EngineError, match=r"The engine 'fake' \(org/\w+\) failed on a batch of 1 texts: KeyError: 'rope"
    ):
        encoder.encode(["a text"])
    monkeypatch.setattr(fake, "load", broken)
    with pytest.raises(EngineError, match=r"spec 'st:org/model' can't be loaded: KeyError: 'rope_scaling'"):
        load_encoder(parse_spec("st:org/model"), store)


def test_an_engine_that_ends_the_program_is_one_clear_error(fake, store, monkeypatch):
    """A library that calls ``sys.exit`` fails the tests of its model: a command does not end as if all were well."""
    encoder = load_encoder(parse_spec("st:org/model"), store)
    leaving = staticmethod(lambda *_: sys.exit(0))
    monkeypatch.setattr(fake, "embed", leaving)
    with pytest.raises(EngineError, match=r"failed on a batch of 1 texts: SystemExit: 0"):
        encoder.encode(["a text"])
    monkeypatch.setattr(fake, "load", leaving)
    with pytest.raises(EngineError, match=r"spec 'st:org/model' can't be loaded: SystemExit: 0"):
        load_encoder(parse_spec("st:org/model"), store)


def test_unknown_engine_shows_the_accepted_form():
    """A spec made by hand for an engine that is not installed is answered like one that was parsed."""
    with pytest.raises(SpecError, match=r"^Unknown engine 'vanished'\.\nA spec is ENGINE:MODEL"):
        engine_class(Spec("vanished:m", "vanished", "m"))


def test_engine_is_found_by_its_entry_point():
    """The name of an engine leads to its class."""
    assert engine_class(parse_spec("python:m:f")).__name__ == "PythonEngine"


def test_dim_beyond_the_model_is_refused(fake, store):
    """More dimensions than the loaded model has are an error that shows both numbers."""
    with pytest.raises(SpecError, match=r"9 dimensions were asked of 'st:m\?dim=9', but its model has 8"):
        load_encoder(parse_spec("st:m?dim=9"), store)

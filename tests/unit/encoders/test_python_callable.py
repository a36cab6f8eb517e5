"""The engine ``python:``: any callable becomes an encoder, and what it does wrong is told with its name."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time

import numpy as np
import pytest

from pytest_embedqa.core.errors import EncoderFaultError, EngineError
from pytest_embedqa.encoders.engine import Engine
from pytest_embedqa.encoders.engines.python_callable import PythonEngine
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.encoders.store import Store

MODULE = """
import asyncio
import numpy as np

LOOPS = set()

def encode(texts):
    assert type(texts) is list
    return [[len(text), text.count("e"), 1] for text in texts]

def half(texts):
    return np.ones((len(texts), 2), np.float16)

class Model:
    def encode(self, texts):
        return np.ones((len(texts), 5), np.float32)

class Home:
    model = Model()

model = Model()
number = 42

def fail(texts):
    raise RuntimeError("no such luck")

def leave(texts):
    raise SystemExit(3)

async def leave_later(texts):
    await asyncio.sleep(0)
    leave(texts)

def words(texts):
    return [["a", "b"] for _ in texts]

def flat(texts):
    return [1.0 for _ in texts]

def ragged(texts):
    return [[1.0], [1.0, 2.0]]

async def later(texts):
    await asyncio.sleep(0)
    LOOPS.add(id(asyncio.get_running_loop()))
    return np.ones((len(texts), 2))

async def streaming(texts):
    for text in texts:
        yield [len(text), 1.0]

def lazy_fault(texts):
    for text in texts:
        raise TypeError("no such luck")
        yield [1.0]

def moody(texts):
    return [[1.0, 2.0] if "moody" not in text else [1.0] for text in texts]
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module in the working directory."""
    (tmp_path / "embedqa_own_encoders.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    yield "embedqa_own_encoders"
    sys.modules.pop("embedqa_own_encoders", None)


def load(text):
    """The engine of a spec without options."""
    return PythonEngine.load(parse_spec(text), {})


@pytest.mark.parametrize(
    ("attribute", "full_dim", "dtype"),
    [
        ("encode", 3, "int64"),
        ("half", 2, "float16"),
        ("model", 5, "float32"),
        ("Home.model", 5, "float32"),
        ("model.encode", 5, "float32"),
    ],
)
def test_callable_or_object_with_encode_is_loaded(module, attribute, full_dim, dtype):
    """A function, a method, or an object with encode(), beside the tests and not installed; one text tells its facts."""
    engine = load(f"python:{module}:{attribute}")
    assert isinstance(engine, Engine)
    assert (engine.identity.full_dim, engine.identity.dtype) == (full_dim, dtype)
    assert (engine.identity.engine, engine.identity.model) == ("python", f"{module}:{attribute}")
    assert engine.embed(("a", "b")).shape == (2, full_dim)


def test_vectors_reach_the_test(module):
    """The whole way from a spec to vectors."""
    with contextlib.closing(Store(None)) as store:
        vectors = load_encoder(parse_spec(f"python:{module}:encode"), store).encode(["pee", "a"])
    assert vectors.tolist() == [[3, 2, 1], [1, 0, 1]]
    assert vectors.dtype == np.float32


def test_import_path_is_left_as_it_was(module):
    """The working directory is importable for this import alone, also when it fails."""
    before = list(sys.path)
    load(f"python:{module}:encode")
    with pytest.raises(EngineError):
        load("python:embedqa_no_such_module:encode")
    assert sys.path == before


def test_vectors_are_reused_only_if_the_spec_vouches_for_them(module):
    """Code can change between runs: without ``version=`` each run has an identity of its own."""
    spec = parse_spec(f"python:{module}:encode")
    one, two = load(spec.text), load(spec.text)
    assert one.identity.store_digest != two.identity.store_digest
    first, again, other = (PythonEngine.load(spec, {"version": version}) for version in ("1", "1", "2"))
    assert first.identity.store_digest == again.identity.store_digest
    assert first.identity.store_digest != other.identity.store_digest


def test_lengths_order_texts(module):
    """Longer texts have larger lengths, in tokens as far as that can be guessed."""
    assert load(f"python:{module}:encode").lengths(["a" * 400, "", "边" * 40]) == [101, 1, 31]


@pytest.mark.parametrize("model", ["embedqa_own_encoders", "embedqa_own_encoders:", ":encode"])
def test_incomplete_name_shows_the_accepted_form(model):
    """Module and attribute are both needed; the error shows an example."""
    with pytest.raises(
        EngineError, match=r"must be python:module:attribute, e\.g\. python:mypackage\.encoders:encode\."
    ):
        load(f"python:{model}")


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("embedqa_no_such_module:encode", "No module named 'embedqa_no_such_module'"),
        ("embedqa_own_encoders:encoed", "has no attribute 'encoed'"),
        ("embedqa_own_encoders:Home.modle", "has no attribute 'modle'"),
    ],
)
def test_what_can_not_be_imported_is_named(module, model, says):
    """A slip in module or attribute is told with the spec."""
    with pytest.raises(EngineError, match=f"'{model}' of the spec 'python:{model}' can't be imported: .*{says}"):
        load(f"python:{model}")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("1 +", "invalid syntax"),
        ("raise RuntimeError('not today')", "not today"),
        (
            "import argparse; parser = argparse.ArgumentParser(); parser.add_argument('folder'); parser.parse_args([])",
            r"its module ends the program \(SystemExit: 2\)\. Put what runs it as a script below  if __name__ == \"__main__\":",
        ),
    ],
)
def test_module_that_breaks_on_import_is_an_engine_error(tmp_path, monkeypatch, content, says):
    """A module that can't be imported for whatever reason is told like one that does not exist."""
    (tmp_path / "embedqa_broken_module.py").write_text(content)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EngineError, match=f"'embedqa_broken_module:encode' of the spec .* can't be imported: .*{says}"):
        load("python:embedqa_broken_module:encode")


def test_object_that_encodes_nothing_is_refused(module):
    """An attribute that is neither callable nor has encode() is named with its type."""
    with pytest.raises(
        EngineError, match=r"'embedqa_own_encoders:number' is a int, neither a callable nor an object with encode\(\)\."
    ):
        load(f"python:{module}:number")


@pytest.mark.parametrize(
    ("attribute", "says"),
    [
        ("fail", "raised RuntimeError on a batch of 1 texts: no such luck"),
        ("words", r"returned a str for a list of 1; real numbers of shape \(1, dimensions\) were expected"),
        ("lazy_fault", "raised TypeError on a batch of 1 texts: no such luck"),
        ("leave", "raised SystemExit on a batch of 1 texts: 3"),
        ("leave_later", "raised RuntimeError on a batch of 1 texts: SystemExit: 3"),
        ("flat", r"returned float64 of shape \(1,\) for a list of 1"),
        ("ragged", "returned rows of different lengths for a list of 1"),
    ],
)
def test_function_that_fails_its_first_text_is_refused_when_loaded(module, attribute, says):
    """What a function does wrong with one text is told at once, with its name."""
    with pytest.raises(EngineError, match=rf"^embedqa_own_encoders:{attribute} {says}"):
        load(f"python:{module}:{attribute}")


def test_rows_that_come_one_by_one(module):
    """An asynchronous generator gives a row for each text."""
    engine = load(f"python:{module}:streaming")
    assert engine.embed(["ab", "c"]).tolist() == [[2, 1], [1, 1]]
    engine.close()


def test_function_that_fails_later_is_told_with_its_batch(module):
    """Rows of different widths in a later batch are an error of this package, with the name of the function."""
    with contextlib.closing(Store(None)) as store:
        encoder = load_encoder(parse_spec(f"python:{module}:moody"), store)
        with pytest.raises(
            EngineError, match=r"^embedqa_own_encoders:moody returned rows of different lengths for a list of 2"
        ):
            encoder.encode(["calm", "moody"])
        with pytest.raises(EncoderFaultError, match="vectors of 1 dimensions; it has promised 2"):
            encoder.encode(["moody"])


def test_asynchronous_function_is_awaited(module):
    """A client of a server may be asynchronous: all batches are awaited in one event loop, also beside a running one."""
    engine = load(f"python:{module}:later")

    async def beside():
        return engine.embed(["a", "b"])

    assert asyncio.run(beside()).shape == engine.embed(["c", "d"]).shape == (2, 2)
    assert len(sys.modules[module].LOOPS) == 1
    before = threading.active_count()
    engine.close()
    for _ in range(100):
        if threading.active_count() < before:
            break
        time.sleep(0.05)
    assert threading.active_count() == before - 1

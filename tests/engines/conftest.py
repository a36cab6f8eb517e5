"""What the tests on real models share."""

from __future__ import annotations

import pytest

from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.encoders.store import Store


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

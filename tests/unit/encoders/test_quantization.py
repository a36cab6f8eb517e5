"""Coarser vectors: what is held, and what it stands for."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_embedqa.core.errors import MissingExtraError
from pytest_embedqa.core.measures import paired_cosine
from pytest_embedqa.encoders.prompts import DOCUMENT, QUERY
from pytest_embedqa.encoders.quantization import Quantization
from pytest_embedqa.encoders.store import Store

VECTORS = np.random.default_rng(0).standard_normal((50, 20)).astype(np.float32)
RANGES = np.stack([VECTORS.min(axis=0), VECTORS.max(axis=0)])


def test_int8_holds_whole_numbers_over_the_range_of_each_dimension():
    """256 steps from the smallest to the largest value of each dimension."""
    held = Quantization("int8", RANGES)(VECTORS)
    assert held.dtype == np.float32
    np.testing.assert_array_equal(held, np.round(held))
    assert (held.min(axis=0) == -128).all()
    assert (held.max(axis=0) >= 126).all()  # the largest may round to the end of the last step but one


def test_restored_values_are_within_half_a_step():
    """What a step stands for is its middle."""
    coarser = Quantization("int8", RANGES)
    step = (RANGES[1] - RANGES[0]) / 255
    assert (np.abs(coarser.restored(coarser(VECTORS)) - VECTORS) <= step * 0.51).all()


def test_value_outside_the_range_is_the_end_of_it():
    """A query may be further out than any document; it must not wrap around."""
    held = Quantization("int8", RANGES)(VECTORS * 10)
    assert (held[RANGES[1] < VECTORS * 10] == 127).all()
    assert (held[RANGES[0] > VECTORS * 10] == -128).all()


def test_binary_cosine_has_the_order_of_the_hamming_distance():
    """One bit a dimension: its sign. Also where the dimensions fill no whole byte."""
    held = Quantization("ubinary")(VECTORS)
    assert held.shape == VECTORS.shape
    np.testing.assert_array_equal(held, np.where(VECTORS > 0, 1, -1))
    hamming = ((VECTORS[:25] > 0) != (VECTORS[25:] > 0)).sum(axis=1)
    np.testing.assert_allclose(paired_cosine(held[:25], held[25:]), 1 - 2 * hamming / 20, atol=1e-6)


def test_encoder_returns_coarser_vectors_of_the_same_pass(fake_engine, make_encoder):
    """After the cut; the store keeps whole vectors, and the identity says what they became."""
    engine = fake_engine()
    encoder = make_encoder(engine, Store(None))
    whole = encoder.encode(["one", "two"])
    before = len(engine.batches)
    coarser = encoder.quantized(Quantization("ubinary"))
    np.testing.assert_array_equal(coarser.encode(["one", "two"]), np.where(whole > 0, 1, -1))
    assert coarser.at(4).encode(["one"]).shape == (1, 4)
    assert len(engine.batches) == before
    assert coarser.identity.quantization == "ubinary"
    assert coarser.identity.digest != encoder.identity.digest
    assert coarser.identity.store_digest == encoder.identity.store_digest


def test_rescored_queries_stay_as_they_are(fake_engine, make_encoder):
    """They order the candidates again; documents are held coarse."""
    encoder = make_encoder(fake_engine(), None)
    coarser = encoder.quantized(Quantization("ubinary", rescore=4))
    np.testing.assert_array_equal(coarser.encode(["one"], QUERY), encoder.encode(["one"], QUERY))
    assert set(np.unique(coarser.encode(["one"], DOCUMENT))) <= {-1.0, 1.0}


def test_missing_package_names_the_install_command(monkeypatch):
    """Without sentence-transformers the error is the command that installs it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(MissingExtraError, match=r'pip install "pytest-embedqa\[st\]"'):
        Quantization("int8", RANGES)(VECTORS)

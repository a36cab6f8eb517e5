"""What is cut is counted."""

from __future__ import annotations

import contextlib
import math

import pytest

from pytest_embedqa.encoders.engine import Limits
from pytest_embedqa.encoders.store import Store
from pytest_embedqa.encoders.truncation import Truncation


@pytest.fixture
def store():
    """An empty store in memory."""
    with contextlib.closing(Store(None)) as empty:
        yield empty


def test_texts_and_tokens_beyond_the_limit():
    """A text of exactly the limit is whole."""
    cuts = Truncation()
    cuts.count([5, 10, 11, 30], 10)
    assert cuts == Truncation(texts=4, cut=2, tokens=56, lost=21)
    assert (cuts.share, cuts.lost_share) == (0.5, 21 / 56)


def test_without_a_limit_nothing_is_cut():
    """A model that takes any length."""
    cuts = Truncation()
    cuts.count([5, 10**6], None)
    assert (cuts.cut, cuts.lost, cuts.share) == (0, 0, 0)


def test_unknown_lengths_give_no_share():
    """One text that nobody counted makes the share unknown: not zero."""
    cuts = Truncation()
    cuts.count([5, None, 30], 10)
    assert (cuts.texts, cuts.uncounted) == (2, 1)
    assert math.isnan(cuts.share)
    assert math.isnan(cuts.lost_share)
    assert math.isnan(Truncation().share)


@pytest.mark.parametrize("warm", [False, True])
def test_encoder_counts_also_what_comes_from_the_store(fake_engine, make_encoder, store, warm):
    """A later run knows what is cut without counting again; repeated texts count each time."""
    texts = ["a" * 4, "b" * 12, "b" * 12]
    if warm:
        make_encoder(fake_engine(max_length=10), store).encode(texts)
    engine = fake_engine(max_length=10)
    encoder = make_encoder(engine, store)
    with encoder.counting_cuts() as cuts:
        encoder.encode(texts)
    assert cuts == Truncation(texts=3, cut=2, tokens=28, lost=4)
    assert (engine.batches == []) is warm
    assert encoder.truncation == cuts
    encoder.encode(["c" * 11])
    assert (encoder.truncation.cut, cuts.cut) == (3, 2)


def test_estimates_are_not_counted(fake_engine, make_encoder, store):
    """An engine that only guesses lengths can't say what is cut, in this run or the next."""
    for _ in range(2):
        engine = fake_engine(max_length=10)
        engine.counts_tokens = False
        encoder = make_encoder(engine, store)
        encoder.encode(["a" * 4, "b" * 12])
        assert (encoder.truncation.texts, encoder.truncation.uncounted) == (0, 2)


def test_batches_are_planned_by_what_is_left_of_a_text(fake_engine, make_encoder):
    """Texts far beyond the limit still fill a batch: only their beginning is computed."""
    engine = fake_engine(max_length=10, limits=Limits(batch_tokens=40, batch_size=64))
    make_encoder(engine, None).encode([chr(97 + number) * 1000 for number in range(8)])
    assert max(len(batch) for batch in engine.batches) == 4


def test_computing_takes_nothing_from_the_store(fake_engine, make_encoder, store):
    """Every text goes through the model, also a repeated one, in batches of the size that was asked for."""
    engine = fake_engine()
    encoder = make_encoder(engine, store)
    encoder.encode(["one", "two", "three"])
    before = len(engine.batches)
    computing = encoder.computing(batch_size=1)
    computing.encode(["one", "two", "three", "one"])
    assert sorted(engine.batches[before:]) == [["one"], ["one"], ["three"], ["two"]]
    assert computing.encoded == 4

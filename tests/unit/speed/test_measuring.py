"""Timing: what is given goes through the model, and ratios are told from noise."""

from __future__ import annotations

import gc
import time
from typing import ClassVar

import numpy as np
import pytest

from pytest_embedqa.core.errors import EncoderFaultError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.core.statistics import median_interval
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.engine import Limits
from pytest_embedqa.encoders.prompts import DOCUMENT
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.speed import measuring
from pytest_embedqa.speed.mark import SpeedMark
from pytest_embedqa.speed.measuring import NotMeasurableError, Workload, interleaved, measure_speed, stopwatch


class SleepingEngine:
    """Takes its time."""

    options: ClassVar = {}
    counts_tokens = True
    limits = Limits(batch_tokens=100_000, batch_size=64)
    prompts = None

    def __init__(self, seconds=0.0, max_length=64):
        """So many seconds a text."""
        self.identity = Identity("sleeping", "sleeping", full_dim=4, max_length=max_length)
        self.seconds = seconds
        self.texts = []

    def embed(self, texts):
        """Vectors of a batch."""
        self.texts += texts
        time.sleep(self.seconds * len(texts))
        return np.stack([np.random.default_rng(len(text)).standard_normal(4) for text in texts]).astype(np.float32)

    def lengths(self, texts):
        """A token a word, and one behind them."""
        return [len(text.split()) + 1 for text in texts]

    def close(self):
        """Nothing to free."""


def encoder_of(engine):
    """An encoder of such an engine."""
    return Encoder(engine, None, spec=parse_spec("builtin"))


def measure(engine, length=16, **asked):
    """What a marker gives, by a plain stopwatch."""
    encoder = encoder_of(engine)
    return measure_speed(encoder, SpeedMark(**asked), length, stopwatch, lambda: encoder)


def test_every_text_is_new_and_has_the_length():
    """Nothing that caches can answer, not even a server's own cache; the encoder's own check of two rows is apart."""
    engine = SleepingEngine()
    workload = Workload(encoder_of(engine), 16, DOCUMENT, 8, 4)
    texts = [text for _ in range(20) for text in workload.texts()]
    assert len(set(texts)) == 20 * 32
    assert set(engine.lengths(texts)) == {16}
    speed = measure(engine, batch_size=4)
    assert speed.rounds >= 5
    assert len(engine.texts) - len(set(engine.texts)) <= 4


def test_tokens_are_texts_times_length():
    """Two figures of one measurement."""
    figures = measure(SleepingEngine(0.0005), batch_size=2).figures
    assert figures["tokens_per_s"] == pytest.approx(16 * figures["texts_per_s"])
    assert figures["texts_per_s"] < 2000
    assert figures["memory_mb"] > 1


def test_answer_of_a_cache_is_an_error(monkeypatch):
    """A round that did not go through the model says nothing about its speed."""
    real = Encoder.encode

    def cached(self, texts, *rest):
        return real(self, texts[:1], *rest).repeat(len(texts), axis=0)

    monkeypatch.setattr(Encoder, "encode", cached)
    with pytest.raises(EncoderFaultError, match=r"the rest came from a store or cache"):
        measure(SleepingEngine(), batch_size=2)


def test_ratio_of_the_same_and_of_a_slower_encoder():
    """The median of pairs, with an interval that decides."""
    workload = Workload(encoder_of(SleepingEngine()), 8, DOCUMENT, 4)
    same = interleaved((encoder_of(SleepingEngine(0.001)), encoder_of(SleepingEngine(0.001))), workload, 0.8, 60)
    assert same.interval[0] >= 0.8
    slow = interleaved((encoder_of(SleepingEngine(0.002)), encoder_of(SleepingEngine(0.001))), workload, 0.8, 60)
    assert slow.interval[1] < 0.8
    assert slow.value == pytest.approx(0.5, abs=0.15)
    assert slow.pairs >= 10


def test_undecided_ratio_ends_in_time():
    """At its bound it would go on for ever."""
    encoder = encoder_of(SleepingEngine(0.0005))
    began = time.monotonic()
    interleaved((encoder, encoder), Workload(encoder, 8, DOCUMENT, 2), 1.0, 0.2)
    assert time.monotonic() - began < 10


def test_too_long_for_the_model():
    """Not measured on what the model would cut."""
    with pytest.raises(NotMeasurableError, match=r"65 tokens are more than the 64"):
        measure(SleepingEngine(), length=65)
    assert measure(SleepingEngine(), length="max").length == 64
    with pytest.raises(
        NotMeasurableError, match=r"the engine does not say how long a text its model takes, so there is no maximum"
    ):
        measure(SleepingEngine(max_length=None), length="max")


def test_interval_of_the_median_covers_it():
    """In 95 of 100 samples, and in more where more is asked for."""
    rng = np.random.default_rng(0)
    samples = rng.lognormal(size=(400, 31))
    inside = [low <= 1.0 <= high for low, high in map(median_interval, samples)]
    assert 0.92 <= np.mean(inside) <= 0.995
    wide = [low <= 1.0 <= high for low, high in (median_interval(one, 0.99) for one in samples)]
    assert np.mean(wide) >= np.mean(inside)


def test_memory_of_a_round_is_seen():
    """The high-water mark begins anew: what was used before does not count."""
    gc.collect()  # what other tests left behind, freed meanwhile, would hide what is taken here
    if not measuring._reset_peak():
        pytest.skip("the high-water mark can be reset on Linux alone")
    encoder = encoder_of(SleepingEngine())
    before = measuring._peaks(encoder, reset=True)["memory_mb"]
    taken = np.ones(40_000_000)
    during = measuring._peaks(encoder, reset=True)["memory_mb"]
    assert during - before > 250
    del taken
    measuring._reset_peak()
    assert measuring._peaks(encoder, reset=True)["memory_mb"] < during - 250

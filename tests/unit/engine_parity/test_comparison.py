"""What parity measures: each fault moves the number that is meant for it, and only where it is."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_embedqa.core.errors import EncoderFaultError
from pytest_embedqa.encoders.prompts import QUERY, Prompts
from pytest_embedqa.engine_parity.comparison import BATCH_SIZES, compare
from pytest_embedqa.engine_parity.texts import strata


def worst(comparison):
    """Worst cosine by stratum."""
    return {stratum.name: stratum.worst for stratum in comparison.strata}


def test_an_encoder_agrees_with_itself(words):
    """Cosine and overlap are 1 everywhere, at every batch size."""
    comparison = compare(words(), words())
    assert comparison.cosine == pytest.approx(1)
    assert comparison.mean_cosine == pytest.approx(1)
    assert comparison.overlap == 1
    assert tuple(comparison.worst_by_batch_size) == BATCH_SIZES
    assert {stratum.name for stratum in comparison.strata} == set(strata(10, 10))
    assert comparison.notes == ()


@pytest.mark.parametrize(
    ("fault", "broken"),
    [
        (
            {"read": str.lower},
            {
                "short",
                "upper case",
                "accents",
                "mixed scripts",
                "code",
                "emoji",
                "one word",
                "long",
                "beyond max length",
            },
        ),
        (
            {"read": lambda text: text.encode("ascii", "ignore").decode()},
            {"accents", "cjk", "mixed scripts", "emoji", "code", "one word"},
        ),
        ({"read": lambda text: " ".join(text.split()[:70])}, {"beyond max length"}),
        ({"max_length": 60}, {"beyond max length"}),
    ],
    ids=["lower case", "ascii only", "cut silently", "shorter"],
)
def test_only_what_a_fault_touches_breaks(words, fault, broken):
    """The strata tell faults apart, and the worst one comes first."""
    comparison = compare(words(**fault), words(), batch_sizes=(1, 16))
    found = worst(comparison)
    assert {name for name, cosine in found.items() if cosine < 0.999} <= broken
    assert found[comparison.strata[0].name] == min(found.values()) < 0.999


def test_batch_at_which_it_breaks_is_found(words):
    """An engine that goes wrong from a batch size on."""

    def change(vectors, texts):
        return vectors if len(texts) < 16 else vectors + 0.2 * np.eye(len(vectors), vectors.shape[1], dtype=np.float32)

    comparison = compare(words(change=change), words())
    right = {size for size, cosine in comparison.worst_by_batch_size.items() if cosine > 0.9999}
    assert right == {1, 2, 4, 8}
    assert comparison.strata[0].batch_size >= 16


def test_batches_mix_texts_of_all_sorts(words):
    """Padding and neighbours are the hard part of a batch: lengths are not sorted into equal ones."""
    encoder = words()
    compare(encoder, words(), batch_sizes=(8,))
    full = [batch for batch in encoder._engine.batches if len(batch) == 8]
    assert len(full) >= 8
    assert np.mean([max(map(len, batch)) > 4 * min(map(len, batch)) for batch in full]) > 0.8


def test_strata_can_be_chosen(words):
    """Only what is asked for is encoded and judged."""
    encoder = words(read=str.lower)
    comparison = compare(encoder, words(), batch_sizes=(4,), only=["cjk", "query"])
    assert {stratum.name for stratum in comparison.strata} == {"cjk", "query"}
    assert comparison.cosine == pytest.approx(1)


def test_query_prompt_is_compared(words):
    """A prompt that only one of them has shows in the queries, and there alone."""
    comparison = compare(words(prompts=Prompts("spec", {"query": "query: "})), words(), batch_sizes=(1,))
    assert {name for name, cosine in worst(comparison).items() if cosine < 0.999} == {"query"}


def test_templates_are_filled_with_an_instruction(words):
    """Instructed models are compared with their instruction."""

    def choose(kind, task):
        return f"Instruct: {task.instruction[kind.value]}\nQuery:" if kind is QUERY else ""

    prompts = Prompts("mteb", choose=choose)
    encoder = words(prompts=prompts)
    assert compare(encoder, words(prompts=prompts), batch_sizes=(1,)).cosine == pytest.approx(1)
    asked = [text for batch in encoder._engine.batches for text in batch if text.startswith("Instruct: ")]
    assert asked
    assert all("{" not in text for text in asked)


def test_norms_are_told(words):
    """Of which a cosine says nothing."""
    comparison = compare(words(change=lambda vectors, _: vectors * 5), words(), batch_sizes=(1, 8))
    assert comparison.cosine == pytest.approx(1)
    assert comparison.norms[0] == pytest.approx((5, 5))
    assert comparison.norms[1] == pytest.approx((1, 1))


def test_other_dimensions_are_an_error(words):
    """There is nothing to compare, and the error says what that means."""
    with pytest.raises(
        EncoderFaultError, match=r"has 32 dimensions, the reference 'words:right' 64: another model, or dim="
    ):
        compare(words(dim=32), words())


def test_long_models_are_not_filled_up(words):
    """For a model that takes very long texts nothing beyond is made, and that is said."""
    comparison = compare(words(max_length=50_000), words(max_length=50_000), batch_sizes=(1,), max_tokens=300)
    assert "beyond max length" not in worst(comparison)
    assert comparison.notes == ("nothing beyond max length was compared: it takes texts above max_tokens=300",)


def test_unknown_length_is_assumed_and_said(words):
    """An engine that does not know what it takes."""
    comparison = compare(words(max_length=None), words(max_length=None), batch_sizes=(1,))
    assert "beyond max length" in worst(comparison)
    assert comparison.notes == ("neither encoder says how long a text it takes; 512 tokens were assumed",)


@pytest.mark.parametrize("limit", [16, 256, 2048])
def test_long_texts_are_as_long_as_promised(limit):
    """Long ones fit in words, those beyond do not; all are different."""
    made = strata(limit, limit)
    assert all(len(text.split()) < limit for text in made["long"][1])
    assert all(len(text.split()) > limit for text in made["beyond max length"][1])
    everything = [text for _, texts in made.values() for text in texts]
    assert len(set(everything)) == len(everything)

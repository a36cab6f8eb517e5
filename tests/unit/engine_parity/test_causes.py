"""Why two encoders are apart: the cause is found by doing the same to the reference."""

from __future__ import annotations

import unicodedata

import pytest

from pytest_embedqa.core.errors import SpecError
from pytest_embedqa.encoders.prompts import Prompts
from pytest_embedqa.engine_parity.causes import find_causes, norms_apart
from pytest_embedqa.engine_parity.comparison import compare

PROMPTS = Prompts("spec", {"query": "query: ", "document": "passage: "})


def bare(text):
    """Without accents."""
    return "".join(one for one in unicodedata.normalize("NFD", text) if not unicodedata.combining(one))


def causes(encoder, reference, load=None):
    """Causes of a comparison at two batch sizes."""

    def refuse(spec):
        raise SpecError(f"{spec} has no such option")

    return find_causes(encoder, reference, compare(encoder, reference, batch_sizes=(1, 8)), load or refuse)


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ({"read": str.lower}, "texts are lower-cased: so the reference gives the same vectors"),
        ({"read": bare}, "accents are stripped: so"),
        ({"read": lambda text: text.removeprefix("passage: ")}, "the prompt is missing: so"),
        ({"read": lambda text: text.replace("passage: ", "query: ")}, "documents get the query's prompt: so"),
    ],
    ids=["lower case", "accents", "no prompt", "query prompt on documents"],
)
def test_what_is_done_to_the_text_is_found(words, fault, cause):
    """The first cause is the one that was planted."""
    assert causes(words(prompts=PROMPTS, **fault), words(prompts=PROMPTS))[0].startswith(cause)


def test_cut_is_found_by_reloading_the_reference(words):
    """A limit that nobody reports."""
    faulty = words(read=lambda text: " ".join(text.split()[:32]))
    asked = []

    def load(spec):
        asked.append(spec.options)
        return words(max_length=int(spec.options["max_length"]))

    assert causes(faulty, words(), load)[0].startswith("texts are cut at 32 tokens: so")
    assert {"max_length": "64"} in asked


def test_differences_of_the_set_up_are_listed(words):
    """Facts that both identities have, where they differ."""
    found = causes(words(max_length=40, pooling="cls", prompts=PROMPTS), words(pooling="mean"))
    assert "set up differently: max_length is 40 here and 100 in the reference." in found
    assert "set up differently: pooling is cls here and mean in the reference." in found
    ours = "query 'query: ', document 'passage: '"
    assert f"set up differently: prompts are {ours} here and none in the reference." in found


def test_what_the_engine_does_not_know_is_no_difference(words):
    """Unknown facts are not held against anyone."""
    assert not [one for one in causes(words(max_length=None), words()) if "max_length" in one]


def test_another_model_is_said_to_be_one(words):
    """Nothing explains it, and it is far off."""
    other = words(change=lambda vectors, _: vectors[:, ::-1])
    assert causes(other, words()) == [
        "nothing that was tried explains it: it looks like another model, or other weights."
    ]


@pytest.mark.parametrize("scaled", ["encoder", "reference"])
def test_normalisation_of_one_side_is_named(words, scaled):
    """Whichever it is; both or none is no fault."""
    scale = {"change": lambda vectors, texts: vectors * [[1 + len(text)] for text in texts]}
    sides = {"encoder": words(), "reference": words(), scaled: words(**scale)}
    comparison = compare(sides["encoder"], sides["reference"], batch_sizes=(1,))
    (found,) = norms_apart(comparison)
    assert found.startswith(f"the {scaled}'s vectors are not normalised (lengths 1.00 to")
    assert not list(norms_apart(compare(sides[scaled], sides[scaled], batch_sizes=(1,))))


@pytest.mark.parametrize("factor", [0.5, 2])
def test_a_single_vector_that_is_not_normalised_is_enough(words, factor):
    """Shorter or longer, if all others are of length 1."""
    encoder = words(change=lambda vectors, texts: vectors * [[factor if text == "bread" else 1] for text in texts])
    (found,) = norms_apart(compare(encoder, words(), batch_sizes=(1,)))
    assert found.startswith("the encoder's vectors are not normalised")

"""Identity: everything that changes a vector changes the digest."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace

import pytest

from pytest_embedqa.core.identity import Identity

IDENTITY = Identity(
    model="org/model",
    engine="st",
    weights="0" * 64,
    revision="main",
    libraries={"torch": "2.5", "transformers": "5.0"},
    dtype="float32",
    device="cpu",
    pooling="mean",
    normalize=True,
    similarity="cosine",
    max_length=256,
    full_dim=384,
    options={"version": "1"},
    dim=128,
    clean="none",
    prompts={"query": "query: "},
)
# Another value for every field. A new field without one fails the tests below.
OTHER = {
    "model": "org/other",
    "engine": "python",
    "weights": "1" * 64,
    "revision": None,
    "libraries": {"torch": "2.6", "transformers": "5.0"},
    "dtype": "bfloat16",
    "device": "cuda",
    "pooling": "cls",
    "normalize": False,
    "similarity": "dot",
    "max_length": 512,
    "full_dim": 768,
    "options": {"version": "2"},
    "dim": None,
    "quantization": "int8",
    "clean": "nfc",
    "prompts": {"document": "query: "},
}
NAMES = [field.name for field in fields(Identity)]
# What is in the prepared text already, or is done after the store.
NOT_IN_THE_STORE = {"dim", "quantization", "clean", "prompts", "similarity"}


@pytest.mark.parametrize("name", NAMES)
def test_digest_changes_with_every_field(name):
    """No cached result is reused when any fact about the encoder differs."""
    assert replace(IDENTITY, **{name: OTHER[name]}).digest != IDENTITY.digest


@pytest.mark.parametrize("name", NAMES)
def test_store_digest_ignores_exactly_what_comes_before_and_after_the_store(name):
    """Vectors are shared between dimensions, quantisations, cleanings, prompts and similarities, and between nothing else."""
    other = replace(IDENTITY, **{name: OTHER[name]})
    assert (other.store_digest == IDENTITY.store_digest) is (name in NOT_IN_THE_STORE)


def test_digest_does_not_depend_on_the_order_of_libraries():
    """The same facts in another order are the same identity."""
    other = replace(IDENTITY, libraries=dict(reversed(IDENTITY.libraries.items())))
    assert other.digest == IDENTITY.digest
    assert other.store_digest == IDENTITY.store_digest


def test_path_that_is_no_text_has_a_digest():
    """A model's folder may be called by bytes that are no UTF-8, which Python keeps as halves of characters."""
    one, two = Identity("caf\udce9", "st"), Identity("caf\udce8", "st")
    assert one.digest != two.digest
    assert one.store_digest != two.store_digest


def test_digests_are_sha256():
    """Both digests are hexadecimal SHA-256, and differ from each other."""
    assert re.fullmatch(r"[0-9a-f]{64}", IDENTITY.digest)
    assert re.fullmatch(r"[0-9a-f]{64}", IDENTITY.store_digest)
    assert IDENTITY.digest != IDENTITY.store_digest


def test_as_dict_survives_json():
    """An identity written to JSON and read again has the same digest."""
    again = Identity(**json.loads(json.dumps(IDENTITY.as_dict())))
    assert again == IDENTITY
    assert again.digest == IDENTITY.digest

"""Invariants of a kind are for that kind, and say what a model does not promise."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.engine import Limits
from pytest_embedqa.encoders.representations import DENSE, MULTI_VECTOR, SCORES
from pytest_embedqa.encoders.reranker import Reranker
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.invariants.catalogue import catalogue
from pytest_embedqa.invariants.invariant import NotApplicableError


class Bare:
    """An engine that promises nothing."""

    options: ClassVar = {}
    counts_tokens = False
    limits = Limits()
    prompts = None

    def __init__(self, representation):
        """What it makes of a text."""
        self.representation = representation
        self.identity = Identity("bare", "bare", full_dim=2, similarity="cosine")

    def embed(self, texts):
        """The same of any text."""
        one = {"dense": np.ones(2), "multi-vector": np.ones((3, 2)), "scores": np.ones(1)}[self.representation.name]
        return [one.astype(np.float32) for _ in texts]

    def lengths(self, texts):
        """Characters."""
        return list(map(len, texts))

    def close(self):
        """Nothing to free."""


@pytest.mark.parametrize(
    ("name", "representation", "text"),
    [
        ("document_prompt_matters", DENSE, r"documents have no prompt"),
        ("query_expanded", MULTI_VECTOR, r"queries are not expanded"),
        ("vectors_of_tokens", MULTI_VECTOR, r"the engine does not count tokens"),
        (
            "prompts_as_promised",
            MULTI_VECTOR,
            r"the prompts are the same, and the model may read queries and documents in other ways",
        ),
        ("reranker_prompt_matters", SCORES, r"pairs have no prompt"),
        ("scores_dtype", SCORES, r"the reranker computes in unknown, not in float32"),
        (
            "documents_read_to_the_end",
            SCORES,
            r"the engine does not say how long a pair its model takes, or does not count tokens",
        ),
        ("no_negative_weight", DENSE, r"this is for sparse models, and 'builtin' is dense"),
        ("closing_token", SCORES, r"this is for dense models, and 'builtin' is reranker"),
    ],
)
def test_what_is_not_promised_is_said(name, representation, text):
    """The reason of a skip names what is missing, or the kinds that it is for."""
    make = Reranker if representation is SCORES else Encoder
    model = make(Bare(representation), None, spec=parse_spec("builtin"))
    with pytest.raises(NotApplicableError, match=text):
        catalogue()[name].judge(model)

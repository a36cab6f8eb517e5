"""Scores: one number for a pair of texts, as a reranker gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import numpy as np

from pytest_embedqa.core.errors import EncoderFaultError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.core.measures import Floats
from pytest_embedqa.encoders.checks import as_vectors, check_batch
from pytest_embedqa.encoders.pairs import join, split
from pytest_embedqa.encoders.representations.representation import Representation, Row

_ROUNDING = 1e-6
# Differences of low precision between a pair alone and in a batch; another pair's score is farther away.
_SAME_PAIR = 0.05


class Scores(Representation):
    """Scores of float32, shape (1,); joined, shape (n,)."""

    name = "scores"
    noun = "score"
    closeness_name = "agreement"
    plain_texts = (
        join("What is baked in an oven?", "Bread is baked in an oven."),
        join("What is baked in an oven?", "The night train leaves at ten."),
        join("When does the train leave?", "42 degrees"),
    )

    def content(self, text: str, prompt_length: int) -> str:
        """Return the document of a pair: many pairs share a query."""
        del prompt_length
        return split(text)[1]

    def rows(self, returned: object, texts: Sequence[str], identity: Identity) -> list[Row]:
        """Return the scores of a batch of pairs, from an array of shape (pairs,) or (pairs, 1)."""
        scores = as_vectors(returned, identity)
        scores = scores[:, None] if scores.ndim == 1 else scores
        if scores.ndim == 2 and scores.shape[1] > 1:  # noqa: PLR2004
            raise EncoderFaultError(
                f"The engine '{identity.engine}' ({identity.model}) returned {scores.shape[1]} scores for a pair of texts; one was expected."
            )
        check_batch(scores, texts, identity)
        return list(scores)

    def join(self, rows: Sequence[Row], identity: Identity) -> Floats:
        """Return scores of shape (n,)."""
        del identity
        return np.concatenate(rows) if rows else np.empty(0, dtype=np.float32)

    def equal(self, row: Row, other: Row) -> bool:
        """Return whether two scores are equal but for rounding."""
        return bool(np.allclose(row, other, atol=_ROUNDING, rtol=_ROUNDING))

    def closeness(self, row: Row, other: Row) -> float:
        """Return 1 where two scores of a pair differ by rounding alone, else 0."""
        return float(np.isclose(row[0], other[0], atol=_SAME_PAIR, rtol=_SAME_PAIR))

    def similarity(self, queries: object, documents: object, by: str) -> NoReturn:
        """Refuse: a score belongs to a pair of texts."""
        del queries, documents, by
        raise TypeError("A reranker scores pairs of texts; it has no vectors to compare.")

    def size(self, row: Row) -> int:
        """Return 0: an index keeps nothing of a pair."""
        del row
        return 0


SCORES = Scores()

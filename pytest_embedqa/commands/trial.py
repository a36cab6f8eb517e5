"""The trial of a model by ``embedqa doctor``: an encoder encodes two texts, a reranker is asked what is plain."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import groupby

from pytest_embedqa.commands.first_texts import described
from pytest_embedqa.core.measures import Floats
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.plain_pairs import PLAIN_PAIRS, PlainPair
from pytest_embedqa.encoders.reranker import Reranker
from pytest_embedqa.encoders.score_scale import saturated, through_two_sigmoids

# Probabilities of answers and of passages about something else that differ by less come from no working model.
_SMALLEST_RANGE = 0.05


class Trial:
    """A model that was tried.

    Attributes:
        lines: What was seen.
        problem: What is wrong with the model; empty if nothing is.
        remedy: What to do about it.
    """

    problem = ""
    remedy = "See that its template, its head and its tokenizer are there: a Qwen3-Reranker without its template scores everything alike."

    def __init__(self, model: Encoder | Reranker) -> None:
        """Try a model.

        Raises:
            EmbedQAError: If it fails.
        """
        self.lines = list(described(model))
        if isinstance(model, Reranker):
            self.lines += self._of_reranker(model)

    def _of_reranker(self, reranker: Reranker) -> Iterator[str]:
        """Ask ten questions, each with its answer and with a passage about something else."""
        pairs = [(one.question, passage) for one in PLAIN_PAIRS for passage in (one.answer, one.unrelated)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # saturation is among the lines
            scores = reranker.score(pairs)
        wrong = [
            one for one, (answer, other) in zip(PLAIN_PAIRS, scores.reshape(-1, 2), strict=True) if not answer > other
        ]
        yield f"{len(PLAIN_PAIRS) - len(wrong)} of {len(PLAIN_PAIRS)} questions score their answer above a passage about something else"
        yield from (f"wrong: {one.question} ({one.unrelated})" for one in wrong)
        yield from _scale(scores, pairs)
        if _wrong_in_each_language(wrong):
            self.problem = (
                f"{len(wrong)} of {len(PLAIN_PAIRS)} questions score their answer no higher than a passage about something else, "
                "some in each language: the reranker does not work as it is set up."
            )


def _scale(scores: Floats, pairs: list[tuple[str, str]]) -> Iterator[str]:
    """Yield the range of scores, and signs of a wrong set-up in it."""
    low, high = float(scores.min()), float(scores.max())
    probable = low >= 0 and high <= 1
    yield f"scores from {low:.4g} to {high:.4g}{', within 0 and 1 as after a sigmoid' if probable else ', beyond 0 and 1: raw, before any sigmoid'}"
    if note := saturated(scores, pairs):
        yield f"note: {note}"
    if through_two_sigmoids(scores):
        yield (
            "note: all scores lie between 0.5 and 0.731, as probabilities do after another sigmoid, which some gateways apply to a "
            "server's; it changes no order, but each threshold"
        )
    if probable and high - low < _SMALLEST_RANGE:
        yield f"note: all scores lie within {high - low:.2g} of each other, as where the template of a model is missing"


def _wrong_in_each_language(wrong: list[PlainPair]) -> bool:
    """Return whether there is no language that the model reads rightly; a model may know one alone."""
    languages = groupby(PLAIN_PAIRS, key=lambda one: one.question.isascii())
    return all(any(one in wrong for one in pairs) for _, pairs in languages)

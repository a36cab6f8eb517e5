"""The check that a live index belongs to the model: a retriever's scores against the encoder's own cosines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.core.measures import normalised
from pytest_embedqa.encoders.retrievers.passage import Passage
from pytest_embedqa.encoders.system import System

# Half precision and the rounding of an index stay below it; a different model, length or prompt exceeds it.
TOLERANCE = 0.01
_K = 5
_OWN_TEXTS = 5
# The highest score of reciprocal-rank fusion of two lists, with its usual constant of 60.
_BEST_OF_RANKS = 2 / 61
_SHOWN_CHARACTERS = 60
_NOT_TOGETHER = "The index does not belong to the model that embeds queries"
_REINDEX = "Was the model changed after the corpus was indexed? Index it again."


@dataclass(frozen=True)
class Belonging:
    """The result of the check.

    Attributes:
        holds: Whether index and model belong together; ``None`` if the scores can't tell.
        reason: The observation, and what to do about it.
        apart: Largest difference between the retriever's and the encoder's cosine; ``None`` if none was compared.
        compared: Number of compared scores.
    """

    holds: bool | None
    reason: str
    apart: float | None = None
    compared: int = 0


@dataclass(frozen=True)
class _Hit:
    """A passage that came back, with both cosines.

    Attributes:
        query: The query that found it.
        text: Its text.
        there: Cosine according to the retriever's score.
        here: Cosine of the encoder's own vectors.
    """

    query: str
    text: str
    there: float
    here: float

    @property
    def apart(self) -> float:
        return abs(self.there - self.here)

    def __str__(self) -> str:
        if self.query == self.text:
            return f"the passage {_shown(self.text)}, searched with its own text, has cosine {self.there:.3f}, not {self.here:.3f}"
        return f"{_shown(self.query)} and {_shown(self.text)} have cosine {self.there:.3f}, not {self.here:.3f}"


def check_belonging(
    search: Callable[[str, int], Sequence[Passage]],
    encoder: System,
    queries: Sequence[str],
    *,
    to_cosine: Callable[[float], float] | None = float,
    tolerance: float = TOLERANCE,
) -> Belonging:
    """Compare a retriever's scores with an encoder's cosines, for queries and for passages' own texts.

    Args:
        search: Function that asks a dense retriever whose scores are cosines, or can be converted to cosines.
        encoder: The model that is said to be behind it, with the prompts that are said to apply.
        queries: Some texts to search with.
        to_cosine: Converts a score to a cosine; ``None`` for scores that can't be converted. By default scores are
            cosines.
        tolerance: Largest difference that two cosines may have.

    Raises:
        EngineError: If the retriever fails, unless it reports different dimensions, which is an answer.
    """
    if encoder.kind != "dense" or to_cosine is None:
        without = encoder.kind != "dense" and f"'{encoder.spec}' has no dense vectors (its kind is {encoder.kind})"
        return _unknown(without or "this retriever's scores are no cosines, as those of fused, reranked or word search")
    try:
        found = _found(search, queries)
        # Long texts tell more: shortened texts have the same vectors only where they are short.
        texts = sorted({passage.text for _, passage in found}, key=lambda text: (-len(text), text))[:_OWN_TEXTS]
        found += _found(search, texts)
    except EngineError as error:
        if "dimension" not in str(error).lower():
            raise
        return Belonging(holds=False, reason=f"Index and model have vectors of different dimensions. {error}")
    if not found:
        return _unknown(f"the retriever found nothing for any of {len(queries)} queries")
    scores = [passage.score for _, passage in found if passage.score is not None and passage.distance is None]
    if len(scores) < len(found):
        return _unknown("the retriever gives passages no scores, or distances")
    if max(map(abs, map(to_cosine, scores))) > 1 + tolerance or 0 < max(scores) <= _BEST_OF_RANKS:
        return _unknown(f"they are no cosines: the highest is {max(scores):.3g}, the lowest {min(scores):.3g}")
    own = _cosines(encoder, [(text, text) for text in texts])
    hits = [
        _Hit(query, passage.text, to_cosine(score), here)
        for (query, passage), score, here in zip(
            found, scores, _cosines(encoder, [(query, passage.text) for query, passage in found]), strict=True
        )
    ]
    return _judge(hits, dict(zip(texts, own, strict=True)), str(encoder.spec), tolerance)


def _judge(hits: Sequence[_Hit], own: dict[str, float], model: str, tolerance: float) -> Belonging:
    """Judge the hits, given the encoder's cosine of each passage to its own text as a query."""
    worst = max(hits, key=lambda hit: hit.apart)
    for text, here in own.items():
        mine = [hit for hit in hits if hit.query == text]
        missing = all(hit.text != text for hit in mine)
        # Passages that are further away came in its place.
        if missing and here > min((hit.there for hit in mine), default=-1) + tolerance:
            return Belonging(
                holds=False,
                reason=f"{_NOT_TOGETHER}: searched with its own text, the passage {_shown(text)} is not found. {_REINDEX}",
                apart=worst.apart,
                compared=len(hits),
            )
    mirrored = [hit for hit in hits if hit.query == hit.text]
    if worst.apart <= tolerance:
        reason = f"{len(hits)} scores are the cosines of '{model}', within {worst.apart:.1g}."
    elif all(hit.there >= 1 - tolerance or hit.apart <= tolerance for hit in mirrored):
        reason = (
            f"Index and queries have vectors of one model, but it is not '{model}' as given: {worst}. "
            "Another model, revision, prompt, max_length or number format?"
        )
    else:
        reason = f"{_NOT_TOGETHER}: {max(mirrored, key=lambda hit: hit.apart)}. {_REINDEX}"
    return Belonging(worst.apart <= tolerance, reason, worst.apart, len(hits))


def _found(search: Callable[[str, int], Sequence[Passage]], queries: Sequence[str]) -> list[tuple[str, Passage]]:
    return [(query, passage) for query in queries for passage in search(query, _K)]


def _cosines(encoder: System, pairs: Sequence[tuple[str, str]]) -> list[float]:
    """Return the cosine of each query and passage, by the encoder's own vectors."""
    queries = normalised(encoder.encode([query for query, _ in pairs], "query"))
    passages = normalised(encoder.encode([text for _, text in pairs], "document"))
    return [float(cosine) for cosine in np.sum(queries * passages, axis=1)]


def _unknown(why: str) -> Belonging:
    return Belonging(
        holds=None, reason=f"Whether index and model belong together can't be told from these scores: {why}."
    )


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return f"'{line[:_SHOWN_CHARACTERS]}{'…' if len(line) > _SHOWN_CHARACTERS else ''}'"

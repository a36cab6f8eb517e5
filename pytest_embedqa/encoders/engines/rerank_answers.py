"""Answers of a rerank API: a score for each document, in whichever of its forms."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from pytest_embedqa.encoders.engines.openai_answers import Answer

# Keys of the list of scores (Cohere, Jina, vLLM and llama.cpp; vLLM's /score and Voyage), and of a score.
_LISTS = ("results", "data")
_SCORES = ("relevance_score", "score")
_COUNTS = ("prompt_tokens", "total_tokens")


def read_scores(answer: Any, count: int) -> Answer:
    """Return the scores of an answer in the order of the documents, shape (count,): servers may sort them.

    Args:
        answer: The JSON.
        count: Number of documents that were sent.

    Raises:
        ValueError: If the answer can't be right.
    """
    rows = _rows(answer)
    places = [row.get("index") for row in rows]
    if not all(type(place) is int for place in places):  # True and 1.0 are equal to 1
        raise ValueError(
            f"scores without whole numbers as their 'index' ({_written(places[:5])}), by which they belong to documents: they may be sorted"
        )
    if set(places) < set(range(count)) and len(set(places)) == len(places):
        raise ValueError(f"{len(rows)} scores for {count} documents: the answer is cut, as by a top_n")
    if len(rows) != count or set(places) != set(range(count)):
        raise ValueError(f"{len(rows)} scores with the indexes {_written(places[:5])}… for {count} documents")
    by_place = dict(zip(places, map(_score, rows), strict=True))
    with np.errstate(over="ignore"):
        scores = np.array([by_place[place] for place in range(count)], dtype=np.float32)
    if not np.isfinite(scores).all():
        raise ValueError("NaN or infinity as a score, as half precision gives when it overflows")
    return Answer(scores, tokens=_tokens(answer))


def _rows(answer: Any) -> list[Mapping[str, Any]]:
    found = answer
    if isinstance(answer, Mapping):
        found = next((answer[key] for key in _LISTS if key in answer), None)
    if not isinstance(found, list) or not all(isinstance(row, Mapping) for row in found):
        shape = f"an object of {', '.join(answer):.200}" if isinstance(answer, Mapping) else _written(answer)
        raise ValueError(f"{shape}, and not a list of objects with 'index' and 'relevance_score' (or 'score')")
    return found


def _score(row: Mapping[str, Any]) -> float:
    score = next((row[key] for key in _SCORES if key in row), None)
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise ValueError(f"{_written(score)} instead of a score")  # noqa: TRY004  its content is wrong
    try:
        return float(score)
    except OverflowError:
        raise ValueError(f"a score beyond any float: {_written(score)}") from None


def _tokens(answer: Any) -> int | None:
    usage = answer.get("usage") if isinstance(answer, Mapping) else None
    counts = [usage.get(key) for key in _COUNTS] if isinstance(usage, Mapping) else []
    return next((count for count in counts if type(count) is int and count > 0), None)


def _written(part: Any) -> str:
    """Return the beginning of a part of an answer, as JSON."""
    return json.dumps(part, ensure_ascii=False)[:80]

"""Pairs of texts as single strings, in which form they pass through batches and the store like texts."""

from __future__ import annotations

import json


def join(query: str, document: str) -> str:
    """Return a query and a document as one string, from which :func:`split` takes them again."""
    return json.dumps([query, document], ensure_ascii=False)


def split(pair: str) -> tuple[str, str]:
    """Return the query and the document of a pair."""
    query, document = json.loads(pair)
    return query, document

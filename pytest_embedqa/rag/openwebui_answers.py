"""The passages in OpenWebUI's answers to a search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_embedqa.encoders.retrievers.passage import Passage
from pytest_embedqa.rag.http import Service

_SEARCH = "/api/v1/retrieval/query/collection"
_UPDATED = "Was it updated? This is for its version 0.12."
# Larger than any search score; NaN and whole numbers beyond floats do not compare below it.
_NO_SCORE = 1e300


def passages_of(answer: Any, sources: Mapping[str, str], service: Service) -> list[Passage]:  # any JSON
    """Return the passages of an answer, the best first.

    Args:
        answer: The JSON of a search.
        sources: Documents by the ids of files that were uploaded here; others keep the names that the server knows.
        service: The server, for errors.

    Raises:
        EngineError: If the answer has another form than that of version 0.12.
    """
    try:
        rows = list(zip(*(answer[name][0] for name in ("documents", "metadatas", "distances")), strict=True))
    except (KeyError, IndexError, TypeError, ValueError):
        raise service.error(
            "answered a search in a form that is not known, where the lists 'documents', 'metadatas' and 'distances' "
            f"must be, of the same length. {_UPDATED}",
            _SEARCH,
        ) from None
    return [_passage(row, sources, service) for row in rows]


def _passage(row: tuple[Any, ...], sources: Mapping[str, str], service: Service) -> Passage:
    text, metadata, score = row
    told = metadata if isinstance(metadata, dict) else {}
    page, file, name = told.get("page"), told.get("file_id"), told.get("name")
    source = sources.get(file, name) if isinstance(file, str) else name
    page = int(page) if isinstance(page, str) and page.isdecimal() else page
    rightly = {
        "a text": (text, isinstance(text, str)),
        "the metadata": (metadata, isinstance(metadata, dict)),
        "a name": (source, source is None or isinstance(source, str)),
        "a page": (page, page is None or type(page) is int),
        "a score": (score, type(score) in {int, float} and abs(score) < _NO_SCORE),
    }
    wrong = [f"{part!r:.80} for {what}" for what, (part, right) in rightly.items() if not right]
    if wrong:
        raise service.error(f"gave in a passage {', '.join(wrong)}. {_UPDATED}", _SEARCH)
    # OpenWebUI's loaders count pages from 0.
    return Passage(text=text, source=source, page=None if page is None else page + 1, score=float(score))

"""The conversion of retrievers' results to passages: forms of common libraries, none that could be misread."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence, ValuesView
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import PurePath
from typing import Any

import numpy as np

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.arrays import as_array
from pytest_embedqa.encoders.retrievers.passage import Passage

_WANTED = (
    "Return a list, best first, of Passage(text, source=, page=, score=) of pytest_embedqa (distance= for score= where less "
    "is better), of mappings with these keys, of texts, or of pairs (text, score)."
)
_WANTED_IDS = (
    "Return a list, best first, of ids, of pairs (id, score), of mappings with id and score, or of passages with the id of "
    "their document: Passage(text, id=, score=) of pytest_embedqa."
)
_KEYS = {field.name for field in fields(Passage)}
# Keys under which pipelines keep the id of a document, in a mapping or in the metadata of a document.
_IDS = ("id", "_id", "doc_id", "document_id")
# LanceDB's names of its own columns in a row, and the fields that they become.
_OF_LANCEDB = {"_distance": "distance", "_score": "score", "_relevance_score": "score"}
# Keys under which LangChain, LlamaIndex and Haystack keep a document's name. Their pages count from 0 or are labels.
_SOURCES = ("source", "file_path", "file_name")
# Score that faiss puts in places for which it has no hit.
_FILLER = float(np.finfo(np.float32).max)
_SHOWN_CHARACTERS = 100
_SHOWN_RANKS = 3


class _UnreadableError(Exception):
    """Raised if a passage can't be read; the text says why."""


def passages_of(found: object, name: str, *, by_id: bool = False) -> list[Passage]:
    """Return a retriever's result as passages with plain numbers.

    Args:
        found: A list of passages, of mappings with their fields, of texts, or of (text or passage, score) pairs;
            documents of LangChain and Haystack, nodes of LlamaIndex, rows of LanceDB; Chroma's answer to one query.
        name: Name of the retriever.
        by_id: Whether passages may come without a text, but with the id of their document; a mapping of scores by id is
            read, too.

    Raises:
        EngineError: If it is anything else, or a score is not finite; the text names the rank.
    """
    wanted = _WANTED_IDS if by_id else _WANTED
    passages = []
    for rank, one in enumerate(_listed(found, name, wanted, by_id=by_id), 1):
        try:
            passages.append(_plain(_passage(one, by_id=by_id)))
        except _UnreadableError as problem:  # noqa: PERF203  each is tried, to name its rank
            raise EngineError(f"{name} returned at rank {rank} {problem}. {wanted}") from None
    if any(one.distance is not None for one in passages) and any(
        one.distance is None and one.score is not None for one in passages
    ):
        raise EngineError(f"{name} returned passages with a score beside others with a distance. {wanted}")
    return passages


def notes_on(passages: Sequence[Passage], k: int) -> tuple[str, ...]:
    """Return oddities of an answer that decide nothing, as sentences.

    Args:
        passages: All passages that came back.
        k: Number of passages that were asked for.
    """
    notes = []
    if len(passages) != k:
        came = "1 passage" if len(passages) == 1 else f"{len(passages)} passages"
        judged = f": the first {k} are judged" if len(passages) > k else ""
        notes.append(f"{came} came back, {k} were asked for{judged}.")
    same: dict[tuple[object, ...], list[int]] = {}
    for rank, one in enumerate(passages, 1):
        same.setdefault((one.text, one.source, one.page), []).append(rank)
    for first, *others in same.values():
        if len(others) == 1:
            notes.append(f"the passage at rank {others[0]} is the same as at rank {first}.")
        elif others:
            ranks = ", ".join(map(str, others[:_SHOWN_RANKS])) + (", …" if len(others) > _SHOWN_RANKS else "")
            notes.append(f"{len(others)} passages, at ranks {ranks}, are the same as at rank {first}.")
    scored = [(rank, one.score) for rank, one in enumerate(passages, 1) if one.score is not None]
    steps = [(before, after) for before, after in pairwise(scored) if before[1] != after[1]]
    rises = [(before[0], after[0]) for before, after in steps if after[1] > before[1]]
    if rises and len(rises) == len(steps):
        what = "distances fall" if passages[scored[0][0] - 1].distance is not None else "scores rise"
        notes.append(
            f"{what} from rank to rank, as if the worst came first; a distance is Passage(text, distance=...)."
        )
    elif rises:
        notes.append(
            f"the best does not come first: rank {rises[0][1]} is better than rank {rises[0][0]} by its score."
        )
    return tuple(notes)


def _listed(
    found: Any, name: str, wanted: str, *, by_id: bool
) -> Iterable[object]:  # whatever a user's retriever returns
    if isinstance(found, Mapping) and "ids" in found and ("documents" in found or by_id):
        return _of_chroma(found, name, by_id=by_id)
    if isinstance(found, Mapping) and found.keys() == {"documents"}:  # a component of Haystack
        found = found["documents"]
    if by_id and isinstance(found, Mapping) and all(isinstance(one, int | float | np.number) for one in found.values()):
        # Scores by id, as mteb has them, in whatever order.
        return sorted(found.items(), key=lambda pair: float(pair[1]), reverse=True)
    # Tables and pydantic models are iterable, too, but yield the names of their columns and fields.
    if isinstance(found, str | bytes) or not isinstance(found, Sequence | Iterator | ValuesView | np.ndarray):
        raise EngineError(f"{name} returned {_described(found)}. {wanted}")
    return found


def _of_chroma(found: Mapping[str, Any], name: str, *, by_id: bool) -> Iterator[Passage]:
    """Yield the passages of a single query."""
    keys = ("documents", "metadatas", "distances", *(["ids"] if by_id else []))
    lists = {key: found[key] for key in keys if found.get(key) is not None}
    if not {"documents", "ids"} & lists.keys() or any(
        len(column) != 1 or not isinstance(column[0], list) for column in lists.values()
    ):
        raise EngineError(
            f"{name} returned a result of Chroma that is not the answer to one query with its texts. "
            "Return collection.query(query_texts=[query], n_results=k, include=['documents', 'metadatas', 'distances'])."
        )
    for number in range(len(next(iter(lists.values()))[0])):
        row: dict[str, Any] = {key: column[0][number] for key, column in lists.items()}
        metadata = row.get("metadatas")
        own = _id(metadata) if by_id and metadata else None
        yield Passage(
            row.get("documents", "") or "" if by_id else row["documents"],
            _source(metadata),
            distance=row.get("distances"),
            id=own or row.get("ids"),
        )


def _passage(found: Any, *, by_id: bool) -> Passage:
    if isinstance(found, Passage):
        return found
    if isinstance(found, str):
        return Passage(found)
    if isinstance(found, tuple) and len(found) == 2:  # noqa: PLR2004  LangChain's similarity_search_with_score
        passage = _passage(found[0], by_id=by_id)
        if passage.score is not None or passage.distance is not None:
            raise _UnreadableError("two scores")
        return replace(passage, score=found[1])
    if isinstance(found, Mapping):
        return _of_mapping(found, by_id=by_id)
    metadata = getattr(found, "metadata", getattr(found, "meta", None))
    if isinstance(metadata, Mapping):
        content = getattr(found, "page_content", getattr(found, "content", None))  # LangChain, Haystack
        if not isinstance(content, str) and callable(read := getattr(found, "get_content", None)):  # LlamaIndex
            content = read()
        if isinstance(content, str):
            own = _id(metadata) if by_id else None
            if by_id and own is None and isinstance(given := getattr(found, "id", None), str):
                own = given or None
            return Passage(content, _source(metadata), score=getattr(found, "score", None), id=own)
    raise _UnreadableError(_described(found))


def _of_mapping(found: Mapping[Any, Any], *, by_id: bool) -> Passage:
    values = {key: value for key, value in found.items() if key in _KEYS}
    if by_id and (own := _id(found)) is not None:
        values |= {"id": own, "text": found.get("text", "")}
    theirs = [key for key in reversed(_OF_LANCEDB) if key in found]
    known = _KEYS | ({*_IDS} if by_id else set())
    if "text" not in values or (not found.keys() <= known and not theirs):
        raise _UnreadableError(_described(dict(found)))
    if theirs and not values.keys() & {"score", "distance"}:
        values[_OF_LANCEDB[theirs[0]]] = found[theirs[0]]
    return Passage(**values)


def _id(metadata: Mapping[Any, Any]) -> Any:
    return next((metadata[key] for key in _IDS if metadata.get(key) is not None), None)


def _source(metadata: Mapping[str, Any] | None) -> str | None:
    named = (metadata[key] for key in _SOURCES if metadata and metadata.get(key))
    return next((str(one) for one in named if isinstance(one, str | PurePath)), None)


def _plain(passage: Passage) -> Passage:
    """Return a passage with plain texts and numbers, and with a score if it has a distance."""
    if not isinstance(passage.text, str):
        raise _UnreadableError(f"a passage whose text is {_described(passage.text)}")
    if not isinstance(passage.source, str | PurePath | None):
        raise _UnreadableError(f"a passage whose source is {_described(passage.source)}")
    if passage.id is not None and not (isinstance(passage.id, str) and passage.id):
        raise _UnreadableError(
            f"a passage whose id is {_described(passage.id)}; an id is a text, and the number of a row is none"
        )
    page, last_page = _page(passage.page), _page(passage.last_page)
    if last_page is not None and (page is None or last_page < page):
        raise _UnreadableError(f"a passage whose last_page is {last_page} and whose page is {page}")
    source = passage.source.as_posix() if isinstance(passage.source, PurePath) else passage.source
    score, distance = _number("score", passage.score), _number("distance", passage.distance)
    if distance is not None and score not in {None, -distance}:
        raise _UnreadableError("a passage with both a score and a distance")
    return Passage(
        str(passage.text),
        source if source and source.strip() else None,  # an empty name tells no document
        page,
        last_page,
        score if distance is None else -distance,
        _starts(passage.page_starts, len(passage.text), (last_page or page or 0) - (page or 0)),
        distance,
        None if passage.id is None else str(passage.id),
    )


def _page(value: Any) -> int | None:
    if value is None:
        return None
    try:
        page = operator.index(value)
    except TypeError:
        page = 0
    if isinstance(value, bool | np.bool_) or page < 1:
        raise _UnreadableError(f"a passage whose page is {_described(value)}; pages are whole numbers and count from 1")
    return page


def _starts(value: Any, characters: int, breaks: int) -> tuple[int, ...]:
    """Return where pages begin in a text, given its length and its number of page breaks."""
    try:
        starts = tuple(operator.index(one) for one in value)
    except TypeError:
        starts = (-1,)
    if starts and not (
        len(starts) == breaks and [*starts] == sorted(starts) and 0 <= starts[0] <= starts[-1] <= characters
    ):
        raise _UnreadableError(
            f"a passage whose page_starts is {_described(value)}; for each page after the first, up to last_page, it needs the "
            f"number of a character of the text (of {characters}), in their order"
        )
    return starts


def _number(what: str, value: Any) -> float | None:
    """Return a number of any library as a plain float."""
    if value is None:
        return None
    number = None
    if not isinstance(value, str | bytes | bytearray | bool | complex):
        try:
            # NumPy and torch would drop the imaginary part, and take a masked value for a number.
            number = float(as_array(value).item() if hasattr(value, "dtype") else value)
        except (TypeError, ValueError, ArithmeticError, RuntimeError):
            number = None
    if number is not None and not np.isfinite(number):
        raise _UnreadableError(f"a passage whose {what} is {number}; it must be a finite number")
    if number is None:
        raise _UnreadableError(f"a passage whose {what} is {_described(value)}; it must be a number")
    if abs(number) >= _FILLER:
        raise _UnreadableError(
            f"a passage whose {what} is {number:.8g}, with which faiss fills places without a hit (-1)"
        )
    return number


def _described(value: object) -> str:
    if value is None:
        return "None"
    return (
        f"a {type(value).__name__}: {str(value) if isinstance(value, np.ndarray) else repr(value):.{_SHOWN_CHARACTERS}}"
    )

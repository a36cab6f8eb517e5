"""The form of specs that name several models together: ``bm25``, ``hybrid:[SPEC][SPEC]``, ``rerank:[FIRST][RERANKER]``."""

from __future__ import annotations

import re

# Composite specs, each with the fewest and the most specs in its brackets.
COMPOSITES = {"bm25": (0, 0), "hybrid": (2, 20), "rerank": (2, 2)}
FORMS = "bm25, hybrid:[SPEC][SPEC]..., rerank:[FIRST_STAGE][RERANKER]"
_NAME = re.compile(r"\s*(bm25|hybrid|rerank)\s*(?=$|[:?])")
# Brackets within brackets: a reranker behind a hybrid search whose part is another hybrid search needs three.
_DEEPEST = 4


def composite_name(text: str) -> str:
    """Return the name of a composite spec; empty for the spec of a single model."""
    found = _NAME.match(text)
    return found[1] if found else ""


def head_length(text: str) -> int:
    """Return where the options of a composite spec begin: the place of their ``?``, or the length of the text.

    Raises:
        ValueError: If a bracket is not closed, something stands between brackets, or they are nested too deep.
    """
    return _read(text)[1]


def in_brackets(text: str) -> list[str]:
    """Return the texts in the brackets of a composite spec, which must have the right number of them.

    Raises:
        ValueError: If they have another form; the text continues "The spec '...' ".
    """
    name, (found, _) = composite_name(text), _read(text)
    least, most = COMPOSITES[name]
    if not least <= len(found) <= most:
        wanted = "none" if not most else str(least) if least == most else f"{least} to {most}"
        raise ValueError(f"has {len(found)} in square brackets, where {name} takes {wanted}. The forms are {FORMS}")
    return found


def _read(text: str) -> tuple[list[str], int]:
    named = _NAME.match(text)
    place = named.end() if named else 0
    found: list[str] = []
    if text[place : place + 1] == ":":
        place += 1
        while text[place : place + 1] not in {"", "?"}:
            if text[place] != "[":
                if not text[place:].strip():
                    return found, len(text)
                raise ValueError(f"has {text[place:][:20]!r} outside square brackets. The forms are {FORMS}")
            end = _closing(text, place)
            found.append(text[place + 1 : end])
            place = end + 1
    return found, place


def _closing(text: str, start: int) -> int:
    depth = 0
    for place in range(start, len(text)):
        depth += {"[": 1, "]": -1}.get(text[place], 0)
        if depth > _DEEPEST:
            raise ValueError(f"has more than {_DEEPEST} square brackets within each other")
        if not depth:
            return place
    raise ValueError(
        "has a square bracket that is not closed; within a spec in brackets, write %5B and %5D for brackets that are no pair"
    )

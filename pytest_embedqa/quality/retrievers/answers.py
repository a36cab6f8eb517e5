"""The answers of a retriever as rankings of a task's documents: each passage is traced to its document, or is an error."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

import numpy as np

from pytest_embedqa.core.errors import DataError
from pytest_embedqa.core.showing import one_line
from pytest_embedqa.encoders.retrievers.passage import Passage

Ranking = dict[str, float]
_BLOCK = 1 << 12
_SHOWN_CHARACTERS, _SHOWN_NAMES = 60, 3
_HOW = (
    "A document is known by the id that corpus.jsonl gives it, or by its whole text. Return its id with each passage: "
    'Passage(text, id=...), a mapping with "id", metadata["id"], or the pair (id, score).'
)


class Documents(Protocol):
    """The documents of a task, by their numbers."""

    def __len__(self) -> int:
        """Return the number of documents."""
        ...

    def ids(self, numbers: Sequence[int]) -> list[str]:
        """Return ids."""
        ...

    def texts(self, numbers: Sequence[int] | slice) -> list[str]:
        """Return texts as models read them: title and text joined."""
        ...

    def bodies(self, numbers: Sequence[int] | slice) -> list[str]:
        """Return texts without their titles."""
        ...

    def numbers(self, wanted: Collection[str]) -> dict[str, int]:
        """Return numbers by id; unknown ids are left out."""
        ...


@dataclass
class Rankings:
    """Rankings of documents, with what a reader must know of them.

    Attributes:
        by_query: Scores by document, by query: descending, and without ties where the order of an answer counts.
        notes: Oddities that are no errors, as sentences.
    """

    by_query: dict[str, Ranking]
    notes: list[str] = field(default_factory=list)


def rankings_of(answers: Mapping[str, Sequence[Passage]], documents: Documents, name: str, k: int) -> Rankings:
    """Trace the passages of all answers to documents, and rank these in the order in which they came back.

    Args:
        answers: Passages by query, best first.
        documents: Documents of the task.
        name: Name of the retriever.
        k: Number of passages that it was asked for.

    Raises:
        DataError: If a passage is of no document, or its id contradicts its text; the text says of which query.
    """
    traced = _traced(answers, documents, name)
    found = Rankings({})
    odd: dict[str, list[str]] = {}
    several = 0
    for query, passages in answers.items():
        ids = list(dict.fromkeys(traced[query]))
        several += len(passages) - len(ids)
        scores = _scores([passages[traced[query].index(one)] for one in ids])
        found.by_query[query] = dict(zip(ids[:k], scores[:k], strict=True))
        for oddity in _oddities(passages, k):
            odd.setdefault(oddity, []).append(query)
    found.notes += [_note(oddity, queries, len(answers), k) for oddity, queries in odd.items()]
    if several:
        repeated = "1 passage is" if several == 1 else f"{several:,} passages are"
        found.notes.append(
            f"{repeated} of documents that came back before: a document has the rank of its best passage."
        )
    return found


def _note(oddity: str, queries: Sequence[str], asked: int, k: int) -> str:
    return f"for {len(queries):,} of {asked:,} queries {oddity.format(k=k)}: {shown_names(queries)}."


def _oddities(passages: Sequence[Passage], k: int) -> Iterator[str]:
    """Yield what is odd in an answer, in words that may stand behind "for 3 of 300 queries"."""
    if not passages:
        yield "nothing came back, which scores 0"
    elif len(passages) < k:
        yield "fewer than the {k} passages asked for came back, and metrics see no more"
    elif len(passages) > k:
        yield "more than the {k} passages asked for came back, and the first {k} documents count"
    scores = [one.score for one in passages if one.score is not None]
    if 0 < len(scores) < len(passages):
        yield "some passages have a score and others have none, so that the order alone counts"
    steps = [(before, after) for before, after in pairwise(scores) if before != after]
    rises = [after > before for before, after in steps]
    if rises and all(rises):
        yield "scores rise from rank to rank, as if the worst came first (a distance is Passage(text, distance=...)); the order counts"
    elif any(rises):
        yield "the best score does not come first; the order counts, not the score"
    if len(steps) < len(scores) - 1:
        yield "equal scores came back; their order counts"


def _scores(passages: Sequence[Passage]) -> list[float]:
    """Return scores that give exactly this order to trec_eval, which compares them in single precision.

    They are the scores that came back, lowered by as little as it takes.
    """
    given = [one.score for one in passages]
    if any(score is None for score in given):
        return [float(len(given) - place) for place in range(len(given))]
    lowered: list[float] = []
    below = np.float32(np.inf)
    for score in given:
        below = min(np.float32(score), np.nextafter(below, np.float32(-np.inf)))
        lowered.append(float(below))
    return lowered


def _traced(answers: Mapping[str, Sequence[Passage]], documents: Documents, name: str) -> dict[str, list[str]]:
    """Return the ids of the documents that passages are of, by query."""
    every = [one for passages in answers.values() for one in passages]
    numbers = documents.numbers({given for one in every for given in _names(one)})
    by_text = _by_text({_folded(one.text) for one in every if one.text}, documents)
    traced: dict[str, list[str]] = {}
    lost: list[str] = []
    for query, passages in answers.items():
        here = traced[query] = []
        for rank, one in enumerate(passages, 1):
            equal = by_text.get(_folded(one.text), []) if one.text else []
            named = next((given for given in _names(one) if given in numbers), None)
            if named is None and not equal:
                lost.append(f"for the query '{one_line(query)}' at rank {rank} {_described(one)}")
            elif named is None:  # of documents with equal texts, each passage stands for the next
                here.append(next((id_ for id_ in equal if id_ not in here), equal[0]))
            elif _contradicts(one, named, equal, documents, numbers[named]):
                raise DataError(
                    f"{name} returned for the query '{one_line(query)}' at rank {rank} the id '{named}' with the text of the document '{equal[0]}': "
                    f"{_shown(one.text)}. Is it the number of a row, or the id of another index? Return the id that corpus.jsonl gives the document."
                )
            else:
                here.append(named)
    if lost:
        more = f" ({len(lost):,} of {len(every):,} passages belong to none)" if len(lost) > 1 else ""
        raise DataError(
            f"{name} returned {lost[0]}, which belongs to none of the {len(documents):,} documents of the task{more}. {_HOW}"
        )
    return traced


def _contradicts(passage: Passage, named: str, equal: Sequence[str], documents: Documents, number: int) -> bool:
    """Return whether a passage is named after one document, and its text is another's and no part of the first's."""
    return (
        bool(equal)
        and named not in {*equal, passage.text}
        and _folded(passage.text) not in _folded(documents.texts([number])[0])
    )


def _names(passage: Passage) -> list[str]:
    """Return what may be the id of a passage's document, the likeliest first."""
    return [one for one in (passage.id, passage.source, passage.text) if one]


def _by_text(wanted: Collection[str], documents: Documents) -> dict[str, list[str]]:
    """Return the ids of the documents that have one of these texts, with or without their title."""
    found: dict[str, list[int]] = {}
    for start in range(0, len(documents) if wanted else 0, _BLOCK):
        block = slice(start, start + _BLOCK)
        for number, texts in enumerate(zip(documents.texts(block), documents.bodies(block), strict=True), start):
            for text in dict.fromkeys(map(_folded, texts)):
                if text in wanted:
                    found.setdefault(text, []).append(number)
    return {text: documents.ids(numbers) for text, numbers in found.items()}


def shown_names(names: Iterable[str]) -> str:
    """Return the first of many names."""
    every = list(names)
    return ", ".join(f"'{one_line(one)}'" for one in every[:_SHOWN_NAMES]) + (
        ", …" if len(every) > _SHOWN_NAMES else ""
    )


def _described(passage: Passage) -> str:
    given = [
        f"the {what} '{one_line(value)}'" for what, value in (("id", passage.id), ("source", passage.source)) if value
    ]
    return " and ".join([*given, *([f"the text {_shown(passage.text)}"] if passage.text else [])])


def _shown(text: str) -> str:
    line = one_line(text)
    return f"'{line[:_SHOWN_CHARACTERS]}{'…' if len(line) > _SHOWN_CHARACTERS else ''}'"


def _folded(text: str) -> str:
    return " ".join(text.split())

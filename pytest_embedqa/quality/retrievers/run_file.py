"""A TREC run file as a system: it holds all rankings already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

from pytest_embedqa.core.errors import DataError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.digest import file_digest
from pytest_embedqa.quality.retrievers.answers import Documents, Rankings, shown_names
from pytest_embedqa.quality.retrievers.system import KIND, Questions, RetrieverSystem
from pytest_embedqa.quality.retrievers.trec import NOTHING, TrecRun, read_run


class RunFile(RetrieverSystem):
    """The rankings of a TREC run file."""

    def __init__(self, path: Path, name: str) -> None:
        """Take a file; it is read when it is first needed."""
        super().__init__(name)
        self._path = path

    @cached_property
    def _digest(self) -> str:
        try:
            return file_digest(self._path)
        except OSError as error:
            raise DataError(f"{self._path} can't be read: {error.strerror or error}.") from None

    @property
    def identity(self) -> Identity:
        """Name and digest of the file."""
        return Identity(model=self.name, engine=KIND, weights=self._digest, options={"from": "TREC run"})

    def renew(self) -> None:
        """Look at the file anew."""
        self.__dict__.pop("_digest", None)

    def rankings(self, questions: Questions, documents: Documents, more: int = 0) -> Rankings:
        """Return the rankings of the file, once its queries and documents are known to be those of the task."""
        del more
        run = read_run(self._path)
        _require_queries(run, questions)
        judged = {query: run.rankings[query] for query in questions.texts}
        wanted = {document for ranking in judged.values() for document in ranking}
        known = documents.numbers(wanted)
        answered = {query: ({} if _is_empty(one, known) else one) for query, one in judged.items()}
        unknown = dict.fromkeys(one for ranking in answered.values() for one in ranking if one not in known)
        if unknown:
            raise DataError(
                f"{run.path}: {len(unknown):,} of its {len(wanted):,} documents are none of the {len(documents):,} of {questions.task}: "
                f"{shown_names(unknown)}. Write the ids that the corpus has; a run over other documents can't be compared."
            )
        return Rankings(answered, list(_notes_on(run, answered)))

    def close(self) -> None:
        """Close nothing: the file is read in one go."""


def _is_empty(ranking: Mapping[str, float], known: Mapping[str, int]) -> bool:
    return ranking.keys() == {NOTHING} and NOTHING not in known


def _require_queries(run: TrecRun, questions: Questions) -> None:
    known = questions.texts.keys() | set(questions.unjudged)
    if unknown := [query for query in run.rankings if query not in known]:
        raise DataError(
            f"{run.path}:{run.lines[unknown[0]]}: {len(unknown):,} of its {len(run.rankings):,} queries are not among the {len(known):,} of "
            f"{questions.task}: {shown_names(unknown)}. Is it a run on another split? Leave out queries that are not judged there."
        )
    if missing := [query for query in questions.texts if query not in run.rankings]:
        raise DataError(
            f"{run.path} has no line for {len(missing):,} of the {len(questions.texts):,} judged queries of {questions.task}: {shown_names(missing)}. "
            "A mean without them would be of other queries. Complete the run; where nothing was found, say so in a line:  "
            f"{missing[0]} Q0 {NOTHING} 0 0 TAG"
        )


def _notes_on(run: TrecRun, answered: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Yield the oddities of a run that are no errors."""
    judged = len(answered)
    if empty := [query for query, ranking in answered.items() if not ranking]:
        yield f"the run has no document for {len(empty):,} of {judged:,} queries, which score 0: {shown_names(empty)}."
    if contradicted := [query for query in run.ranked_otherwise if query in answered]:
        yield (
            f"rank and score contradict each other for {len(contradicted):,} of {judged:,} queries, first in line "
            f"{run.ranked_otherwise[contradicted[0]]:,}: trec_eval goes by the score and ignores the rank, and so does this result."
        )
    if tied := [query for query in run.ties if query in answered]:
        yield (
            f"documents with equal scores (in single precision) are ranked otherwise for {len(tied):,} of {judged:,} queries, first '{tied[0]}': "
            "trec_eval puts the greater id first, and so does this result."
        )
    if left_out := len(run.rankings.keys() - answered.keys()):
        yield f"{left_out:,} of the queries of the run are not judged, and do not count."
    if len(run.tags) > 1:
        yield f"the run has {len(run.tags):,} tags, as if several were joined: {shown_names(run.tags)}."
    yield f"the longest list of the run has {run.depth:,} documents: metrics at a larger k see no more."

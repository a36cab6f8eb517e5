"""A retriever as a model of mteb's: it is asked all queries first, and mteb gets its rankings where it would search."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mteb._create_dataloaders import _retrieval_texts
from mteb.abstasks import AbsTask, AbsTaskRetrieval
from mteb.types import PromptType

from pytest_embedqa.core.errors import TaskError
from pytest_embedqa.core.retrieval_data import RetrievalData
from pytest_embedqa.quality.mteb.corpus import Corpus
from pytest_embedqa.quality.mteb.model import meta
from pytest_embedqa.quality.mteb.tasks import find_task, own_class, rows_of
from pytest_embedqa.quality.own_tasks import OwnTask, query_ids
from pytest_embedqa.quality.retrievers.choice import cut_off
from pytest_embedqa.quality.retrievers.system import Questions, RetrieverSystem
from pytest_embedqa.quality.task import TaskQuery

# Types of task that search a whole corpus.
_TYPES = {"Retrieval", "InstructionRetrieval"}


class SearchedModel:
    """Rankings that are known already, in the form of mteb's ``SearchProtocol``.

    Attributes:
        notes: Notes on the rankings.
    """

    bytes = (0.0, 0)

    def __init__(
        self,
        system: RetrieverSystem,
        rankings: Mapping[tuple[str, str], Mapping[str, Mapping[str, float]]],
        notes: list[str],
    ) -> None:
        """Keep scores by document, by query, by split and subset."""
        self.mteb_model_meta = meta(system)
        self.notes = notes
        self._rankings = rankings

    def index(self, corpus: Any, **_: Any) -> None:  # mteb's data
        """Index nothing: the retriever has an index of its own."""

    def search(self, queries: Any, *, hf_split: str, hf_subset: str, **_: Any) -> dict[str, dict[str, float]]:
        """Return the scores of documents by query."""
        rankings = self._rankings[hf_split, hf_subset]
        return {query: dict(rankings[query]) for query in queries["id"]}

    def ranked(self) -> dict[str, list[str]]:
        """Return the ids of the documents of each query of all parts, the best first."""
        return {
            query: sorted(scores, key=lambda id_: -scores[id_])
            for part in self._rankings.values()
            for query, scores in part.items()
        }


def searched(query: TaskQuery, tasks: Iterable[AbsTask], system: RetrieverSystem) -> SearchedModel:
    """Ask a retriever all queries of loaded tasks.

    Raises:
        TaskError: If a task is none that a retriever can be asked.
        EmbedQAError: If the answers can't be right.
        Exception: The exception of a pipeline of the user's own, as it is.
    """
    rankings: dict[tuple[str, str], Mapping[str, Mapping[str, float]]] = {}
    notes: list[str] = []
    parts = _parts(tasks)
    for task, split, subset in parts:
        assert isinstance(task, AbsTaskRetrieval)  # noqa: S101  checked at collection
        rows = rows_of(task, split, subset)
        if rows["top_ranked"] is not None:
            raise TaskError(
                f"{query.name} gives each query the documents to rank, and a retriever searches a whole corpus. Choose a retrieval task."
            )
        if system.top_k is None and len(parts) > 1:
            raise TaskError(
                f"a run file has the rankings of one split and subset, and {query.name} is evaluated on {len(parts)}. "
                "Choose one with splits= and subsets=."
            )
        taken_out = int(task.ignore_identical_ids) + int(task.skip_first_result)
        found = system.rankings(_questions(query, rows), Corpus(rows["corpus"]), taken_out)
        rankings[split, subset] = found.by_query
        notes += [f"{split}, {subset}: {note}" for note in found.notes] if len(parts) > 1 else found.notes
    return SearchedModel(system, rankings, notes)


def _questions(query: TaskQuery, rows: Mapping[str, Any]) -> Questions:
    judged = rows["relevant_docs"]
    texts = dict(zip(rows["queries"]["id"], _retrieval_texts(rows["queries"], PromptType.query), strict=True))
    every = {*texts, *(query_ids(query.task) if isinstance(query.task, OwnTask) else ())}
    wanted = {id_: text for id_, text in texts.items() if judged.get(id_)}
    return Questions(wanted, every - wanted.keys(), query.name)


def documents_of(query: TaskQuery, tasks: Iterable[AbsTask]) -> dict[str, str]:
    """Return the texts of all documents of loaded retrieval tasks by id, title and text joined.

    Raises:
        TaskError: If a task ranks nothing, or two of its subsets have documents of one id with different texts.
    """
    found: dict[str, str] = {}
    for task, split, subset in _parts(tasks):
        if not isinstance(task, AbsTaskRetrieval):
            raise TaskError(f"{query.name} is of the type {task.metadata.type}, which has no documents to search.")
        corpus = Corpus(rows_of(task, split, subset)["corpus"])
        every = slice(0, len(corpus))
        for id_, text in zip(corpus.ids(range(len(corpus))), corpus.texts(every), strict=True):
            if found.setdefault(id_, text) != text:
                raise TaskError(
                    f"{query.name} has several documents with the id '{id_}'. Choose a subset with subsets=, or a split with splits=."
                )
    return found


def texts_of(query: TaskQuery, tasks: Sequence[AbsTask]) -> RetrievalData:
    """Return the texts and judgements of loaded retrieval tasks.

    Raises:
        TaskError: If a task ranks nothing, brings candidates of its own, or there are several parts.
    """
    (task, split, subset), *others = _parts(tasks)
    documents = documents_of(query, tasks)
    if others:
        raise TaskError(
            f"{query.name} has {len(others) + 1} corpora, and an index holds one. Choose one with splits= and subsets=."
        )
    rows = rows_of(task, split, subset)
    asked = _questions(query, rows).texts
    relevant = {
        one: {id_: float(grade) for id_, grade in rows["relevant_docs"][one].items() if grade > 0} for one in asked
    }
    return RetrievalData(query.name, documents, asked, relevant, is_own_result=not task.ignore_identical_ids)


def _parts(tasks: Iterable[AbsTask]) -> list[tuple[AbsTask, str, str]]:
    return [(task, split, subset) for task in tasks for split in task.eval_splits for subset in task.hf_subsets]


def main_score_of(query: TaskQuery) -> str:
    """Return the main score of a task that a retriever can be asked.

    Raises:
        TaskError: If it is another task.
    """
    task = own_class(query.task, "")() if isinstance(query.task, OwnTask) else find_task(query)
    if task.metadata.type not in _TYPES or not isinstance(task, AbsTaskRetrieval):
        raise TaskError(
            f"{query.name} is of the type {task.metadata.type}, which searches no corpus. Choose a retrieval task."
        )
    return str(task.metadata.main_score)


def without_deeper(scores: Mapping[str, Any], top_k: int | None) -> dict[str, Any]:
    """Leave out the metrics that look at more documents than were asked for: their values would be of other lists."""
    return {metric: value for metric, value in scores.items() if top_k is None or cut_off(metric) <= top_k}

"""The texts of retrieval tasks, and the answers of retrievers to their queries, for other measures than mteb's."""

from __future__ import annotations

from pathlib import Path

from pytest_embedqa.core.judged import Judged
from pytest_embedqa.encoders.prompts import TaskContext
from pytest_embedqa.quality.evaluator import require_mteb
from pytest_embedqa.quality.retrievers.system import RetrieverSystem
from pytest_embedqa.quality.task import TaskQuery


class Judgements:
    """Documents, queries and judgements of tasks, as mteb loads them."""

    def __init__(self, datasets: Path | None) -> None:
        """Take data from the folder ``datasets``, else from the Hub."""
        self._datasets = datasets

    def of(self, query: TaskQuery) -> tuple[Judged, TaskContext]:
        """Return the texts and judgements of a retrieval task, and the facts that prompts depend on.

        Raises:
            TaskError, MissingDataError, DataError: If there are none.
        """
        require_mteb()
        from pytest_embedqa.quality.mteb import evaluation  # imports mteb: seconds

        return evaluation.judged_of(query, datasets=self._datasets)

    def answers(self, query: TaskQuery, retriever: RetrieverSystem) -> dict[str, list[str]]:
        """Return the ids of the documents that a retriever finds for each query of a task, the best first.

        Raises:
            EmbedQAError: If there is no data, or its answers can't be right.
            Exception: The exception of a pipeline of the user's own.
        """
        require_mteb()
        from pytest_embedqa.quality.mteb import evaluation

        return evaluation.answers_of(query, retriever, datasets=self._datasets)

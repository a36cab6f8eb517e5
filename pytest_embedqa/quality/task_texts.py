"""The texts of a retrieval task, and the answers of a retriever to its queries, for other measures than mteb's."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

from pytest_embedqa.core.retrieval_data import RetrievalData
from pytest_embedqa.encoders.prompts import TaskContext
from pytest_embedqa.encoders.system import System
from pytest_embedqa.quality.evaluator import require_mteb
from pytest_embedqa.quality.retrievers.system import RetrieverSystem
from pytest_embedqa.quality.task import TaskQuery


@dataclass(frozen=True)
class TaskTexts:
    """Documents, queries and judgements of a task, as mteb loads them.

    Attributes:
        query: The task, or the part of a task, of one split and subset.
        datasets: Folder with data in the Hub's layout, used instead of the Hub.
    """

    query: TaskQuery
    datasets: Path | None

    @property
    def key(self) -> Hashable:
        """What decides the texts."""
        return self.query

    def of(self, _model: System) -> tuple[RetrievalData, TaskContext]:
        """Return the texts and judgements, and the facts that prompts depend on.

        Raises:
            TaskError, MissingDataError, DataError: If there are none.
        """
        require_mteb()
        from pytest_embedqa.quality.mteb import evaluation  # imports mteb: seconds

        return evaluation.retrieval_data_of(self.query, datasets=self.datasets)

    def answers(self, retriever: RetrieverSystem) -> dict[str, list[str]]:
        """Return the ids of the documents that a retriever finds for each query, the best first.

        Raises:
            EmbedQAError: If there is no data, or its answers can't be right.
            Exception: The exception of a pipeline of the user's own.
        """
        require_mteb()
        from pytest_embedqa.quality.mteb import evaluation

        return evaluation.answers_of(self.query, retriever, datasets=self.datasets)

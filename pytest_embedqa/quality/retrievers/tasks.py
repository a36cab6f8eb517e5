"""What a retriever needs of a task; mteb, which takes seconds to import, is imported when it is asked."""

from __future__ import annotations

from pathlib import Path

from pytest_embedqa.quality.task import TaskQuery


def main_score_of(query: TaskQuery) -> str:
    """Return the name of the main score of a task that a retriever can be asked.

    Raises:
        TaskError: If it is another task.
    """
    from pytest_embedqa.quality.mteb import searching

    return searching.main_score_of(query)


def corpus_of(query: TaskQuery, datasets: Path | None) -> dict[str, str]:
    """Return the texts of the documents of a retrieval task by id, title and text joined as models read them.

    Args:
        query: The task, or the part of a task.
        datasets: Folder with data in the Hub's layout, used instead of the Hub.

    Raises:
        TaskError, MissingDataError, DataError: If there are none.
    """
    from pytest_embedqa.quality.mteb import evaluation

    return evaluation.corpus_of(query, datasets=datasets)

"""The indexes that a session has measured: each once, whatever number of tests look at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pytest_embedqa.core.errors import EmbedQAError, SpecError
from pytest_embedqa.core.judged import Judged
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.prompts import DOCUMENT, QUERY, TaskContext
from pytest_embedqa.encoders.representations.dense import DENSE
from pytest_embedqa.encoders.system import System
from pytest_embedqa.index.data import Data
from pytest_embedqa.index.growth import grown
from pytest_embedqa.index.mark import IndexMark
from pytest_embedqa.index.measuring import measure, measure_answers
from pytest_embedqa.index.result import IndexResult


class Source(Protocol):
    """Where the texts of tasks come from. What a query is, this room need not know."""

    def of(self, query: Any) -> tuple[Judged, TaskContext]:
        """Return the texts and judgements of a task, and the facts that prompts depend on."""

    def answers(self, query: Any, retriever: Any) -> Mapping[str, Sequence[str]]:
        """Return the ids of the documents that a retriever finds, by query id."""


class Recalls:
    """Encodes the texts of a task, and measures indexes of them."""

    def __init__(self, source: Source) -> None:
        """Take texts from a source."""
        self._source = source
        self._results: dict[tuple[Any, ...], IndexResult | EmbedQAError] = {}

    def result(self, query: Any, mark: IndexMark, model: System, retriever: Any = None) -> IndexResult:
        """Return the measures of a marker's index on a task; it is built on first use.

        Args:
            query: The task, or the part of a task.
            mark: The marker.
            model: The model under test.
            retriever: The retriever to ask in place of an index; each test asks anew.

        Raises:
            SpecError: If the model has no dense vectors.
            EmbedQAError: If there is no data, or the index fails.
        """
        if not isinstance(model, Encoder) or model.representation is not DENSE:
            raise SpecError(
                f"@index_recall is for models with dense vectors, and '{model.spec}' is of the kind {model.kind}."
            )
        if retriever:
            return measure_answers(mark, self._data(query, model), model, self._source.answers(query, retriever))
        key = (
            query,
            model.identity.digest,
            mark.index,
            mark.k,
            mark.rows,
            mark.filter,
            mark.delete_nearest,
            mark.churn,
            mark.reopen,
            str(mark.sweep),
        )
        if key not in self._results:
            try:
                self._results[key] = measure(mark, grown(self._data(query, model), mark.rows), model)
            except EmbedQAError as error:
                self._results[key] = error
        found = self._results[key]
        if isinstance(found, EmbedQAError):
            raise found
        return found

    def try_again(self) -> None:
        """Forget what failed."""
        self._results = {key: one for key, one in self._results.items() if isinstance(one, IndexResult)}

    def _data(self, query: Any, model: Encoder) -> Data:
        judged, context = self._source.of(query)
        documents, asked = judged.documents, judged.queries
        return Data(
            judged.name,
            list(documents),
            model.encode(list(documents.values()), kind=DOCUMENT, task=context),
            list(asked),
            model.encode(list(asked.values()), kind=QUERY, task=context),
            judged.relevant,
            "dot" if model.identity.similarity == "dot" else "cosine",
            judged.is_own_result,
        )

"""The indexes that a session has measured: each once, whatever number of tests look at it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Protocol

from pytest_embedqa.core.errors import EmbedQAError, SpecError
from pytest_embedqa.core.retrieval_data import RetrievalData
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.prompts import DOCUMENT, QUERY, TaskContext
from pytest_embedqa.encoders.representations.dense import DENSE
from pytest_embedqa.encoders.system import System
from pytest_embedqa.index.client import UNTIL_THE_END
from pytest_embedqa.index.data import Data
from pytest_embedqa.index.growth import grown
from pytest_embedqa.index.mark import IndexMark
from pytest_embedqa.index.measuring import measure, measure_answers
from pytest_embedqa.index.result import IndexResult
from pytest_embedqa.index.spec import IndexSpec

# Ids of the documents that came back, by query id.
Answers = Mapping[str, Sequence[str]]


class Texts(Protocol):
    """The texts of a task, or of another thing that has documents and queries."""

    @property
    def key(self) -> Hashable:
        """What decides them."""

    def of(self, model: System, /) -> tuple[RetrievalData, TaskContext | None]:
        """Return texts and judgements, and the facts that prompts depend on."""


class MeasuredIndexes:
    """Encodes the texts of a task, and measures indexes of them."""

    def __init__(self) -> None:
        """Measure nothing yet."""
        self._results: dict[tuple[Any, ...], IndexResult | EmbedQAError] = {}

    def result(self, texts: Texts, mark: IndexMark, model: System, answers: Answers | None = None) -> IndexResult:
        """Return the measures of a marker's index; it is built on first use.

        Args:
            texts: Documents and queries.
            mark: The marker.
            model: The model under test.
            answers: Answers of a retriever to compare in place of an index.

        Raises:
            SpecError: If the model has no dense vectors.
            EmbedQAError: If there is no data, or the index fails.
        """
        if not isinstance(model, Encoder) or model.representation is not DENSE:
            raise SpecError(
                f"@index_recall is for models with dense vectors, and '{model.spec}' is of the kind {model.kind}."
            )
        if answers is not None:
            return measure_answers(mark, self._data(texts, model), model, answers)
        key = (
            texts.key,
            model.identity.digest,
            mark.index if isinstance(mark.index, IndexSpec) else id(mark.index),  # a test keeps it; it may have no hash
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
                self._results[key] = measure(mark, grown(self._data(texts, model), mark.rows), model)
            except EmbedQAError as error:
                self._results[key] = error
        found = self._results[key]
        if isinstance(found, EmbedQAError):
            raise found
        return found

    def try_again(self) -> None:
        """Forget what failed."""
        self._results = {key: one for key, one in self._results.items() if isinstance(one, IndexResult)}

    def close(self) -> None:
        """Stop what clients of indexes have started for the whole session."""
        UNTIL_THE_END.close()

    def _data(self, texts: Texts, model: Encoder) -> Data:
        judged, context = texts.of(model)
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
            texts=judged,
        )

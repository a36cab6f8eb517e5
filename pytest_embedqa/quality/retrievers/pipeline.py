"""A retrieval pipeline of the user's own, or a service, asked each query of a task."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from pytest_embedqa.core.errors import EmbedQAError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.core.showing import one_line
from pytest_embedqa.encoders.awaiting import Loop
from pytest_embedqa.encoders.engines.python_callable import run_of_its_own
from pytest_embedqa.encoders.retrievers.passage import Passage
from pytest_embedqa.encoders.retrievers.returned import passages_of
from pytest_embedqa.quality.retrievers.answers import Documents, Rankings, rankings_of
from pytest_embedqa.quality.retrievers.system import KIND, Questions, RetrieverSystem

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
# Questions whose answers tell whether a pipeline is still the same, and the number of passages to ask for.
_SAMPLE = ("The train is late.", "How do I return a parcel?", "Insulin lowers glucose; IKEA 2019.")
_SAMPLED = 10


class Pipeline(RetrieverSystem):
    """A callable ``(query, k)`` as a system.

    Attributes:
        raised: The last exception of the callable, by which it is told from an error of this package.
    """

    def __init__(
        self, retriever: Callable[[str, int], Any], name: str, top_k: int, progress: Progress, of: str
    ) -> None:
        """Wrap a callable; nothing is asked yet.

        Args:
            retriever: Returns passages, in any form that :func:`passages_of` reads, or an awaitable of them.
            name: Name in reports.
            top_k: Number of passages to ask for.
            progress: Shows the progress of many queries.
            of: Its origin: ``fixture`` or ``http``.
        """
        super().__init__(name)
        self.top_k: int = top_k
        self._retriever, self._progress, self._of = retriever, progress, of
        self._loop = Loop()
        self._identity: Identity | None = None
        self.raised: Exception | None = None

    @property
    def identity(self) -> Identity:
        """Name of the pipeline, and a digest of its answers to a few fixed questions.

        No other object, and no other run, has the same identity: what decides the answers can't be looked into.
        """
        if self._identity is None:
            options = {"from": self._of, "top_k": str(self.top_k), "answers": self._sample(), **run_of_its_own()}
            self._identity = Identity(model=self.name, engine=KIND, options=options)
        return self._identity

    def renew(self) -> None:
        """Take on another identity if it answers otherwise than it did before."""
        if self._identity and self._identity.options["answers"] != self._sample():
            self._identity = None

    def _sample(self) -> str:
        answers = [self._sampled(query) for query in _SAMPLE]
        return hashlib.sha256(repr(answers).encode(errors="surrogatepass")).hexdigest()[:16]

    def _sampled(self, query: str) -> object:
        try:
            found = self._asked(query, min(_SAMPLED, self.top_k), query)
        except EmbedQAError as error:  # raised again for a query of the task
            return str(error)
        return [(one.id, one.source, one.text) for one in found]

    def rankings(self, questions: Questions, documents: Documents, more: int = 0) -> Rankings:
        """Ask each query, and trace what comes back to documents."""
        answers: dict[str, list[Passage]] = {}
        with self._progress(str(self.spec), len(questions.texts)) as advance:
            for query, text in questions.texts.items():
                self._check_time(len(answers), len(questions.texts))
                answers[query] = self._asked(text, self.top_k + more, query)
                advance(1)
        return rankings_of(answers, documents, self.name, self.top_k + more)

    def _asked(self, text: str, k: int, query: str) -> list[Passage]:
        try:
            found = self._loop.finished(self._retriever(text, k))
        except Exception as error:
            self.raised = error
            raise
        return passages_of(found, f"{self.name}, asked for the query '{one_line(query)}',", by_id=True)

    def close(self) -> None:
        """End the thread that waits for asynchronous pipelines, and the connection of a service."""
        self._loop.close()
        if self._of == "http" and callable(close := getattr(self._retriever, "close", None)):
            close()

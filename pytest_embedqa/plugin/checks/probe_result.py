"""The value of the fixture ``probe_result``: the answers to one probe or to all of a file, asked for on first use."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from pytest_embedqa.core.errors import EmbedQAError
from pytest_embedqa.encoders.retrievers.callables import name_of
from pytest_embedqa.rag.knowledge import label_of
from pytest_embedqa.rag.probe import Probe, bound_for
from pytest_embedqa.rag.session_probes import ProbeTest, attempt, unless_failed

if TYPE_CHECKING:
    from pytest_embedqa.encoders.retrievers.passage import Passage, Retriever
    from pytest_embedqa.encoders.system import System
    from pytest_embedqa.rag.judging import Answer
    from pytest_embedqa.session import Session


class ProbeResult:
    """The value of the fixture ``probe_result``.

    Attributes:
        test: The probe or probes of the test.
        retriever: The retriever that finds passages.
        encoder: The model under test; ``None`` where the retriever is the user's own and has none.
        model: Name of the pipeline under test, as reports show it.
        label: Name of the pipeline, as ``expected_failures`` and bounds use it.
        is_own: Whether the retriever is the user's own.
    """

    def __init__(self, test: ProbeTest, retriever: Retriever, encoder: System | None, session: Session) -> None:
        """Keep the parts; nothing is asked before an attribute is read."""
        self.test = test
        self.retriever = retriever
        self.encoder = encoder
        self.model = str(encoder.spec) if encoder else name_of(retriever)
        # For a pipeline of the user's own, the file's settings of chunking and retrieval have no effect.
        self.is_own = not session.probing.has_opened(retriever)
        if encoder is None:
            self.label = self.model
        else:
            self.label = encoder.name if self.is_own else label_of(test.file, encoder, retriever)
        self._session = session

    @property
    def answer(self) -> Answer:
        """The judged answer; asked for once in each try of a test."""
        return unless_failed(self._answer)

    @property
    def answers(self) -> list[Answer]:
        """The judged answers to all probes of the file; asked for once in each try of a test."""
        return unless_failed(self._answers)

    def ask(self) -> None:
        """Ask a pipeline of the user's own now, so that its exception is an error of the set-up, and no missed probe.

        A fault of its answer is reported when the answer is read.
        """
        about, file = self.test.about, self.test.file
        if self._session.probing.has_opened(self.retriever):
            return
        if isinstance(about, Probe):
            self._answer  # noqa: B018
        elif isinstance(about, str) and bound_for(self.label, file.bounds.get(about)) is not None:
            self._answers  # noqa: B018

    @cached_property
    def _answer(self) -> Answer | EmbedQAError:
        assert isinstance(self.test.about, Probe)  # noqa: S101  a test of all probes has no single answer
        file, probe = self.test.file, self.test.about
        return attempt(lambda: self._session.probing.answer(file, probe, self.retriever))

    @cached_property
    def _answers(self) -> list[Answer] | EmbedQAError:
        return attempt(lambda: self._session.probing.answers(self.test.file, self.retriever))

    @property
    def passages(self) -> tuple[Passage, ...]:
        """The passages that came back, the best first."""
        return self.answer.passages

    @property
    def rank(self) -> int | None:
        """The rank of the first expected passage."""
        return self.answer.rank

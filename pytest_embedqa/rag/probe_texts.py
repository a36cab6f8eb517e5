"""The passages and questions of a probe file as a retrieval task: a passage that holds what is expected is relevant."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from pytest_embedqa.core.retrieval_data import RetrievalData
from pytest_embedqa.encoders.system import System
from pytest_embedqa.rag.documents import state
from pytest_embedqa.rag.knowledge import passages_of
from pytest_embedqa.rag.probe import ProbeFile


@dataclass(frozen=True)
class ProbeTexts:
    """The texts of a probe file.

    Attributes:
        file: The probe file.
    """

    file: ProbeFile

    @property
    def key(self) -> Hashable:
        """What decides the texts."""
        file = self.file
        return file.path, file.corpus and state(file.corpus), repr(file.encoding), file.chunking, repr(file.probes)

    def of(self, model: System) -> tuple[RetrievalData, None]:
        """Return the passages, cut with the tokenizer of a model, and the questions; prompts depend on no task.

        Raises:
            EmbedQAError: If the corpus can't be read.
        """
        passages = list(passages_of(self.file, model, [], {}))
        relevant = {
            probe.name: {
                str(number): 1.0
                for number, passage in enumerate(passages)
                if any(piece.matches(passage) for piece in probe.expect.pieces)
            }
            for probe in self.file.probes
            if probe.expect
        }
        return (
            RetrievalData(
                self.file.path.name,
                {str(number): passage.text for number, passage in enumerate(passages)},
                {probe.name: probe.ask for probe in self.file.probes},
                {query: found for query, found in relevant.items() if found},
            ),
            None,
        )

"""The texts, or the pairs of texts, on which a model is timed."""

from __future__ import annotations

import random
from typing import TypeAlias, cast

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.exact_length import WORDS, pair_of_length, text_of_length
from pytest_embedqa.encoders.prompts import TextKind
from pytest_embedqa.encoders.reranker import Reranker
from pytest_embedqa.speed.mark import MAX_LENGTH

# A text for an encoder; a query and a document for a reranker.
Input: TypeAlias = "str | tuple[str, str]"
Timed: TypeAlias = "Encoder | Reranker"


class NotMeasurableError(Exception):
    """Raised if this encoder can't be measured in this way. The text says why."""


class Workload:
    """A supply of new texts of one length, or of pairs for a reranker, round after round.

    Attributes:
        length: Tokens in each text or pair, with prompt and special tokens; words, where the engine does not count tokens.
        kind: Role of the texts.
        batch_size: Texts or pairs in a batch.
        size: Texts or pairs in a round.
        counted: Whether the engine counts tokens.
        unit: ``texts`` or ``pairs``.
    """

    def __init__(  # noqa: PLR0913
        self, model: Timed, length: int | str, kind: TextKind, batch_size: int = 1, batches: int = 1, *, part: int = 0
    ) -> None:
        """Prepare texts for an encoder, or pairs for a reranker.

        Raises:
            NotMeasurableError: If the model does not accept texts of that length.
        """
        most = model.max_length(kind) if isinstance(model, Encoder) else model.identity.max_length
        if length == MAX_LENGTH and most is None:
            raise NotMeasurableError("the engine does not say how long a text its model takes, so there is no maximum")
        self.length = int(most or 0) if length == MAX_LENGTH else int(length)
        if most is not None and self.length > most:
            raise NotMeasurableError(f"{self.length} tokens are more than the {most} that the model takes")
        self.counted = model.counts_tokens
        self.unit = "pairs" if isinstance(model, Reranker) else "texts"
        self.kind, self.batch_size, self.size = kind, batch_size, batch_size * batches
        # No two workloads of a measurement share a text, which a server's cache would answer the second time.
        self._model, self._seed = model, part << 32

    def run(self, model: Timed, texts: list[Input]) -> object:
        """Let a model compute a round's texts."""
        if isinstance(model, Reranker):
            return model.score(cast("list[tuple[str, str]]", texts))
        return model.encode(cast("list[str]", texts), self.kind)

    def texts(self) -> list[Input]:
        """Return the texts or pairs of a round, none of which was used before."""
        self._seed += self.size
        return [self._text(seed) for seed in range(self._seed - self.size, self._seed)]

    def _text(self, seed: int) -> Input:
        if not self.counted:
            words = random.Random(seed).choices(WORDS, k=self.length)  # noqa: S311  no secret
            return " ".join(words) if self.unit == "texts" else (" ".join(words[:4]), " ".join(words[4:]))
        try:
            if isinstance(self._model, Reranker):
                return pair_of_length(self._model, self.length, seed)
            return text_of_length(self._model, self.length, self.kind, seed)
        except EngineError as error:
            raise NotMeasurableError(str(error)) from error

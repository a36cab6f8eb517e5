"""The reranker that tests use: pairs of a query and a document in, checked scores out, in the caller's order."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NoReturn

from pytest_embedqa.core.errors import SpecError
from pytest_embedqa.core.measures import Floats
from pytest_embedqa.core.search import best_of
from pytest_embedqa.core.showing import shown
from pytest_embedqa.encoders.cleaning import CLEANERS
from pytest_embedqa.encoders.engine import token_lengths, told_by
from pytest_embedqa.encoders.model import Model
from pytest_embedqa.encoders.pairs import join
from pytest_embedqa.encoders.prompts import DOCUMENT, QUERY, TaskContext
from pytest_embedqa.encoders.score_scale import saturated


class Reranker(Model):
    """A model that reads a query and a document together and scores the pair (a cross-encoder).

    Pairs pass through the same steps as an encoder's texts: clean, prompt, dedupe, store look-up, batches of similar
    length, engine, checks, store.
    """

    _noted = False

    @property
    def kind(self) -> str:
        """Kind of the model."""
        return "reranker"

    def score(self, pairs: Sequence[tuple[str, str]], task: TaskContext | str | None = None) -> Floats:
        """Score pairs of a query and a document.

        Args:
            pairs: The pairs, the query first, without prompts.
            task: The task, where a prompt depends on it.

        Returns:
            float32 array of shape (len(pairs),), on the model's own scale: logits or probabilities. Higher is more relevant.

        Raises:
            EncoderFaultError: If the engine returned scores that can't be right.
            TimeLimitError: If the time set by ``time_limit`` is over.
            TypeError: If a pair is no pair of strings.
        """
        prepared = self._prepare(pairs, task)
        found: Floats = self.representation.join(
            self._rows(prepared, 0, self._engine.identity.max_length), self._engine.identity
        )
        self._note_saturation(found, prepared)
        return found

    def count_tokens(self, pairs: Sequence[tuple[str, str]], task: TaskContext | str | None = None) -> list[int] | None:
        """Count tokens of each pair before any cut, with prompt and special tokens; ``None`` if the engine can't."""
        return token_lengths(self._engine, self._prepare(pairs, task)) if self._engine.counts_tokens else None

    def rank(
        self, query: str, documents: Sequence[str], task: TaskContext | str | None = None
    ) -> list[tuple[int, float]]:
        """Return the places of documents and their scores, the best first; equal scores in the order of the documents."""
        scores = self.score([(query, document) for document in documents], task)
        return [(int(place), float(scores[place])) for place in best_of(scores, len(scores))]

    def encode(self, *_: object, **__: object) -> NoReturn:
        """Refuse: a reranker has no vectors.

        Raises:
            SpecError: Always.
        """
        raise SpecError(
            f"'{self.spec}' is a reranker: it scores pairs of texts and has no vectors of single texts. Ask for the fixture "
            "reranker instead of encoder, or name it in a task:  @mteb_task(..., reranker=..., first_stage=...)."
        )

    def _note_saturation(self, scores: Floats, pairs: Sequence[str]) -> None:
        if not self._noted and (note := saturated(scores, pairs)):
            self._noted = True
            warnings.warn(
                shown(f"'{self.spec}': {note}. raw=true, where the engine has it, gives scores before it."),
                stacklevel=3,
            )

    def _prepare(self, pairs: Sequence[tuple[str, str]], task: TaskContext | str | None) -> list[str]:
        """Return the pairs, cleaned, with their prompt and joined."""
        context = TaskContext(task) if isinstance(task, str) else task
        before, after = self.prompts.resolve(QUERY, context), self.prompts.resolve(DOCUMENT, context)
        prepared, apart = [], told_by(self._engine).prompts
        for pair in pairs:
            if isinstance(pair, str) or len(pair) != 2 or not all(isinstance(text, str) for text in pair):  # noqa: PLR2004
                raise TypeError(f"score() takes pairs (query, document) of strings; one of them is {pair!r:.80}")
            query, document = map(self._cleaned, pair)
            # A chat template takes the prompt apart from the query.
            asked = self.prompts.tell("", before, query) if apart else self.prompts.fill(before, query)
            prepared.append(join(asked, self.prompts.fill(after, document)))
        return prepared

    def _cleaned(self, text: str) -> str:
        # Lone surrogates can't be encoded as UTF-8, on which tokenizers and the store rely.
        return CLEANERS[self._clean](text).encode("utf-8", "replace").decode()

"""The encoder that tests use: texts in, checked vectors out, in the caller's order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from pytest_embedqa.core.errors import SpecError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.core.measures import Floats, normalised
from pytest_embedqa.encoders.cleaning import CLEANERS
from pytest_embedqa.encoders.engine import Engine, token_lengths, told_by
from pytest_embedqa.encoders.model import Model, Progress
from pytest_embedqa.encoders.prompts import DOCUMENT, TaskContext, TextKind
from pytest_embedqa.encoders.quantization import Quantization
from pytest_embedqa.encoders.representations import DENSE, Embeddings
from pytest_embedqa.encoders.spec import Spec
from pytest_embedqa.encoders.store import Store

__all__ = ["Encoder", "Progress"]


class Encoder(Model):
    """An encoder: one model with its prompts, checks and store.

    Each text goes through these steps: clean, prompt, dedupe, store look-up, length-sorted batches by token budget,
    engine, check of shape and finiteness, store, cut to ``dim``.

    Attributes:
        quantization: The quantisation applied to vectors, or ``None``.
    """

    def __init__(
        self,
        engine: Engine,
        store: Store | None,
        *,
        spec: Spec,
        dim: int | None = None,
        quantization: Quantization | None = None,
        **arguments: Any,  # of Model
    ) -> None:
        """Wrap a loaded engine.

        Args:
            engine: The loaded engine.
            store: Store of vectors; ``None`` computes every vector anew.
            spec: The spec the engine was loaded from.
            dim: Keep this many leading dimensions (Matryoshka), renormalised where vectors are compared by their cosine; all by default.
            quantization: Quantisation applied after the cut; none by default.
            **arguments: Those of :class:`Model`.

        Raises:
            SpecError: If ``dim`` is more than the model has, or the vectors are not dense.
        """
        super().__init__(engine, store, spec=spec, **arguments)
        full_dim = engine.identity.full_dim
        if dim and full_dim and dim > full_dim:
            raise SpecError(f"{dim} dimensions were asked of '{spec}', but its model has {full_dim}.")
        if (dim or quantization) and self.representation is not DENSE:
            what = f"dim={dim}" if dim else f"a quantisation ({quantization.label})" if quantization else ""
            raise SpecError(
                f"'{spec}' was given {what}, which is for dense vectors; its model gives a {self.representation.noun} for each text."
            )
        self._dim = dim
        self.quantization = quantization

    @cached_property
    def identity(self) -> Identity:
        """Everything that decides the vectors of this encoder."""
        return replace(
            super().identity,
            dim=self._dim,
            quantization=self.quantization.label if self.quantization else None,
        )

    @property
    def dim(self) -> int | None:
        """Dimensions of the returned vectors; ``None`` until an engine of unknown width has returned vectors."""
        return self._dim or self._engine.identity.full_dim

    def max_length(self, kind: TextKind | str = DOCUMENT) -> int | None:
        """Return the tokens after which a text of a kind is cut; ``None`` if the engine does not say."""
        identity = self._engine.identity
        return told_by(self._engine).max_lengths.get(TextKind(kind).value, identity.max_length)

    def at(self, dim: int) -> Encoder:
        """Return this encoder cut to ``dim`` of its dimensions; model and stored vectors are shared."""
        if self._dim and dim > self._dim:
            raise SpecError(f"{dim} dimensions were asked of '{self.spec}', but it is cut to {self._dim}.")
        return self.variant(dim=dim)

    def quantized(self, quantization: Quantization) -> Encoder:
        """Return this encoder with coarser vectors; model and stored vectors are shared."""
        return self.variant(quantization=quantization)

    def _arguments(self) -> dict[str, Any]:
        return super()._arguments() | {"dim": self._dim, "quantization": self.quantization}

    def encode(
        self, texts: Sequence[str], kind: TextKind | str = DOCUMENT, task: TaskContext | str | None = None
    ) -> Embeddings:
        """Encode texts.

        Args:
            texts: The texts, without prompts.
            kind: ``query``, ``document`` or ``symmetric``: decides the prompt.
            task: The task, where a prompt depends on it.

        Returns:
            By the representation, row i for text i: of a dense model a float32 array of shape (len(texts), dim); of a sparse
            model a ``scipy.sparse.csr_array`` of shape (len(texts), vocabulary); of a multi-vector model a list of float32
            arrays of shape (tokens, dim).

        Raises:
            EncoderFaultError: If the engine returned vectors that can't be right.
            TimeLimitError: If the time set by ``time_limit`` is over.
            TypeError: If ``texts`` is a single string or holds anything but strings.
        """
        if isinstance(texts, str):
            raise TypeError("encode() takes a list of texts, not one string: encode([text]).")
        texts = list(texts)
        for text in (text for text in texts if not isinstance(text, str)):
            raise TypeError(f"encode() takes strings; one of the texts is a {type(text).__name__}: {text!r:.80}")
        prompt, prepared = self._prepare(texts, kind, task)
        identity = self._engine.identity
        vectors = self.representation.join(self._rows(prepared, len(prompt), self.max_length(kind)), identity)
        if self._dim:
            # The cosine sees no lengths; the dot product does, and sentence-transformers' truncate_dim keeps them.
            vectors = vectors[:, : self._dim]
            vectors = vectors if self.identity.similarity == "dot" else normalised(vectors)
        coarser = self.quantization
        if not texts or not coarser or (coarser.rescore and TextKind(kind) is TextKind.QUERY):
            return vectors
        return coarser(vectors)

    def similarity(self, queries: Embeddings, documents: Embeddings) -> Floats:
        """Return the similarity of queries with documents as this model compares them, shape (queries, documents).

        Args:
            queries: What ``encode`` returned of the queries.
            documents: What ``encode`` returned of the documents.
        """
        return self.representation.similarity(queries, documents, self.identity.similarity)

    def stored(self, texts: Sequence[str], kind: TextKind | str = DOCUMENT, task: TaskContext | None = None) -> int:
        """Count how many of these texts need no encoding; the texts must differ from each other."""
        prepared = self._prepare(texts, kind, task)[1]
        return len(self._store.get(self._engine.identity, prepared, self.representation)) if self._store else 0

    def count_tokens(
        self, texts: Sequence[str], kind: TextKind | str = DOCUMENT, task: TaskContext | str | None = None
    ) -> list[int] | None:
        """Count tokens of each text before any cut, with prompt and special tokens; ``None`` if the engine can't."""
        return self.estimate_tokens(texts, kind, task) if self._engine.counts_tokens else None

    def estimate_tokens(
        self, texts: Sequence[str], kind: TextKind | str = DOCUMENT, task: TaskContext | str | None = None
    ) -> list[int]:
        """Return ``count_tokens``, or an estimate of it where the engine does not count tokens."""
        return token_lengths(self._engine, self._prepare(texts, kind, task)[1])

    def _prepare(
        self, texts: Sequence[str], kind: TextKind | str, task: TaskContext | str | None
    ) -> tuple[str, list[str]]:
        """Return the prompt of these texts, and the texts cleaned and with it."""
        context = TaskContext(task) if isinstance(task, str) else task
        prompts, clean = self.prompts, CLEANERS[self._clean]
        prompt = prompts.resolve(TextKind(kind), context)
        # Lone surrogates can't be encoded as UTF-8, on which tokenizers and the store rely.
        cleaned = [clean(text).encode("utf-8", "replace").decode() for text in texts]
        if told_by(self._engine).prompts:
            argument = prompts.argument(TextKind(kind), context)
            return prompts.tell(argument, prompt, ""), [prompts.tell(argument, prompt, text) for text in cleaned]
        return prompt, [prompts.fill(prompt, text) for text in cleaned]

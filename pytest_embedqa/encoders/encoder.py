"""The encoder that tests use: texts in, checked float32 vectors out, in the caller's order."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cached_property
from itertools import repeat
from typing import Any

import numpy as np

from pytest_embedqa.core.errors import EngineError, OutOfMemoryError, SpecError, TimeLimitError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.core.measures import normalised
from pytest_embedqa.encoders.checks import (
    DISTINCT_TEXTS,
    as_vectors,
    check_alone,
    check_batch,
    check_distinct,
    check_one_width,
)
from pytest_embedqa.encoders.cleaning import CLEANERS
from pytest_embedqa.encoders.engine import Engine, Limits, Vectors, embed, token_lengths, told_by
from pytest_embedqa.encoders.prompts import DOCUMENT, NO_PROMPTS, Prompts, TaskContext, TextKind
from pytest_embedqa.encoders.quantization import Quantization
from pytest_embedqa.encoders.spec import Spec
from pytest_embedqa.encoders.store import Store, Stored
from pytest_embedqa.encoders.truncation import Truncation

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


class Encoder:
    """An encoder: one model with its prompts, checks and store.

    Each text goes through these steps: clean, prompt, dedupe, store look-up, length-sorted batches by token budget,
    engine, check of shape and finiteness, store, cut to ``dim``.

    Attributes:
        spec: The spec that names the encoder.
        name: Public name of the model, by which published scores and prompts are found.
        prompts: The effective prompts.
        quantization: The quantisation applied to vectors, or ``None``.
        encoded: Number of texts that the engine has embedded so far; all others came from the store.
        truncation: Counts of the texts and tokens cut so far.
    """

    def __init__(  # noqa: PLR0913  the parts of an encoder, each used
        self,
        engine: Engine,
        store: Store | None,
        *,
        spec: Spec,
        name: str | None = None,
        prompts: Prompts = NO_PROMPTS,
        dim: int | None = None,
        quantization: Quantization | None = None,
        clean: str = "none",
        dedupe: bool = True,
        limits: Limits | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Wrap a loaded engine.

        Args:
            engine: The loaded engine.
            store: Store of vectors; ``None`` computes every vector anew.
            spec: The spec the engine was loaded from.
            name: Public name of the model; the engine's own name for it by default.
            prompts: The effective prompts.
            dim: Keep this many leading dimensions (Matryoshka), renormalised where vectors are compared by their cosine; all by default.
            quantization: Quantisation applied after the cut; none by default.
            clean: Name of a cleaner in ``cleaning.CLEANERS``.
            dedupe: Whether equal texts in a call are computed once.
            limits: Limits of a batch; the engine's own by default.
            progress: Shows the progress of a long encoding.

        Raises:
            SpecError: If ``dim`` is more than the model has.
        """
        full_dim = engine.identity.full_dim
        if dim and full_dim and dim > full_dim:
            raise SpecError(f"{dim} dimensions were asked of '{spec}', but its model has {full_dim}.")
        self.spec = spec
        self.name = name or engine.identity.model
        self.prompts = prompts
        self.encoded = 0
        self.truncation = Truncation()
        self._engine = engine
        self._store = store
        self._dim = dim
        self.quantization = quantization
        self._clean = clean
        self._dedupe = dedupe
        self._limits = limits or engine.limits
        self._progress: Progress = progress or (lambda label, total: nullcontext(_ignore))  # noqa: ARG005
        self._checked_alone = False
        self._deadline: tuple[float, float] | None = None

    @cached_property
    def identity(self) -> Identity:
        """Everything that decides the vectors of this encoder."""
        return replace(
            self._engine.identity,
            model=self.name,
            dim=self._dim,
            quantization=self.quantization.label if self.quantization else None,
            clean=self._clean,
            prompts=self.prompts.named,
        )

    @property
    def dim(self) -> int | None:
        """Dimensions of the returned vectors; ``None`` until an engine of unknown width has returned vectors."""
        return self._dim or self._engine.identity.full_dim

    @property
    def declared_prompts(self) -> Prompts:
        """Prompts that the model itself declares, whether they are in effect or not."""
        return self._engine.prompts or NO_PROMPTS

    def at(self, dim: int) -> Encoder:
        """Return this encoder cut to ``dim`` of its dimensions; model and stored vectors are shared."""
        if self._dim and dim > self._dim:
            raise SpecError(f"{dim} dimensions were asked of '{self.spec}', but it is cut to {self._dim}.")
        return self.variant(dim=dim)

    def quantized(self, quantization: Quantization) -> Encoder:
        """Return this encoder with coarser vectors; model and stored vectors are shared."""
        return self.variant(quantization=quantization)

    def computing(self, batch_size: int | None = None) -> Encoder:
        """Return this encoder with neither store nor reuse: every text, repeated or not, goes through the model.

        Args:
            batch_size: Number of texts in each batch, whatever their length; the engine's own limits by default.
        """
        limits = Limits(batch_tokens=sys.maxsize, batch_size=batch_size) if batch_size else self._limits
        return self.variant(store=None, dedupe=False, limits=limits)

    def with_prompts(self, prompts: Prompts) -> Encoder:
        """Return this encoder with other prompts; adapters that go with the task stay."""
        return self.variant(prompts=prompts.instead_of(self.prompts))

    def variant(self, **changes: Any) -> Encoder:  # arguments of the constructor
        """Return this encoder with other arguments of the constructor; unless changed, engine and store are shared."""
        same = {name: getattr(self, name) for name in ("spec", "name", "prompts", "quantization")}
        same |= {name: getattr(self, f"_{name}") for name in ("store", "dim", "clean", "dedupe", "limits", "progress")}
        return Encoder(**({"engine": self._engine} | same | changes))

    def encode(
        self, texts: Sequence[str], kind: TextKind | str = DOCUMENT, task: TaskContext | str | None = None
    ) -> Vectors:
        """Encode texts.

        Args:
            texts: The texts, without prompts.
            kind: ``query``, ``document`` or ``symmetric``: decides the prompt.
            task: The task, where a prompt depends on it.

        Returns:
            float32 array of shape (len(texts), dim), row i for text i.

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
        wanted = list(dict.fromkeys(prepared)) if self._dedupe else prepared
        found = self._look_up(wanted, len(prompt))
        if self._dedupe:
            known = dict(zip(wanted, found, strict=True))
            found = [known[text] for text in prepared]
        limit = told_by(self._engine).max_lengths.get(TextKind(kind).value, self._engine.identity.max_length)
        self.truncation.count((one.tokens for one in found), limit)
        if not texts:
            return np.empty((0, self.dim or 0), dtype=np.float32)
        vectors = np.stack([one.vector for one in found])
        if self._dim:
            # The cosine sees no lengths; the dot product does, and sentence-transformers' truncate_dim keeps them.
            vectors = vectors[:, : self._dim]
            vectors = vectors if self.identity.similarity == "dot" else normalised(vectors)
        coarser = self.quantization
        return coarser(vectors) if coarser and not (coarser.rescore and TextKind(kind) is TextKind.QUERY) else vectors

    def stored(self, texts: Sequence[str], kind: TextKind | str = DOCUMENT, task: TaskContext | None = None) -> int:
        """Count how many of these texts need no encoding; the texts must differ from each other."""
        return len(self._store.get(self._engine.identity, self._prepare(texts, kind, task)[1])) if self._store else 0

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

    @contextlib.contextmanager
    def counting_cuts(self) -> Iterator[Truncation]:
        """Count what the encodings inside this context cut."""
        whole, self.truncation = self.truncation, Truncation()
        try:
            yield self.truncation
        finally:
            whole.add(self.truncation)
            self.truncation = whole

    @contextlib.contextmanager
    def time_limit(self, minutes: float | None) -> Iterator[None]:
        """Stop an encoding inside this context with ``TimeLimitError`` once these minutes are over."""
        self._deadline = (time.monotonic() + minutes * 60, minutes) if minutes else None
        try:
            yield
        finally:
            self._deadline = None

    def close(self) -> None:
        """Free the device."""
        self._engine.close()

    def _look_up(self, texts: list[str], prompt_length: int) -> list[Stored]:
        """Return the full-dimension vector and the length of each prepared text, computed where they are not stored."""
        identity, engine = self._engine.identity, self._engine
        known = self._store.get(identity, texts) if self._store else {}
        found: dict[int, Stored] = {row: known[text] for row, text in enumerate(texts) if text in known}
        missing = [row for row in range(len(texts)) if row not in found]
        lengths = token_lengths(engine, [texts[row] for row in missing])
        by_length = sorted(zip(missing, lengths, strict=True), key=lambda pair: -pair[1])
        with self._progress(str(self.spec), len(missing)) if missing else nullcontext(_ignore) as advance:
            seen: dict[str, Vectors] = {}
            done = 0
            while done < len(by_length):
                self._check_time(len(found), len(texts))
                part = self._next_batch(by_length, done)
                batch = [texts[row] for row, _ in part]
                vectors = self._embed(batch)
                check_batch(vectors, batch, identity)
                check_distinct(engine, vectors, batch, prompt_length)
                if not self._checked_alone:
                    self._checked_alone = check_alone(engine, batch, vectors)
                if len(seen) < DISTINCT_TEXTS:  # batches of long texts are too small to tell on their own
                    seen.update(zip(batch, vectors, strict=True))
                    check_distinct(engine, np.stack(list(seen.values())), list(seen), prompt_length)
                tokens = [length for _, length in part] if engine.counts_tokens else None
                if self._store:
                    self._store.put(identity, batch, vectors, tokens)
                found.update(zip([row for row, _ in part], map(Stored, vectors, tokens or repeat(None)), strict=False))
                self.encoded += len(batch)
                done += len(batch)
                advance(len(batch))
        check_one_width((stored.vector for stored in found.values()), identity)
        return [found[row] for row in range(len(texts))]

    def _next_batch(self, by_length: list[tuple[int, int]], start: int) -> list[tuple[int, int]]:
        """Return the rows from ``start`` on that fit the budget; the first, the longest, decides the padding."""
        longest = min(by_length[start][1], self._engine.identity.max_length or by_length[start][1])
        fits = max(1, self._limits.batch_tokens // max(1, longest))
        return by_length[start : start + min(fits, self._limits.batch_size)]

    def _embed(self, batch: list[str]) -> Vectors:
        try:
            vectors = embed(self._engine, batch)
        except OutOfMemoryError as error:
            if len(batch) == 1:
                raise EngineError(
                    f"Out of memory for a single text of {len(batch[0]):,} characters ({error}). "
                    "Set a smaller max_length in the spec, or use a smaller dtype."
                ) from None
        else:
            return as_vectors(vectors, self._engine.identity)
        # This stands outside the except block so that the failed attempt's tensors are freed before the next attempt.
        half = len(batch) // 2
        if half < self._limits.batch_size:  # otherwise a part of the same batch has halved it already
            tokens = half * max(token_lengths(self._engine, batch))
            self._limits = replace(
                self._limits, batch_tokens=max(1, min(self._limits.batch_tokens, tokens)), batch_size=half
            )
        return np.concatenate([self._embed(batch[:half]), self._embed(batch[half:])])

    def _check_time(self, done: int, total: int) -> None:
        if self._deadline and time.monotonic() > self._deadline[0]:
            raise TimeLimitError(
                f"Not done after max_minutes={self._deadline[1]:g}: {done:,} of {total:,} texts have vectors. "
                "They are stored; the next run goes on from there."
            )


def _ignore(_done: int) -> None:
    """Ignore progress."""

"""A loaded model with its store, batches and checks: what is the same for all kinds of models."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import repeat
from typing import TYPE_CHECKING, Any

from pytest_embedqa.core.errors import EngineError, OutOfMemoryError, TimeLimitError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.engine import Engine, Limits, embed, token_lengths
from pytest_embedqa.encoders.prompts import NO_PROMPTS, Prompts
from pytest_embedqa.encoders.representations import Representation, Row, representation_of
from pytest_embedqa.encoders.row_checks import DISTINCT_TEXTS, check_alone, check_distinct
from pytest_embedqa.encoders.spec import Spec
from pytest_embedqa.encoders.store import Store, Stored
from pytest_embedqa.encoders.truncation import Truncation

if TYPE_CHECKING:
    from typing_extensions import Self

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


class Model:
    """A loaded engine, with a store, batches of similar length, and checks of what the engine returns.

    Attributes:
        spec: The spec that names the model.
        name: Public name of the model, by which published scores and prompts are found.
        prompts: The effective prompts.
        representation: What the model makes of a text.
        encoded: Number of texts that the engine has embedded so far; all others came from the store.
        truncation: Counts of the texts and tokens cut so far.
    """

    def __init__(  # noqa: PLR0913  the parts of a model, each used
        self,
        engine: Engine,
        store: Store | None,
        *,
        spec: Spec,
        name: str | None = None,
        prompts: Prompts = NO_PROMPTS,
        clean: str = "none",
        dedupe: bool = True,
        limits: Limits | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Wrap a loaded engine.

        Args:
            engine: The loaded engine.
            store: Store of rows; ``None`` computes every row anew.
            spec: The spec the engine was loaded from.
            name: Public name of the model; the engine's own name for it by default.
            prompts: The effective prompts.
            clean: Name of a cleaner in ``cleaning.CLEANERS``.
            dedupe: Whether equal texts in a call are computed once.
            limits: Limits of a batch; the engine's own by default.
            progress: Shows the progress of a long encoding.
        """
        self.spec = spec
        self.name = name or engine.identity.model
        self.prompts = prompts
        self.encoded = 0
        self.truncation = Truncation()
        self._engine = engine
        self._store = store
        self._clean = clean
        self._dedupe = dedupe
        self._limits = limits or engine.limits
        self._progress: Progress = progress or (lambda label, total: nullcontext(_ignore))  # noqa: ARG005
        self._checked_alone = False
        self._deadline: tuple[float, float] | None = None

    @property
    def representation(self) -> Representation:
        """What the model makes of a text: a dense vector, a sparse vector, a vector a token, or a score of a pair."""
        return representation_of(self._engine)

    @property
    def kind(self) -> str:
        """Kind of the model, as reports name it: ``dense``, ``sparse``, ``multi-vector`` or ``reranker``."""
        return self.representation.name

    @property
    def identity(self) -> Identity:
        """Everything that decides the rows of this model."""
        return replace(self._engine.identity, model=self.name, clean=self._clean, prompts=self.prompts.named)

    @property
    def declared_prompts(self) -> Prompts:
        """Prompts that the model itself declares, whether they are in effect or not."""
        return self._engine.prompts or NO_PROMPTS

    @property
    def counts_tokens(self) -> bool:
        """Whether the engine counts the model's own tokens."""
        return self._engine.counts_tokens

    def computing(self, batch_size: int | None = None) -> Self:
        """Return this model with neither store nor reuse: every text, repeated or not, goes through the engine.

        Args:
            batch_size: Number of texts in each batch, whatever their length; the engine's own limits by default.
        """
        limits = Limits(batch_tokens=sys.maxsize, batch_size=batch_size) if batch_size else self._limits
        return self.variant(store=None, dedupe=False, limits=limits)

    def with_prompts(self, prompts: Prompts) -> Self:
        """Return this model with other prompts; adapters that go with the task stay."""
        return self.variant(prompts=prompts.instead_of(self.prompts))

    def variant(self, **changes: Any) -> Self:  # arguments of the constructor
        """Return this model with other arguments of the constructor; unless changed, engine and store are shared."""
        return type(self)(**({"engine": self._engine} | self._arguments() | changes))

    def _arguments(self) -> dict[str, Any]:
        """Return the arguments of the constructor that made this model, but for the engine."""
        same = {name: getattr(self, name) for name in ("spec", "name", "prompts")}
        return same | {name: getattr(self, f"_{name}") for name in ("store", "clean", "dedupe", "limits", "progress")}

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

    def _rows(self, prepared: list[str], prompt_length: int, limit: int | None) -> list[Row]:
        """Return the rows of prepared texts, in their order, and count what is cut at ``limit`` tokens."""
        wanted = list(dict.fromkeys(prepared)) if self._dedupe else prepared
        found = self._look_up(wanted, prompt_length)
        if self._dedupe:
            known = dict(zip(wanted, found, strict=True))
            found = [known[text] for text in prepared]
        self.truncation.count((one.tokens for one in found), limit)
        return [one.row for one in found]

    def _look_up(self, texts: list[str], prompt_length: int) -> list[Stored]:
        """Return the row and the length of each prepared text, computed where they are not stored."""
        identity, engine, representation = self._engine.identity, self._engine, self.representation
        known = self._store.get(identity, texts, representation) if self._store else {}
        found: dict[int, Stored] = {row: known[text] for row, text in enumerate(texts) if text in known}
        missing = [row for row in range(len(texts)) if row not in found]
        lengths = token_lengths(engine, [texts[row] for row in missing])
        by_length = list(zip(missing, lengths, strict=True))
        if self._limits.by_length:
            by_length.sort(key=lambda pair: -pair[1])
        with self._progress(str(self.spec), len(missing)) if missing else nullcontext(_ignore) as advance:
            seen: dict[str, Row] = {}
            done = 0
            while done < len(by_length):
                self._check_time(len(found), len(texts))
                part = self._next_batch(by_length, done)
                batch = [texts[row] for row, _ in part]
                rows = self._embed(batch)
                check_distinct(engine, rows, batch, prompt_length)
                if not self._checked_alone:
                    self._checked_alone = check_alone(engine, batch, rows)
                if len(seen) < DISTINCT_TEXTS:  # batches of long texts are too small to tell on their own
                    seen.update(zip(batch, rows, strict=True))
                    check_distinct(engine, list(seen.values()), list(seen), prompt_length)
                tokens = [length for _, length in part] if engine.counts_tokens else None
                if self._store:
                    self._store.put(identity, batch, rows, tokens, representation)
                found.update(zip([row for row, _ in part], map(Stored, rows, tokens or repeat(None)), strict=False))
                self.encoded += len(batch)
                done += len(batch)
                advance(len(batch))
        return [found[row] for row in range(len(texts))]

    def _next_batch(self, by_length: list[tuple[int, int]], start: int) -> list[tuple[int, int]]:
        """Return the rows from ``start`` on that fit the budget; the first, the longest, decides the padding."""
        longest = min(by_length[start][1], self._engine.identity.max_length or by_length[start][1])
        fits = max(1, self._limits.batch_tokens // max(1, longest))
        return by_length[start : start + min(fits, self._limits.batch_size)]

    def _embed(self, batch: list[str]) -> list[Row]:
        try:
            returned = embed(self._engine, batch)
        except OutOfMemoryError as error:
            if len(batch) == 1:
                raise EngineError(
                    f"Out of memory for a single text of {len(batch[0]):,} characters ({error}). "
                    "Set a smaller max_length in the spec, or use a smaller dtype."
                ) from None
        else:
            return self.representation.rows(returned, batch, self._engine.identity)
        # This stands outside the except block so that the failed attempt's tensors are freed before the next attempt.
        half = len(batch) // 2
        if half < self._limits.batch_size:  # otherwise a part of the same batch has halved it already
            tokens = half * max(token_lengths(self._engine, batch))
            self._limits = replace(
                self._limits, batch_tokens=max(1, min(self._limits.batch_tokens, tokens)), batch_size=half
            )
        return [*self._embed(batch[:half]), *self._embed(batch[half:])]

    def _check_time(self, done: int, total: int) -> None:
        if self._deadline and time.monotonic() > self._deadline[0]:
            raise TimeLimitError(
                f"Not done after max_minutes={self._deadline[1]:g}: {done:,} of {total:,} texts have vectors. "
                "They are stored; the next run goes on from there."
            )


def _ignore(_done: int) -> None:
    """Ignore progress."""

"""Trials: a slice is encoded with one change at a time, each text at most once."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from pytest_embedqa.core.errors import TimeLimitError
from pytest_embedqa.core.measures import Floats
from pytest_embedqa.core.slice import Slice
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.engine import Engine
from pytest_embedqa.encoders.load import engine_class
from pytest_embedqa.encoders.model_folder import ModelFolder, find_folder, read_folder
from pytest_embedqa.encoders.prompts import DOCUMENT, QUERY, SYMMETRIC, TaskContext, TextKind
from pytest_embedqa.encoders.representations import DENSE, Row
from pytest_embedqa.encoders.spec import Spec

Load = Callable[[Spec], Encoder]
Source = Callable[[], contextlib.AbstractContextManager[Encoder]]


@dataclass(frozen=True)
class Way:
    """A way to encode a side of a slice. Ways with the same name give the same vectors.

    Attributes:
        name: Key of the vectors in memory.
        source: Opens the encoder.
    """

    name: str
    source: Source


class ClosingEngine:
    """An engine that appends a token to each text, which its own tokenizer does not append."""

    def __init__(self, engine: Engine, token: str) -> None:
        """Wrap an engine; the vectors differ from the engine's own, so the identity does too."""
        self._engine, self._token = engine, token
        self.identity = replace(engine.identity, options={**engine.identity.options, "closing": token})

    def __getattr__(self, name: str) -> Any:
        """Return any other attribute of the engine."""
        return getattr(self._engine, name)

    def embed(self, texts: Sequence[str]) -> Any:  # as the engine's
        """Return the vectors of the texts with the token appended, shape (n, full_dim)."""
        return self._engine.embed([text + self._token for text in texts])


@dataclass(frozen=True)
class Change:
    """A change of a single part of the set-up.

    A change may be advised by itself only if it brings a set-up nearer to what the model's own files, or mteb, say of
    it, or if it is about texts or exactness. Any other change raises the score of a sound model too, on a task that the
    model was not trained for; it is advice only if it brings the whole task to the published score.

    Attributes:
        kind: Kind of the change; the best change of each kind is reported.
        cause: The fault, if this change recovers the score.
        done: Description of the change, e.g. ``with 'query: ' in front of queries``.
        advice: Advice to the user in that case.
        first: The way to encode queries (or first texts); as before by default.
        second: The way to encode documents (or second texts); as before by default.
        dot: Whether similarity is the dot product; as before by default.
        weight: Strength as an explanation, against changes of the same kind that recover as much; more is better.
        against: Reason against the change, in words; empty if it may be advised by itself.
        proven: Whether vectors or files prove the fault, so that no points are needed to tell it from chance.
        whole: Opens an encoder with the change for a whole task; ``None`` if there is no such encoder.
    """

    kind: str
    cause: str
    done: str
    advice: str
    first: Way | None = None
    second: Way | None = None
    dot: bool | None = None
    weight: int = 0
    against: str = ""
    proven: bool = False
    whole: Source | None = None


@dataclass
class Trials:
    """The encoder under diagnosis, and every vector computed for it so far.

    Attributes:
        encoder: A quiet copy of the encoder, so that the trials do not appear in its counts and progress.
        context: The task, for prompts.
        load: Loads a variant of the encoder from a spec.
        deadline: End of the time, by ``time.monotonic``.
    """

    encoder: Encoder
    context: TaskContext | None
    load: Load
    deadline: float
    _known: dict[tuple[str, TextKind], dict[str, Row]] = field(default_factory=dict)

    @property
    def dot(self) -> bool:
        """Whether the encoder's similarity is the dot product."""
        return self.encoder.identity.similarity == "dot"

    @property
    def seconds_left(self) -> float:
        """Time until the deadline."""
        return self.deadline - time.monotonic()

    def same(self) -> Way:
        """Return the way of the encoder as it is."""
        return self.way("same", self.encoder)

    def way(self, name: str, encoder: Encoder) -> Way:
        """Return the way through this encoder, which stays open."""
        return Way(name, lambda: contextlib.nullcontext(encoder))

    def closed_by(self, token: str) -> Way:
        """Return the way through the encoder with a token appended to each text."""
        engine = ClosingEngine(self.encoder._engine, token)  # noqa: SLF001  a diagnosis takes an encoder apart
        return self.way(f"closing {token}", self.encoder.variant(engine=engine))

    @cached_property
    def folder(self) -> ModelFolder | None:
        """The facts in the model's own files, or ``None`` if these are not on this machine."""
        spec = self.encoder.spec
        path = find_folder(spec.model, spec.revision) if spec.model else None
        return read_folder(path) if path else None

    def declares(self, option: str) -> bool:
        """Return whether the model's own files set this option; an engine with a single model knows it anyway."""
        if not self.encoder.spec.model:
            return True
        if self.folder is None:
            return False
        said = {"pooling": self.folder.pooling, "max_length": self.folder.max_length, "normalize": self.folder.modules}
        return bool(said[option])

    def has_option(self, name: str) -> bool:
        """Return whether the encoder's engine has this key of the spec."""
        return name in engine_class(self.encoder.spec).options

    def reloaded(self, **options: str | None) -> Way:
        """Return the way through the encoder loaded anew with other options of its spec; it is closed after use."""
        spec = self.encoder.spec.with_options(**options)

        @contextlib.contextmanager
        def opened() -> Iterator[Encoder]:
            fresh = self.load(spec)
            try:
                # The encoder's settings beyond its spec (prompts found by name, a cut) stay as they are.
                yield fresh.variant(
                    prompts=self.encoder.prompts,
                    dim=self.encoder.identity.dim,
                    quantization=self.encoder.quantization,
                    progress=None,
                )
            finally:
                fresh.close()

        return Way(f"reloaded {options}", opened)

    def values(self, part: Slice, change: Change | None = None, *, clarity: bool = False) -> Floats:
        """Return the value of each unit of a slice, shape (len(part),), with the encoder as it is or with a change.

        Args:
            part: The slice.
            change: The change, or ``None``.
            clarity: Whether to measure how clearly relevance shows, instead of the score.

        Raises:
            EmbedQAError: If the change can't be made, or the time is over.
        """
        first = (change and change.first) or self.same()
        second = (change and change.second) or self.same()
        if part.symmetric and first.name == second.name:
            both = self.vectors(first, [*part.first, *part.second], SYMMETRIC)
            sides = both[: len(part.first)], both[len(part.first) :]
        else:
            kinds = (SYMMETRIC, SYMMETRIC) if part.symmetric else (QUERY, DOCUMENT)
            sides = self.vectors(first, part.first, kinds[0]), self.vectors(second, part.second, kinds[1])
        if self.encoder.kind == DENSE.name:
            dot = self.dot if change is None or change.dot is None else change.dot
            return (part.clarity if clarity else part.scores)(np.stack(sides[0]), np.stack(sides[1]), dot=dot)
        joined = (self.encoder.representation.join(side, self.encoder.identity) for side in sides)
        similarities = self.encoder.similarity(*joined)
        return part.clarity_of(similarities) if clarity else part.scores_of(similarities)

    def closeness(self, first: Sequence[Row], second: Sequence[Row]) -> Floats:
        """Return how close two encodings of the same texts are, shape (n,): their cosines."""
        closeness = self.encoder.representation.closeness
        return np.array([closeness(one, other) for one, other in zip(first, second, strict=True)])

    def vectors(self, way: Way, texts: Sequence[str], kind: TextKind) -> list[Row]:
        """Return the rows of texts; only new texts are computed."""
        known = self._known.setdefault((way.name, kind), {})
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        if missing and self.seconds_left <= 0:
            raise TimeLimitError("the time for the diagnosis is over")
        if missing:
            with warnings.catch_warnings(), way.source() as encoder, encoder.time_limit(self.seconds_left / 60):
                warnings.simplefilter("ignore")  # warnings about an experiment's vectors are no news
                encoded = encoder.encode(missing, kind, self.context)
                known.update(zip(missing, encoder.representation.split(encoded), strict=True))
        return [known[text] for text in texts]

    def prompt(self, kind: TextKind) -> str:
        """Return the effective prompt of a kind of text."""
        return self.encoder.prompts.resolve(kind, self.context)

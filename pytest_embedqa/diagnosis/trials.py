"""Encoding a slice with one thing changed, each text at most once."""

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
from pytest_embedqa.encoders.spec import Spec

Load = Callable[[Spec], Encoder]
Source = Callable[[], contextlib.AbstractContextManager[Encoder]]


@dataclass(frozen=True)
class Way:
    """How one side of a slice is encoded. Ways with the same name give the same vectors.

    Attributes:
        name: What the vectors are remembered by.
        source: Opens the encoder.
    """

    name: str
    source: Source


class ClosingEngine:
    """An engine with a token behind each text, which its own tokenizer does not append."""

    def __init__(self, engine: Engine, token: str) -> None:
        """Its vectors are not those of the engine, so its identity is another."""
        self._engine, self._token = engine, token
        self.identity = replace(engine.identity, options={**engine.identity.options, "closing": token})

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        """Whatever else the engine has."""
        return getattr(self._engine, name)

    def embed(self, texts: Sequence[str]) -> Any:  # noqa: ANN401  as the engine's
        """Vectors of the texts with the token behind them, shape (n, full_dim)."""
        return self._engine.embed([text + self._token for text in texts])


@dataclass(frozen=True)
class Change:
    """One thing done differently.

    A change may be advised by itself only where it brings a set-up nearer to what the model's own files, or mteb, say of the
    model, or where it is about texts or exactness. Any other raises the score of a sound model too, on a task for which that
    model was not trained; it is advice only if it brings the score of the whole task to the published one.

    Attributes:
        kind: What sort of thing; the best of each kind is reported.
        cause: What is wrong if this recovers the score.
        done: What was done, e.g. ``with 'query: ' in front of queries``.
        advice: What to do then.
        first: How queries (or first texts) are encoded; as before by default.
        second: How documents (or second texts) are encoded; as before by default.
        dot: Whether similarity is the dot product; as before by default.
        weight: How good an explanation it is against others of its kind that recover as much; more is better.
        against: What speaks against it, in words; empty if it may be advised by itself.
        proven: Whether vectors or files show the fault by themselves, so that points need not tell it from chance.
        whole: Opens an encoder that does it to a whole task; ``None`` if there is none.
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
        encoder: The encoder; what it counts and shows is its own business, so this is a quiet double.
        context: The task, for prompts.
        load: Loads a variant from a spec.
        deadline: When the time is over, by ``time.monotonic``.
    """

    encoder: Encoder
    context: TaskContext | None
    load: Load
    deadline: float
    _known: dict[tuple[str, TextKind], dict[str, Floats]] = field(default_factory=dict)

    @property
    def dot(self) -> bool:
        """Whether the encoder's similarity is the dot product."""
        return self.encoder.identity.similarity == "dot"

    @property
    def seconds_left(self) -> float:
        """Time until the deadline."""
        return self.deadline - time.monotonic()

    def same(self) -> Way:
        """As the encoder is."""
        return self.way("same", self.encoder)

    def way(self, name: str, encoder: Encoder) -> Way:
        """Through this encoder, which stays open."""
        return Way(name, lambda: contextlib.nullcontext(encoder))

    def closed_by(self, token: str) -> Way:
        """Through the encoder with a token behind each text."""
        engine = ClosingEngine(self.encoder._engine, token)  # noqa: SLF001  a diagnosis takes an encoder apart
        return self.way(f"closing {token}", self.encoder.variant(engine=engine))

    @cached_property
    def folder(self) -> ModelFolder | None:
        """What the model's own files say, if they lie on this machine."""
        spec = self.encoder.spec
        path = find_folder(spec.model, spec.revision) if spec.model else None
        return read_folder(path) if path else None

    def declares(self, option: str) -> bool:
        """Whether the model itself says what a key of the spec says otherwise; an engine of one model knows it."""
        if not self.encoder.spec.model:
            return True
        if self.folder is None:
            return False
        said = {"pooling": self.folder.pooling, "max_length": self.folder.max_length, "normalize": self.folder.modules}
        return bool(said[option])

    def has_option(self, name: str) -> bool:
        """Whether the encoder's engine knows a key of the spec."""
        return name in engine_class(self.encoder.spec).options

    def reloaded(self, **options: str | None) -> Way:
        """Through the encoder loaded anew with other options of its spec; closed again after use."""
        spec = self.encoder.spec.with_options(**options)

        @contextlib.contextmanager
        def opened() -> Iterator[Encoder]:
            fresh = self.load(spec)
            try:
                # What the encoder under test has beyond its spec (prompts found by name, a cut) is not what is changed.
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
        """Value of each unit of a slice, shape (len(part),), as the encoder is or with one change.

        Args:
            part: The slice.
            change: What is done differently.
            clarity: How clearly relevance shows, instead of the score.

        Raises:
            EmbedQAError: If the change can't be made, or the time is over.
        """
        first = (change and change.first) or self.same()
        second = (change and change.second) or self.same()
        dot = self.dot if change is None or change.dot is None else change.dot
        measure = part.clarity if clarity else part.scores
        if part.symmetric and first.name == second.name:
            both = self.vectors(first, [*part.first, *part.second], SYMMETRIC)
            return measure(both[: len(part.first)], both[len(part.first) :], dot=dot)
        kinds = (SYMMETRIC, SYMMETRIC) if part.symmetric else (QUERY, DOCUMENT)
        return measure(self.vectors(first, part.first, kinds[0]), self.vectors(second, part.second, kinds[1]), dot=dot)

    def vectors(self, way: Way, texts: Sequence[str], kind: TextKind) -> Floats:
        """Vectors of texts, shape (n, d); only those are computed that were not before."""
        known = self._known.setdefault((way.name, kind), {})
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        if missing and self.seconds_left <= 0:
            raise TimeLimitError("the time for the diagnosis is over")
        if missing:
            with warnings.catch_warnings(), way.source() as encoder, encoder.time_limit(self.seconds_left / 60):
                warnings.simplefilter("ignore")  # what an experiment does to vectors is no news
                known.update(zip(missing, encoder.encode(missing, kind, self.context), strict=True))
        return np.stack([known[text] for text in texts])

    def prompt(self, kind: TextKind) -> str:
        """The effective prompt of a kind of text."""
        return self.encoder.prompts.resolve(kind, self.context)

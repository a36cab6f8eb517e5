"""Encoding a slice with one thing changed, each text at most once."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from pytest_embedqa.core.errors import TimeLimitError
from pytest_embedqa.core.measures import Floats
from pytest_embedqa.core.slice import Slice
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.load import engine_class
from pytest_embedqa.encoders.prompts import DOCUMENT, QUERY, SYMMETRIC, TaskContext, TextKind
from pytest_embedqa.encoders.spec import Spec

Load = Callable[[Spec], Encoder]
Source = Callable[[], contextlib.AbstractContextManager[Encoder]]
# What is done to a text after the prompt's place is decided, e.g. a closing token behind it.
Rewrite = Callable[[str], str]


@dataclass(frozen=True)
class Way:
    """How one side of a slice is encoded. Ways with the same name give the same vectors.

    Attributes:
        name: What the vectors are remembered by.
        source: Opens the encoder.
        rewrite: Changes the texts first.
    """

    name: str
    source: Source
    rewrite: Rewrite | None = None


@dataclass(frozen=True)
class Change:
    """One thing done differently.

    Attributes:
        kind: What sort of thing; the best of each kind is reported.
        cause: What is wrong if this recovers the score.
        done: What was done, e.g. ``with 'query: ' in front of queries``.
        advice: What to do then.
        first: How queries (or first texts) are encoded; as before by default.
        second: How documents (or second texts) are encoded; as before by default.
        dot: Whether similarity is the dot product; as before by default.
        weight: How good an explanation it is against others of its kind that recover as much; more is better.
        guessed: Whether nothing says that the model needs it.
        against_model: Whether it is against what the model's own files say, which are seldom what is wrong.
    """

    kind: str
    cause: str
    done: str
    advice: str
    first: Way | None = None
    second: Way | None = None
    dot: bool | None = None
    weight: int = 0
    guessed: bool = False
    against_model: bool = False


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

    def way(self, name: str, encoder: Encoder, rewrite: Rewrite | None = None) -> Way:
        """Through this encoder, which stays open."""
        return Way(name, lambda: contextlib.nullcontext(encoder), rewrite)

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
                rewritten = [way.rewrite(text) for text in missing] if way.rewrite else missing
                known.update(zip(missing, encoder.encode(rewritten, kind, self.context), strict=True))
        return np.stack([known[text] for text in texts])

    def prompt(self, kind: TextKind) -> str:
        """The effective prompt of a kind of text."""
        return self.encoder.prompts.resolve(kind, self.context)

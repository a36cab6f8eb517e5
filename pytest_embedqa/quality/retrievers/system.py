"""A retriever as a system that a task evaluates: it ranks documents, and shows neither texts nor vectors."""

from __future__ import annotations

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn

from pytest_embedqa.core.errors import SpecError, TimeLimitError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.prompts import NO_PROMPTS, Prompts
from pytest_embedqa.encoders.spec import OBJECT, Spec
from pytest_embedqa.encoders.truncation import Truncation
from pytest_embedqa.quality.retrievers.answers import Documents, Rankings

KIND = "retriever"


@dataclass(frozen=True)
class Questions:
    """The queries of one split and subset of a task.

    Attributes:
        texts: Texts of the judged queries, by id.
        unjudged: Ids of the queries without a judgement.
        task: Name of the task.
    """

    texts: Mapping[str, str]
    unjudged: Collection[str]
    task: str


class RetrieverSystem(ABC):
    """A retriever that tasks evaluate.

    Attributes:
        spec: A spec that names it in reports; nothing can be loaded by it.
        name: Name by which bounds of a single system are found.
        encoded: Always 0: how many texts it computes is its own matter.
        top_k: Number of passages that it is asked for; ``None`` if it can't be asked.
    """

    kind = KIND
    encoded = 0
    prompts: Prompts = NO_PROMPTS
    quantization = None
    top_k: int | None = None

    def __init__(self, name: str) -> None:
        """Name the system."""
        self.name = name
        self.spec = Spec(f"{KIND}:{name}", OBJECT, name)
        self._deadline: tuple[float, float] | None = None

    @property
    @abstractmethod
    def identity(self) -> Identity:
        """Everything that decides its rankings, as far as it can be known."""

    @abstractmethod
    def rankings(self, questions: Questions, documents: Documents, more: int = 0) -> Rankings:
        """Rank documents for each query.

        Args:
            questions: The queries.
            documents: The documents of the task.
            more: Documents beyond ``top_k`` that the task takes out of each ranking before it is scored.

        Raises:
            EmbedQAError: If the rankings can't be right; the text names the query or the line.
            Exception: The exception of a pipeline of the user's own, as it is.
        """

    @abstractmethod
    def renew(self) -> None:
        """Take on another identity if it answers otherwise than it did before."""

    @abstractmethod
    def close(self) -> None:
        """Close what was opened for it."""

    @contextlib.contextmanager
    def counting_cuts(self) -> Iterator[Truncation]:
        """Count nothing: a retriever does not show what it cuts."""
        yield Truncation()

    @contextlib.contextmanager
    def time_limit(self, minutes: float | None) -> Iterator[None]:
        """Stop a search inside this context with ``TimeLimitError`` once these minutes are over."""
        self._deadline = (time.monotonic() + minutes * 60, minutes) if minutes else None
        try:
            yield
        finally:
            self._deadline = None

    def _check_time(self, done: int, total: int) -> None:
        if self._deadline and time.monotonic() > self._deadline[0]:
            raise TimeLimitError(
                f"Not done after max_minutes={self._deadline[1]:g}: {done:,} of {total:,} queries were asked."
            )

    def encode(self, *_: object, **__: object) -> NoReturn:
        """Refuse: a retriever has no vectors.

        Raises:
            SpecError: Always.
        """
        raise SpecError(f"'{self.spec}' is a retriever: it finds documents, and has no vectors of texts.")

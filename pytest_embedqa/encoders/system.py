"""What can be evaluated: a model, or several that work together."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.prompts import Prompts
from pytest_embedqa.encoders.spec import Spec
from pytest_embedqa.encoders.truncation import Truncation


class System(Protocol):
    """A retrieval system, by the members that an evaluation needs of each kind.

    Attributes:
        spec: The spec that names it.
        name: Public name, by which published scores are found.
        prompts: Effective prompts.
    """

    spec: Spec
    name: str
    prompts: Prompts

    @property
    def encoded(self) -> int:
        """Number of texts or pairs that its models have computed so far."""
        ...

    @property
    def kind(self) -> str:
        """``dense``, ``sparse``, ``multi-vector``, ``reranker``, ``bm25``, ``hybrid``, ``rerank`` or ``retriever``."""
        ...

    @property
    def identity(self) -> Identity:
        """Everything that decides its rankings."""
        ...

    def counting_cuts(self) -> AbstractContextManager[Truncation]:
        """Count what is cut inside this context."""
        ...

    def time_limit(self, minutes: float | None) -> AbstractContextManager[None]:
        """Stop inside this context with ``TimeLimitError`` once these minutes are over."""
        ...

    def encode(self, *arguments: Any, **named: Any) -> Any:
        """Return vectors of texts, or raise SpecError where there are none."""
        ...

    def close(self) -> None:
        """Free devices."""
        ...

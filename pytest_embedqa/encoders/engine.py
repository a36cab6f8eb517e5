"""The seam between this package and the engines, which compute vectors.

An engine is a class with five small members. ``docs/writing_an_engine.md`` shows how to write it; it becomes
known by the entry-point group ``pytest_embedqa.engines``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from pytest_embedqa.core.errors import EmbedQAError, EngineError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.prompts import Prompts
from pytest_embedqa.encoders.spec import Parser, Spec

Vectors = npt.NDArray[np.float32]
# Number of texts whose tokens are counted at a time.
_COUNTED = 512


@dataclass(frozen=True)
class Limits:
    """The limits of an engine's batch.

    Attributes:
        batch_tokens: Padded tokens (texts x longest text) of a batch that the engine works best with.
        batch_size: Largest number of texts in a batch.
        by_length: Whether a batch should hold texts of similar length; otherwise texts keep their order.
    """

    batch_tokens: int = 2048
    batch_size: int = 64
    by_length: bool = True


@dataclass(frozen=True)
class Told:
    """Facts about a text that an engine needs beside it, if one string of prompt and text does not decide its vector.

    Such an engine has them in its attribute ``told``, and the encoder passes it texts made by ``Prompts.tell``.

    Attributes:
        prompts: Whether the engine wants the prompt, and the role of the text, apart from the text.
        adapters: Whether the argument ``task`` may name an adapter of the model.
        max_lengths: Tokens after which a text is cut, by kind of text, where that is not the model's maximum length.
    """

    prompts: bool = False
    adapters: bool = False
    max_lengths: Mapping[str, int] = field(default_factory=dict)


def told_by(engine: object) -> Told:
    """Return what an engine needs beside a text; nothing, for most engines."""
    found: Told = getattr(engine, "told", Told())
    return found


@runtime_checkable
class Engine(Protocol):
    """The members of an engine, which computes vectors. Prompts, batches, checks and store are the encoder's.

    Attributes:
        options: Spec keys this engine understands, each with a parser that raises ``ValueError``.
        identity: Everything that decides its vectors, complete once it is loaded.
        limits: Limits of its batches.
        prompts: Prompts that the model itself declares, or ``None``.
        counts_tokens: Whether ``lengths`` counts the model's own tokens. Otherwise nobody can say which texts are cut.

    A class attribute ``revisions = False`` says that models have no revisions: ``@`` is a part of their names.
    """

    options: ClassVar[Mapping[str, Parser]]
    identity: Identity
    limits: Limits
    prompts: Prompts | None
    counts_tokens: bool

    @classmethod
    def load(cls, spec: Spec, options: Mapping[str, Any]) -> Engine:
        """Load the model.

        Args:
            spec: The parsed spec.
            options: Values for the keys that the spec sets.

        Raises:
            MissingExtraError: If a package is not installed.
            EngineError: If the model can't be loaded.
        """
        ...

    def embed(self, texts: Sequence[str]) -> npt.NDArray[Any]:
        """Return the vectors of a batch of prepared texts, shape (n, full_dim), in the order of the texts.

        Raises:
            OutOfMemoryError: If the batch does not fit; the encoder tries again with half of it.
        """
        ...

    def lengths(self, texts: Sequence[str]) -> Sequence[int]:
        """Return the length of each text in tokens, special tokens included, before any cut.

        Lengths may be estimates if ``counts_tokens`` is false.
        """
        ...

    def close(self) -> None:
        """Free the device."""
        ...


def embed(engine: Engine, texts: Sequence[str]) -> npt.NDArray[Any]:
    """Call ``engine.embed``, also for engines that let errors of other libraries through.

    Raises:
        EngineError: If the engine raised anything else; the text names it.
    """
    try:
        return engine.embed(texts)
    except EmbedQAError:
        raise
    except (Exception, SystemExit) as error:
        raise EngineError(
            f"The engine '{engine.identity.engine}' ({engine.identity.model}) failed on a batch of {len(texts)} texts: "
            f"{type(error).__name__}: {error}"
        ) from error


def token_lengths(engine: Engine, texts: Sequence[str]) -> list[int]:
    """Call ``engine.lengths`` on parts of the texts: a tokenizer's output for all may need more memory than vectors."""
    size = max(_COUNTED, engine.limits.batch_size)
    parts = (texts[start : start + size] for start in range(0, len(texts), size))
    return [length for part in parts for length in engine.lengths(part)]


def estimated_lengths(texts: Sequence[str]) -> list[int]:
    """Estimate lengths in tokens as a quarter of the bytes: 4 Latin letters or 4/3 Chinese characters each."""
    return [len(text.encode("utf-8", "replace")) // 4 + 1 for text in texts]

"""The seam between this package and whatever computes vectors.

An engine is a class with five small members. ``docs/writing_an_engine.md`` shows how to write one; it becomes
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
# Texts whose tokens are counted at a time.
_COUNTED = 512


@dataclass(frozen=True)
class Limits:
    """What an engine takes at a time.

    Attributes:
        batch_tokens: Padded tokens of one batch (texts x longest text) that it works best with.
        batch_size: Texts of one batch at most.
    """

    batch_tokens: int = 2048
    batch_size: int = 64


@dataclass(frozen=True)
class Told:
    """What an engine is told beside a text, if one string with the prompt and the text does not decide its vector.

    Such an engine has it as its attribute ``told``, and gets from the encoder what ``Prompts.tell`` makes of a text.

    Attributes:
        prompts: Whether it wants the prompt, and the role of the text, apart from the text.
        adapters: Whether the argument ``task`` may name an adapter of the model.
        max_lengths: Tokens after which a text is cut, by kind of text, where that is not the model's maximum length.
    """

    prompts: bool = False
    adapters: bool = False
    max_lengths: Mapping[str, int] = field(default_factory=dict)


def told_by(engine: object) -> Told:
    """What an engine is told beside a text; nothing, as most."""
    found: Told = getattr(engine, "told", Told())
    return found


@runtime_checkable
class Engine(Protocol):
    """Computes vectors of texts. Everything else (prompts, batches, checks, store) is the encoder's.

    Attributes:
        options: Spec keys this engine understands, each with a parser that raises ``ValueError``.
        identity: What decides its vectors, complete once it is loaded.
        limits: What it takes at a time.
        prompts: Prompts that the model itself declares, or ``None``.
        counts_tokens: Whether ``lengths`` are the model's own tokens. Without that, nobody can say which texts are cut.

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
        """Vectors of one batch of prepared texts, shape (n, full_dim), in the order of the texts.

        Raises:
            OutOfMemoryError: If the batch does not fit; the encoder tries again with half of it.
        """
        ...

    def lengths(self, texts: Sequence[str]) -> Sequence[int]:
        """Length of each text in tokens, special tokens included, before any cut; or an estimate (``counts_tokens``)."""
        ...

    def close(self) -> None:
        """Free the device."""
        ...


def embed(engine: Engine, texts: Sequence[str]) -> npt.NDArray[Any]:
    """``engine.embed``, for engines that let errors of other libraries through.

    Raises:
        EngineError: Naming what was raised.
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
    """``engine.lengths`` in parts: what a tokenizer tells of many long texts fills more memory than their vectors."""
    size = max(_COUNTED, engine.limits.batch_size)
    parts = (texts[start : start + size] for start in range(0, len(texts), size))
    return [length for part in parts for length in engine.lengths(part)]


def estimated_lengths(texts: Sequence[str]) -> list[int]:
    """Lengths for engines that can't count tokens: a quarter of the bytes, four Latin letters or a Chinese sign and a bit."""
    return [len(text.encode("utf-8", "replace")) // 4 + 1 for text in texts]

"""Engines without a model for the tests on Ray, and their faults; imported by the actors too."""

from __future__ import annotations

import os
import signal
import time
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from pytest_embedqa.core.errors import EncoderFaultError, EngineError, MissingExtraError, OutOfMemoryError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.engine import Limits
from pytest_embedqa.encoders.spec import Spec, positive

POISON = "the text that kills its replica"
UNREADABLE = "the text that is an error"


def encode(texts: Sequence[str]) -> np.ndarray:
    """The right vectors."""
    return np.array([[zlib.crc32(text.encode()) % 9973 + 1, len(text), 1] for text in texts], dtype=np.float32)


def places(texts: Sequence[str]) -> np.ndarray:
    """Process and threads of whoever computes, and whether it is in the folder of these tests."""
    here = Path.cwd() == Path(__file__).parent
    time.sleep(0.05)
    return np.array([[os.getpid(), int(os.environ["OMP_NUM_THREADS"]), here]] * len(texts), dtype=np.float32)


def _is_first(file: Path) -> bool:
    """Whether nobody has asked before; of two replicas that ask at once, one is the first."""
    try:
        file.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


class FaultyEngine:
    """Right, and quick, but for the fault that its spec names: ``FAULT`` or ``FAULT:FILE``."""

    options: ClassVar = {"threads": positive}
    prompts = None
    counts_tokens = True

    def __init__(self, fault: str, file: str, threads: int) -> None:
        """Keep the fault."""
        self.fault, self.file, self.threads = fault, Path(file), threads
        libraries = {"torch": str(os.getpid()) if fault == "versions" else "2.13.0"}
        options = {"run": str(os.getpid())}
        self.identity = Identity(fault, "faulty", libraries=libraries, full_dim=3, options=options)
        self.limits = Limits(batch_tokens=100, batch_size=8)

    @classmethod
    def load(cls, spec: Spec, options: Mapping[str, Any]) -> FaultyEngine:
        """Not with every fault."""
        fault, _, file = spec.model.partition(":")
        if fault == "package":
            raise MissingExtraError("faultylib", "faulty", f"The engine of the spec '{spec}'")
        if fault == "killed at once":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "never again" and Path(file).exists():
            raise EngineError(f"no model any more for '{spec}'")
        return cls(fault, file, options["threads"])

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors, or the fault."""
        first = self.fault in {"killed once", "never again", "slow"} and _is_first(self.file)
        if POISON in texts or (first and self.fault != "slow"):
            os.kill(os.getpid(), signal.SIGKILL)
        if UNREADABLE in texts:
            raise EncoderFaultError("can't be read")
        if (self.fault == "memory" and len(texts) > 2) or self.fault == "no memory":
            raise OutOfMemoryError(f"{len(texts)} texts do not fit")
        if self.fault == "threads":
            return np.full((len(texts), 3), self.threads, dtype=np.float32)
        time.sleep(0.05 if self.fault == "slow" else 0.002)
        return encode([*texts, "one more"] if self.fault == "rows" and len(texts) > 1 else texts)

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """A token a letter."""
        return [len(text) for text in texts]

    def close(self) -> None:
        """Leave a sign of it."""
        if self.fault == "closes":
            self.file.touch()

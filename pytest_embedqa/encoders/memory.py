"""Memory that is free and that the C library keeps, and memory that is never free and that Python looks through for garbage."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
from collections.abc import Iterator

# Texts between two trims; one takes some 20 ms.
_TEXTS = 1024


class HeapTrimmer:
    """Gives memory back, on systems with glibc; elsewhere it does nothing.

    Batches of ever other lengths leave holes that nothing else fits into.
    """

    def __init__(self) -> None:
        """No text was embedded yet."""
        self._texts = 0

    def embedded(self, texts: int) -> None:
        """So many texts more were embedded: now and then, free memory goes back."""
        self._texts += texts
        if self._texts >= _TEXTS:
            self._texts = 0
            trim_heap()


def trim_heap() -> None:
    """Give free memory back to the system."""
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


@contextlib.contextmanager
def importing(library: str) -> Iterator[None]:
    """Import a large library inside this context: the garbage collector leaves alone what lasts as long as the process.

    Libraries like torch and mteb are a million objects. A round through them takes a third of a second; pytest asks for one
    or more as it ends, and Python's own end takes more than one second. What else exists by then is left alone too, as long
    as nothing but a cycle holds it. If the library is there already, nothing happens.
    """
    if library in sys.modules:
        yield
        return
    gc.collect()  # what is garbage now would stay
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()

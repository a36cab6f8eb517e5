"""Memory that is free, and that the C library keeps."""

from __future__ import annotations

import contextlib
import ctypes

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

"""Free memory that the C library keeps, and its return to the system."""

from __future__ import annotations

import contextlib
import ctypes

# Number of texts between two trims; a trim takes some 20 ms.
_TEXTS = 1024


class HeapTrimmer:
    """Return of free memory to the system, on systems with glibc; elsewhere nothing happens.

    Batches of ever-changing lengths leave holes in the heap that nothing else fits into.
    """

    def __init__(self) -> None:
        """Start with no text embedded."""
        self._texts = 0

    def embedded(self, texts: int) -> None:
        """Count embedded texts, and trim the heap now and then."""
        self._texts += texts
        if self._texts >= _TEXTS:
            self._texts = 0
            trim_heap()


def trim_heap() -> None:
    """Return free memory to the system."""
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)

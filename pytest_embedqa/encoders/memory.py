"""Memory that is free, and that the C library keeps: batches of ever other lengths leave holes that nothing else fits into."""

from __future__ import annotations

import contextlib
import ctypes

# Texts between two trims; one takes some 20 ms.
_TEXTS = 1024
# Bytes from which a block is mapped by itself and given back when it is free. Left alone, glibc raises this to 32 MiB, and
# the states of a batch lie in the heap (measured: 140 MiB less for all-MiniLM-L6-v2, and 1 % of the speed).
_MAPPED = 1 << 20
_M_MMAP_THRESHOLD = -3  # of <malloc.h>


class HeapTrimmer:
    """Gives memory back, on systems with glibc; elsewhere it does nothing."""

    def __init__(self) -> None:
        """From here on large blocks are mapped, for the whole process."""
        self._texts = 0
        with contextlib.suppress(AttributeError, OSError, TypeError):
            ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _MAPPED)

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

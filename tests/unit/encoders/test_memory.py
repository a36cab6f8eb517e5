"""Memory that is free is given back."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from pytest_embedqa.encoders import memory
from pytest_embedqa.encoders.memory import HeapTrimmer, trim_heap


def held():
    """MiB that this process holds beside its files."""
    line = next(line for line in Path("/proc/self/status").read_text("utf-8").splitlines() if "RssAnon" in line)
    return int(line.split()[1]) / 1024


def test_now_and_then(monkeypatch):
    """Not after every batch: it takes as long as embedding a text."""
    rounds = []
    monkeypatch.setattr(memory, "trim_heap", lambda: rounds.append(1))
    heap = HeapTrimmer()
    for _ in range(100):
        heap.embedded(64)
    assert len(rounds) == 100 * 64 // 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from Linux")
def test_holes_are_given_back():
    """What lies free between allocations that are still needed goes back to the system."""
    trim_heap()
    # 100 kB: small enough for the heap.
    blocks = [np.ones(12_800) for _ in range(2000)]
    full = held()
    kept = blocks[::20]
    del blocks
    trim_heap()
    assert full - held() > 100
    assert len(kept) == 100


@pytest.mark.parametrize("libc", [AttributeError, OSError, TypeError])
def test_other_systems(monkeypatch, libc):
    """Without glibc there is nothing to do, and no error."""

    def missing(_):
        raise libc

    monkeypatch.setattr(sys.modules["ctypes"], "CDLL", missing)
    trim_heap()

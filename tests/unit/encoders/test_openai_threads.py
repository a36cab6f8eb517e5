"""Requests side by side: in order, as many as may be, and no program waits for one that hangs."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from pytest_embedqa.encoders.engines.openai_threads import side_by_side


def test_results_are_in_order():
    """However long each takes."""

    def slow(number: int) -> int:
        time.sleep(0.02 * (5 - number))
        return number * 10

    assert side_by_side(slow, range(5), 3) == [0, 10, 20, 30, 40]
    assert side_by_side(slow, [], 3) == []


def test_so_many_at_a_time():
    """As many as are allowed, and no more."""
    running, most = 0, []
    lock = threading.Lock()

    def count(_: int) -> None:
        nonlocal running
        with lock:
            running += 1
            most.append(running)
        time.sleep(0.05)
        with lock:
            running -= 1

    side_by_side(count, range(9), 3)
    assert max(most) == 3


def test_the_first_error_ends_it():
    """What was not begun is not begun any more."""
    begun = []

    def failing(number: int) -> None:
        begun.append(number)
        time.sleep(0.05)
        raise ValueError(f"number {number}")

    with pytest.raises(ValueError, match="number 0"):
        side_by_side(failing, range(100), 2)
    time.sleep(0.2)
    assert len(begun) < 10


def test_no_program_waits_for_what_hangs():
    """The interpreter exits while a request hangs, as after Ctrl-C."""
    code = (
        "import os, signal, threading, time; from pytest_embedqa.encoders.engines.openai_threads import side_by_side\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "side_by_side(time.sleep, [600], 1)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=20)
    assert "KeyboardInterrupt" in done.stderr

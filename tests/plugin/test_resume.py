"""``kill -9`` in mid-encoding loses at most one batch."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

SLOW = """
import time, bag
def encode(texts):
    time.sleep(0.3)
    return bag.encode(texts)
"""


def stored(path) -> int:
    """Rows in a store; 0 while there is none."""
    try:
        with sqlite3.connect(path) as connection:
            return connection.execute("SELECT COUNT(*) FROM vectors").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


@pytest.mark.slow
def test_killed_run_resumes(pytester, run, hub):
    """The same command after a kill goes on from the store and reaches the score of a run that was not killed."""
    pytester.makepyfile(slow=SLOW)
    pytester.makepyfile("""
        from pytest_embedqa import mteb_task
        @mteb_task("ArguAna", min_ndcg_at_10=0.5)
        def test_it(task_result): print("encoded", task_result.details.encoded, "score", task_result.main_score)
    """)
    store = pytester.path / "vectors.sqlite"
    model = "python:slow:encode?version=1&batch_size=2"
    arguments = ["--embedqa-model", model, "--embedqa-store", str(store), "--embedqa-datasets", str(hub)]
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", *arguments], stdout=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while stored(store) < 6 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = stored(store)
    assert 6 <= kept < 32
    resumed = run("-s", *arguments[:4], model=model).outlines
    whole = run("-s", model="python:bag:encode").outlines
    (resumed,) = [line for line in resumed if "encoded" in line]
    (whole,) = [line for line in whole if "encoded" in line]
    assert f"encoded {32 - kept} score" in resumed
    assert resumed.partition("score")[2] == whole.partition("score")[2]

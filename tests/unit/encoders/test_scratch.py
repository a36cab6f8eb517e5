"""Folders for the time of a run: gone with it, or with the next run where it was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time

import pytest

from pytest_embedqa.encoders import scratch
from pytest_embedqa.encoders.scratch import scratch_folder


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The system's folder for temporary files, and a process that has looked into none yet."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    scratch._remove_left_behind.cache_clear()
    yield tmp_path
    scratch._remove_left_behind.cache_clear()


def aged(path):
    """A folder or file as of an hour ago."""
    os.utime(path, (time.time() - 3600,) * 2)
    return path


def test_it_is_there_as_long_as_it_is_needed(temporary):
    """Also with files in it that someone has removed meanwhile, or added."""
    with scratch_folder("index") as folder:
        (folder / "file").write_text("text")
        assert folder.parent == temporary
    assert list(temporary.iterdir()) == []


def test_what_a_killed_run_has_left_goes(temporary):
    """A process that is killed removes nothing; the next one does."""
    code = "import sys, time; from pytest_embedqa.encoders.scratch import scratch_folder\nwith scratch_folder('index') as f: print(f, flush=True); time.sleep(60)"
    command, environment = [sys.executable, "-c", code], {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        folder = process.stdout.readline().strip()
        aged(folder)
        with scratch_folder("units"):
            assert len(list(temporary.iterdir())) == 2  # while its process is alive, it stays
        process.send_signal(signal.SIGKILL)
    scratch._remove_left_behind.cache_clear()
    with scratch_folder("units"):
        assert len(list(temporary.iterdir())) == 1
    assert list(temporary.iterdir()) == []


def test_what_others_have_made_stays(temporary):
    """Names that are not quite ours, links, and what is too young to be locked already."""
    elsewhere = temporary / "elsewhere"
    kept = [
        temporary / name
        for name in ("embedqa-scratch-mine", "embedqa-index-a1b2c3d4", "embedqa-scratch-index-A1B2C3D4")
    ]
    young = temporary / "embedqa-scratch-index-a1b2c3d4"
    for folder in (*kept, elsewhere, young):
        folder.mkdir()
        (folder / "file").write_text("text")
    for folder in kept:
        aged(folder)
    aged(elsewhere)
    (temporary / "embedqa-scratch-index-a1b2c3d5").symlink_to(elsewhere)
    with scratch_folder("index"):
        pass
    assert all((folder / "file").exists() for folder in (*kept, elsewhere, young))


def test_without_locks_nothing_is_removed(temporary, monkeypatch):
    """On a system that has none, nobody knows whose folder it is."""
    monkeypatch.setitem(sys.modules, "fcntl", None)
    left = temporary / "embedqa-scratch-index-a1b2c3d4"
    left.mkdir()
    aged(left)
    with scratch_folder("index") as folder:
        assert folder.exists()
    assert list(temporary.iterdir()) == [left]

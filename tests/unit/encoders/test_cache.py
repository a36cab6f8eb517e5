"""What can be made again is kept in the user's cache folder, and where there is none, for this process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pytest_embedqa.encoders import cache
from pytest_embedqa.encoders.cache import cache_folder
from pytest_embedqa.encoders.store import Store, default_path


def test_the_users_cache_folder(tmp_path, monkeypatch):
    """It is made where it is not there yet, and nothing is left in it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / "pytest-embedqa"
    assert list(cache_folder().iterdir()) == []


def test_home_that_is_a_file(tmp_path, monkeypatch):
    """Then a temporary folder is taken, the same for the whole process."""
    (tmp_path / "home").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert cache_folder() == cache_folder()
    assert cache_folder().is_dir()
    assert not cache_folder().is_relative_to(tmp_path)


def test_folder_that_is_there_and_cant_be_written(tmp_path, monkeypatch):
    """As on a file system that is mounted read-only."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "pytest-embedqa").mkdir()

    def refuse(**_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    assert not cache_folder().is_relative_to(tmp_path / "pytest-embedqa")


def test_temporary_folder_goes_with_its_process(tmp_path):
    """Nothing of it is left behind."""
    (tmp_path / "home").touch()
    program = "from pytest_embedqa.encoders.cache import cache_folder as f; (f() / 'a').touch(); print(f())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"XDG_CACHE_HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(str(tmp_path / "pytest-embedqa-"))
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


@pytest.mark.parametrize("says_so", [True, False])
def test_user_without_a_home(tmp_path, monkeypatch, says_so):
    """platformdirs says so, or leaves ``~`` in a path: no folder of that name is made where the run was started."""
    monkeypatch.chdir(tmp_path)

    def without(name):
        if says_so:
            raise RuntimeError("could not determine the home directory")
        return Path("~", ".cache", name)

    monkeypatch.setattr(cache, "user_cache_path", without)
    assert cache_folder().is_absolute()
    assert cache_folder().is_dir()
    store = Store(default_path())
    store.close()
    assert "can't be used: the user of this process has no home. Vectors are kept" in store.notes[0]
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(autouse=True)
def forget():
    """What a folder was found to be is remembered for the process."""
    cache._written.cache_clear()
    yield
    cache._written.cache_clear()

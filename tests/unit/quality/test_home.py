"""mteb makes a folder for results as it is imported: where the home can't be written too."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def imported(**variables):
    """The end of a process that imports mteb as the plugin does, and says what became of the environment."""
    code = "import os, pytest_embedqa.quality.mteb; print(os.environ.get('MTEB_CACHE'))"
    environment = {name: value for name, value in os.environ.items() if name != "MTEB_CACHE"} | variables
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_home_that_cannot_be_written():
    """Nothing of ours needs the folder: mteb gets another one while it is imported, and the environment is as it was."""
    done = imported(HOME=os.devnull)
    assert (done.returncode, done.stdout) == (0, "None\n"), done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("told", [False, True], ids=["nothing said", "told where"])
def test_user_without_a_home(tmp_path, told):
    """A container may run as a number that no user has: mteb asks for the home, whatever it is told."""
    code = (
        "import os, pathlib\n"
        "before = dict(os.environ)\n"
        "real = os.path.expanduser\n"
        "os.path.expanduser = lambda path: path if 'HOME' not in os.environ else real(path)\n"
        "import pytest_embedqa.quality.mteb\n"
        "print(os.environ.items() >= before.items(), 'HOME' in os.environ)"
    )
    # polars adds to its variable in each process that imports it.
    left_out = {"HOME", "MTEB_CACHE", "_RJEM_MALLOC_CONF"}
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    environment |= {"MTEB_CACHE": str(tmp_path / "results")} if told else {}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stdout) == (0, "True False\n"), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["results"] * told


def test_folder_of_results_that_cannot_be_made():
    """What the user named is not replaced by another place: the error says which variable to change."""
    done = imported(MTEB_CACHE=f"{os.devnull}/results")
    assert done.returncode == 1
    assert "MTEB_CACHE: [Errno" in done.stderr
    assert f"{os.devnull}/results'. Name a folder that can be written, or unset it." in done.stderr

"""What CI runs: steps in turn, with their seconds, and a warning while a run gets too long."""

from __future__ import annotations

import importlib.util
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def ci():
    """The module that runs the steps."""
    spec = importlib.util.spec_from_file_location("steps", ROOT / ".ci" / "steps.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def steps(ci):
    """The steps of this repository."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    return ci.read(script.partition("<<'STEPS'\n")[2].partition("\nSTEPS\n")[0].splitlines())


def test_first_failure_ends_the_run(ci, capfd):
    """What comes behind it is not run; its exit code is that of the run, and the seconds so far are shown."""
    steps = ci.read(["good | 1 | echo one", "", "bad | 2 | echo two; exit 5", "never | 3 | echo three"])
    assert ci.run(steps) == 5
    said = capfd.readouterr().out
    assert re.findall(r"^=== (\w+) \(after \d+ s\)$", said, re.MULTILINE) == ["good", "bad"]
    assert re.findall(r"^ +\d+  (\w+)$", said, re.MULTILINE) == ["good", "bad", "all"]
    assert said.endswith("=== FAILED: bad, with exit code 5\n")
    assert "three" not in said
    assert ci.run(steps[:1]) == 0
    assert "FAILED" not in capfd.readouterr().out


def test_pace_so_far_tells_the_whole(ci):
    """Twice as slow up to here is twice as slow to the end, but for the first minutes; a step takes at least what it has taken."""
    steps = ci.read(["a | 400 | x", "b | 200 | x", "c | 100 | x"])
    assert ci.expected(steps, 0, 0, 0) == 700
    assert ci.expected(steps, 0, 0, 500) == 800
    assert ci.expected(steps, 1, 800, 10) == 1400
    assert ci.expected(steps, 1, 200, 10) == 500
    assert ci.expected(steps, 2, 600, 101) == 701


def test_killed_run_leaves_nothing_behind(tmp_path):
    """The step ends with all that it started, none comes behind it, and the seconds so far are shown."""
    steps = tmp_path / "steps"
    steps.write_text(
        f"a | 1 | (sleep 60; touch {tmp_path}/child) & sleep 60; touch {tmp_path}/end\nb | 1 | touch {tmp_path}/next\n"
    )
    with steps.open() as table:
        process = subprocess.Popen(
            [sys.executable, ROOT / ".ci" / "steps.py"], stdin=table, stdout=subprocess.PIPE, text=True
        )
    assert "=== a" in process.stdout.readline() + process.stdout.readline()
    time.sleep(0.3)
    process.terminate()
    said, _ = process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGTERM
    assert "=== FAILED: a, with exit code 143" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["steps"]


@pytest.mark.parametrize("line", ["", "a", "a | b", "a | many | x", "a | 1 |", " | 1 | x"])
def test_wrong_table_is_an_error(ci, line):
    """A run of no steps would pass, and so would one without a command."""
    with pytest.raises(ValueError, match=r"is the form of a step|there is no step"):
        ci.read([line])


def test_pipe_fails_with_its_first_command(ci, capfd):
    """A step may hold a bar; what fails before it fails the step."""
    assert ci.run(ci.read(["a | 1 | false | cat"])) == 1


def test_run_that_gets_too_long_says_so_while_it_runs(ci, capfd, monkeypatch):
    """Once a step, before the time is up; a run in time says nothing."""
    monkeypatch.setattr(ci, "LOOK", 0.01)
    assert ci.run(ci.read(["quick | 1 | sleep 0.1", "rest | 3000 | exit"])) == 0
    assert "SLOW" not in capfd.readouterr().out
    monkeypatch.setattr(ci, "TOO_LONG", 60)
    assert ci.run(ci.read(["slow | 30 | sleep 0.2; echo over", "rest | 31 | exit"])) == 0
    said = capfd.readouterr().out
    assert said.count("SLOW") == 1
    assert said.index("=== SLOW: at this pace the run takes 1 minutes, and is to take 1 at most") < said.index("over")


def test_steps_of_this_repository(steps):
    """Both commands of the README are among them, what fails soonest comes first, and every target exists."""
    commands = [step.command for step in steps]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = [re.findall(r"\bmake (?:-\S+ )*((?:[a-z][\w-]*(?: |$))+)", command) for command in commands]
    for target in " ".join(found for one in targets for found in one).split():
        assert re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE), target
    order = ["lint", "types", "test", "quality", "test-all", "engines"]
    first = [next(place for place, found in enumerate(targets) if one in " ".join(found).split()) for one in order]
    assert first == sorted(first)
    assert sum(step.seconds for step in steps) < 40 * 60

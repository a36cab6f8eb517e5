"""The command ``embedqa init``: bounds that follow from a measurement, and a folder that loses nothing of the user's."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import subprocess
import sys

import pytest
from iniconfig import IniConfig

from pytest_embedqa.commands import main
from pytest_embedqa.commands.init import measuring
from pytest_embedqa.commands.init import suite_files as texts
from pytest_embedqa.commands.init.measuring import Measured, Plan, Proposal, bound_below
from pytest_embedqa.encoders.spec import parse_spec

# Encoders without a model. Words that a text shares with another make it similar; ``noisy`` has a fault.
BAG = r"""
import re, zlib
import numpy as np

def encode(texts):
    vectors = np.zeros((len(texts), 256), dtype=np.float32)
    for row, text in enumerate(texts):
        for word in re.findall(r"\w+", text.lower()):
            vectors[row, zlib.crc32(word.encode()) % 256] += 1
        vectors[row, 0] += 1e-3
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

def noisy(texts):
    vectors = encode(texts) + np.random.default_rng().normal(0, 5e-4, (len(texts), 256)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
"""
MODEL = "python:bag_of_words:encode?version=1"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project whose root is the working directory, with a model in a module, and no data at hand."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project/bag_of_words.py").write_text(BAG)
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("EMBEDQA_DATASETS", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    return tmp_path / "project"


@pytest.fixture
def quick(monkeypatch):
    """Without the checks that look at the model alone."""
    monkeypatch.setattr(measuring, "catalogue", dict)


def init(*arguments, model=MODEL):
    """Exit code of the command, run in the project."""
    return main(["init", "suite", "--model", model, *arguments])


def bound_of(path):
    """The bound of the test on the suite's own data."""
    (line,) = [line for line in path.read_text().splitlines() if "retrieval_task(" in line]
    return float(line.partition("min_ndcg_at_10=")[2].rstrip(")"))


@pytest.mark.parametrize(
    ("score", "units", "margin", "bound"),
    [
        (0.8203, 1379, None, 0.810),  # what the gate allows
        (0.7725, 28, None, 0.736),  # less than one of 28 decides
        (0.5, 0, None, 0.49),  # units that nobody knows
        (0.7725, 28, 0.1, 0.672),
        (0.7725, 28, 0.0, 0.772),
    ],
)
def test_bound_lies_below_the_score_by_what_noise_and_an_accepted_loss_take(score, units, margin, bound):
    """One hundredth, or what a single unit decides, or the margin that was asked for; never above the score."""
    assert bound_below(score, units, margin) == pytest.approx(bound, abs=1e-9)


@pytest.mark.parametrize(
    "spec",
    [
        "st:models/mine@main?dim=64&query_prompt=query:+",
        "builtin?query_prompt=Find: &document_prompt=",
        "st:ORG/MODEL?query_prompt=Instruct: search\nQuery: &dim=3",
        "st:ORG/MODEL?query_prompt=a # b ; c ",
    ],
)
def test_ini_file_names_exactly_the_model_that_was_measured(spec, tmp_path):
    """Blanks at the end of a prompt, line breaks and comment signs survive the ini file."""
    path = tmp_path / "pytest.ini"
    path.write_text(texts.ini_file(parse_spec(spec), None, None))
    read = parse_spec(IniConfig(str(path))["pytest"]["embedqa_model"])
    asked = parse_spec(spec)
    assert read.options == asked.options
    assert (read.engine, read.model, read.revision) == (asked.engine, asked.model, asked.revision)


def test_folder_of_a_model_is_found_from_any_working_directory(tmp_path, monkeypatch):
    """A folder that is named from here becomes absolute; a name that a server gave its model stays."""
    (tmp_path / "models/mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert texts.ini_value(parse_spec("st:models/mine?dim=3")) == f"st:{tmp_path}/models/mine?dim=3"
    assert texts.ini_value(parse_spec("models/mine")) == f"{tmp_path}/models/mine"
    served = "openai:models/mine?url=http://127.0.0.1:1/v1"
    assert texts.ini_value(parse_spec(served)) == served


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("pytest.ini", "", "embedqa_model = builtin?clean=none"),
        ("pyproject.toml", "[tool.pytest.ini_options]\n", 'embedqa_model = "builtin?clean=none"'),
        ("tox.ini", "[pytest]\n", "embedqa_model = builtin?clean=none"),
        ("setup.cfg", "[metadata]\n[tool:pytest]\n", "embedqa_model = builtin?clean=none"),
    ],
)
def test_settings_of_the_project_are_found(name, content, line, tmp_path):
    """The file that pytest reads above the suite is named, with the line in its own syntax."""
    (tmp_path / "tests/deep").mkdir(parents=True)
    (tmp_path / "tests/pyproject.toml").write_text("[project]\nname = 'x'\n")  # says nothing to pytest
    (tmp_path / name).write_text(content)
    found = texts.project_ini(tmp_path / "tests/deep")
    assert found == tmp_path / name
    assert texts.ini_line(found, parse_spec("builtin?clean=none")) == line


def test_files_are_valid_whatever_a_model_says(tmp_path):
    """Quotes, backslashes and other scripts in prompts and counterexamples break no file."""
    odd = 'ends with \\ and """ and \\N{X} 中文 \' "'
    one = Proposal("A-Task v2", "cosine_spearman", 0.5, 0.49, 3, "pairs", (0.4, 0.6))
    measured = Measured(odd, odd, one, [one], {"case_distinct": odd})
    plan = Plan(parse_spec("builtin"), tmp_path / odd, ("A-Task v2",), margin=0.02)
    tree = ast.parse(texts.quality_test(measured, plan))
    assert odd in ast.get_docstring(tree)
    tree = ast.parse(texts.invariants_test(measured.expected))
    (call,) = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert ast.literal_eval(call.keywords[0].value) == measured.expected
    ast.parse(texts.invariants_test({}))
    ast.parse(texts.speed_test())


@pytest.mark.slow
def test_suite_tests_its_model_from_within_its_folder(project, quick):
    """Started in the folder itself, pytest finds the model of the suite; it reaches its bound, and its speed is shown."""
    assert init("--tasks") == 0
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_quality.py", "test_speed.py"]
    ran = subprocess.run(command, cwd=project / "suite", capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"embedqa: {MODEL}" in ran.stdout
    assert "3 passed" in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "model", "reason"),
    [
        ((), "python:no_such_module:encode", "can't be imported"),
        (("--tasks", "SciFakt"), MODEL, "Did you mean 'SciFact'?"),
        (("--tasks", "SciFact"), MODEL, "embedqa fetch SciFact --to"),
        (("--datasets", "nowhere"), MODEL, "--datasets: nowhere is not a folder. It holds task data as DIR/ORG/NAME."),
        ((), "buildin", "Did you mean 'builtin'?"),
        (("--margin", "0.99"), MODEL, "leaves no room for a bound above 0. Is this the right task for the model"),
    ],
)
@pytest.mark.usefixtures("quick")
def test_failure_writes_nothing(arguments, model, reason, project, capsys):
    """Whatever can't be measured is said, with exit code 2, and no folder is begun."""
    assert init(*arguments, model=model) == 2
    assert reason in capsys.readouterr().err
    assert not (project / "suite").exists()


def test_name_of_a_task_is_checked_before_the_model_is_loaded(project, quick, capsys):
    """A slip in a name costs no minutes."""
    assert init("--tasks", "SciFakt") == 2
    assert "loading" not in capsys.readouterr().err


def test_file_in_place_of_the_folder_is_refused(project, capsys):
    """Before anything is measured."""
    (project / "suite").write_text("mine")
    assert init() == 2
    assert "suite is a file. Name a folder: embedqa init DIR." in capsys.readouterr().err
    assert (project / "suite").read_text() == "mine"


def test_files_that_are_there_are_not_overwritten(project, capsys):
    """Nothing is measured before the user says --force; other files in the folder are no obstacle."""
    (project / "suite").mkdir()
    (project / "suite/test_speed.py").write_text("# mine")
    assert init() == 2
    said = capsys.readouterr().err
    assert "suite has test_speed.py already; nothing was measured or written. --force" in said
    assert "loading" not in said
    assert [path.name for path in (project / "suite").iterdir()] == ["test_speed.py"]


def test_force_measures_anew_on_the_data_of_the_user(project, quick):
    """Own passages, documents and probes survive --force, and the new bound is theirs."""
    assert init("--tasks") == 0
    before = bound_of(project / "suite/test_quality.py")
    data = project / "suite/data/help_center"
    (data / "corpus.jsonl").write_text(
        "".join(json.dumps({"_id": f"d{n}", "text": f"about {word}"}) + "\n" for n, word in enumerate(["tea", "ink"]))
    )
    (data / "queries.jsonl").write_text(
        json.dumps({"_id": "q", "text": "tea"}) + "\n" + json.dumps({"_id": "r", "text": "ink"}) + "\n"
    )
    (data / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td0\t1\nr\td1\t1\n")
    mine = (project / "suite/help_center.probe.yaml", project / "suite/documents/returns.md", data / "corpus.jsonl")
    mine[0].write_text("# mine\n" + mine[0].read_text())
    mine[1].write_text("mine")
    kept = [path.read_text() for path in mine]
    assert init("--tasks", "--margin", "0.25", "--force") == 0
    assert [path.read_text() for path in mine] == kept
    assert bound_of(project / "suite/test_quality.py") == 0.75 != before
    assert "--margin 0.25 --tasks --force" in (project / "suite/README.md").read_text()


def test_settings_and_readme_of_the_user_are_never_touched(project, quick, capsys):
    """In a folder with settings of its own no pytest.ini hides them: what to add is printed instead."""
    (project / "suite").mkdir()
    (project / "suite/README.md").write_text("mine")
    (project / "suite/pyproject.toml").write_text("[tool.pytest.ini_options]\naddopts = '-q'\n")
    assert init("--tasks", "--force") == 0
    assert (project / "suite/README.md").read_text() == "mine"
    assert not (project / "suite/pytest.ini").exists()
    out = capsys.readouterr().out
    assert f"pytest reads {project / 'suite/pyproject.toml'}" in out
    assert f'  embedqa_model = "{MODEL}"' in out


def test_datasets_are_named_so_that_the_project_can_move(project, quick):
    """A folder inside the project is named from the suite's."""
    (project / "data").mkdir()
    assert init("--tasks", "--datasets", "data") == 0
    ini = IniConfig(str(project / "suite/pytest.ini"))["pytest"]
    assert ini["embedqa_datasets"] == os.path.join("..", "data")  # noqa: PTH118  as written


def test_fault_is_told_and_not_excused(project, capsys):
    """An invariant that any model can hold is no expected failure: exit code 1, and its test is going to fail."""
    assert init("--tasks", model="python:bag_of_words:noisy?version=1") == 1
    assert "FAULT: deterministic: cosine_distance" in capsys.readouterr().out
    written = (project / "suite/test_invariants.py").read_text()
    assert "deterministic" not in written
    assert '"case_distinct": "collisions' not in written  # noise keeps them apart


def test_what_could_not_be_measured_is_named(project, quick, monkeypatch, capsys):
    """Tasks without data, and files whose package is not installed, are left out with the way to get them."""
    there = importlib.util.find_spec
    absent = {"hypothesis", "pytest_benchmark"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name in absent else there(name, *more))
    assert init() == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "no data at hand for STSBenchmark, SciFact" in out
    assert "Get it where the Hub can be reached: embedqa fetch STSBenchmark SciFact" in out
    assert "test_invariants.py needs the package 'hypothesis', which is not installed" in out
    assert "test_speed.py needs the package 'pytest-benchmark', which is not installed" in out
    written = {path.name for path in (project / "suite").glob("test_*.py")}
    assert written == {"test_quality.py"}


def test_wrong_margin_is_refused(capsys):
    """A margin is a share of the scale."""
    with pytest.raises(SystemExit, match="2"):
        init("--margin", "5")
    assert "a number from 0 up to 1 is expected" in capsys.readouterr().err


def test_template_asks_one_question_for_each_passage():
    """Every passage of the template is the answer to one question, so that none only helps."""
    folder = measuring.TEMPLATE / measuring.OWN_DATA
    rows = [line.split("\t") for line in (folder / "qrels/test.tsv").read_text().splitlines()[1:]]
    corpus = [json.loads(line)["_id"] for line in (folder / "corpus.jsonl").read_text().splitlines()]
    queries = [json.loads(line)["_id"] for line in (folder / "queries.jsonl").read_text().splitlines()]
    assert sorted(row[1] for row in rows) == sorted(corpus)
    assert sorted(row[0] for row in rows) == sorted(queries)

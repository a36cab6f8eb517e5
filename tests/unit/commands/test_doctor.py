"""``embedqa doctor``: what works here, and for each thing that does not the command that mends it."""

from __future__ import annotations

import contextlib
import io
import sqlite3
from argparse import Namespace
from importlib.metadata import version

import pytest
from huggingface_hub import constants

from pytest_embedqa.commands import doctor, extras, main
from pytest_embedqa.encoders.hub import hub_is_reachable

SUITE = """
from pytest_embedqa import mteb_benchmark, mteb_task, retrieval_task, throughput

@mteb_task("SciFact", min_ndcg_at_10=0.5)
def test_there(): ...

@mteb_task("ArguAna", min_ndcg_at_10=0.5)
def test_missing(): ...

@mteb_benchmark("MTEB(Law, v1)", min_mean=0.5)
def test_missing_too(): ...

@mteb_task(retrieval_task("faq"), min_ndcg_at_10=0.5)
def test_own(): ...

@throughput(min_texts_per_s=1)
def test_speed(): ...

def test_without_an_encoder(): ...
"""


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """Exit code and lines of one run that is asked for what works and for what does not."""
    folder = tmp_path_factory.mktemp("doctor")
    (folder / "hub" / "mteb" / "scifact").mkdir(parents=True)
    (folder / "faq").mkdir()
    (folder / "test_suite.py").write_text(SUITE, encoding="utf-8")
    arguments = ["--datasets", folder / "hub", "--model", "builtin?dim=128", "--model", "builtin?pooling=mode", folder]
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        for name, value in {"CI": "true", "HF_TOKEN": "hf_abc", "HTTPS_PROXY": "http://me:secret@proxy:1"}.items():
            patch.setenv(name, value)
        code = main(["doctor", *map(str, arguments)])
    return code, out.getvalue().splitlines()


@pytest.fixture
def look():
    """Makes a doctor with some arguments."""

    def make(**given):
        return doctor._Doctor(Namespace(**{"datasets": None, "model": [], "suites": [], **given}))

    return make


def section(lines, title):
    """The lines below a title, as one text."""
    start = next(number for number, line in enumerate(lines) if line.startswith(title))
    return " ".join(" ".join(lines[start : lines.index("", start)]).split())


def problems(lines):
    """What is wrong, as one text."""
    return " ".join(" ".join(lines[next(n for n, line in enumerate(lines) if line.startswith("PROBLEM")) :]).split())


@pytest.mark.slow
def test_what_is_here_is_told(checked):
    """Packages, processors, where torch computes, each engine, what tests need, and the store."""
    _, lines = checked
    assert f"numpy {version('numpy')}" in section(lines, "packages")
    assert "torch computes on: " in section(lines, "machine")
    assert "builtin ready" in section(lines, "engines")
    assert "python ready" in section(lines, "engines")
    assert "@mteb_task, @mteb_benchmark ready" in section(lines, "tests")
    assert "not there yet; writable" in section(lines, "store")


@pytest.mark.slow
def test_report_fits_the_terminal(checked):
    """80 columns, but for paths and commands, which are not torn apart."""
    long = [line for line in checked[1] if len(line) > 80 and "/" not in line]
    assert [line for line in long if not line.startswith("  embedqa fetch ")] == []


@pytest.mark.slow
def test_model_that_works_is_shown(checked):
    """Identity, prompts and dimensions of what it was asked to load, after it encoded two texts."""
    text = section(checked[1], "model builtin?dim=128")
    assert "all-MiniLM-L6-v2" in text
    assert "128 dimensions of 384" in text
    assert "prompts: none" in text
    assert "2 texts encoded: 128 dimensions" in text


@pytest.mark.slow
def test_model_that_can_not_be_loaded_is_a_problem(checked):
    """With what is wrong, and exit code 1; the others are looked at all the same."""
    code, lines = checked
    assert code == 1
    assert "does not work" in section(lines, "model builtin?pooling=mode")
    assert (
        "PROBLEM --model builtin?pooling=mode: In the spec 'builtin?pooling=mode', pooling=mode is wrong"
        in problems(lines)
    )


@pytest.mark.slow
def test_data_at_hand_is_listed(checked):
    """By the names of the tasks; of a folder, that nothing else is read."""
    text = section(checked[1], "data")
    assert "/hub: 1 of 1" in text
    assert " SciFact Nothing else is read" in text


@pytest.mark.slow
def test_tests_without_data_are_a_problem(checked):
    """Single tasks and those of a benchmark, with the command that fetches them; own data is at hand."""
    _, lines = checked
    text = section(lines, "suites")
    assert "12 quality, 1 speed" in text
    found = problems(lines)
    assert "No data for 9 of 13 tests, which are skipped (under CI they fail): ArguAna, AILACasedocs, " in found
    assert "embedqa fetch ArguAna AILACasedocs " in found
    assert "SciFact" not in found


@pytest.mark.slow
def test_environment_is_shown_without_secrets(checked):
    """What a variable does is said; of a token and of a proxy's password only that they are set."""
    text = section(checked[1], "environment")
    assert "CI=true (a test without data fails, and is not skipped)" in text
    assert "HF_TOKEN=(set)" in text
    assert "HTTPS_PROXY=http://***@proxy:1" in text
    assert "hf_abc" not in "\n".join(checked[1])
    assert "secret" not in "\n".join(checked[1])


def test_nothing_asked_for_nothing_missing(capsys, monkeypatch, tmp_path):
    """Exit code 0, also where packages and data are missing: nobody asked for them."""
    monkeypatch.delenv("EMBEDQA_DATASETS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(extras, "requires", lambda _: ["no-such-package>=3; extra == 'vllm'"])
    monkeypatch.setattr(doctor, "_output", lambda _: "[false, false]")
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert 'vllm       pip install "pytest-embedqa[vllm]"  (lacks no-such-package)' in out
    assert out.endswith("Nothing that was asked for is missing.\n")


@pytest.mark.parametrize(
    ("needed", "missing"),
    [
        ("numpy>=1; extra == 'speed'", []),
        ("numpy>=999; extra == 'speed'", ["numpy"]),
        ("no-such-package; extra == 'speed'", ["no-such-package"]),
        ("no-such-package; extra == 'rag'", ["speed"]),
    ],
)
def test_extra_is_what_the_metadata_says(monkeypatch, needed, missing):
    """By version too; an extra that an old installation does not know is missing as a whole."""
    monkeypatch.setattr(extras, "requires", lambda _: ["numpy>=999", needed])
    assert extras.missing("speed") == missing


def test_no_extra_is_needed_for_a_callable():
    """``python:`` and engines of others are not judged by our extras."""
    assert extras.state(None) == "ready"


def test_broken_torch_is_a_problem(look, monkeypatch):
    """Installed but not importable: the command that shows why."""
    monkeypatch.setattr(doctor, "_output", lambda _: "")
    one = look()
    list(one._machine())
    ((problem, mend),) = one.problems
    assert "torch is installed and can't be imported" in problem
    assert mend.endswith("-c 'import torch'")


def test_torch_without_the_gpu_is_told(look, monkeypatch):
    """A build for CPUs beside a GPU is slow, not wrong."""
    monkeypatch.setattr(
        doctor, "_output", lambda command: "GPU 9, 80 GB, 1" if command[0] == "nvidia-smi" else "[false, false]"
    )
    one = look()
    assert "can't use the GPU: install its CUDA build" in " ".join(one._machine())
    assert one.problems == []


def test_store_that_can_not_be_written_is_a_problem(look, monkeypatch, tmp_path):
    """Its place is a file, or what is there is no store."""
    (tmp_path / "pytest-embedqa").write_text("", encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    one = look()
    list(one._store())
    (tmp_path / "other" / "pytest-embedqa").mkdir(parents=True)
    (tmp_path / "other" / "pytest-embedqa" / "vectors.sqlite").write_text("no database" * 100, encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    list(one._store())
    assert [mend for _, mend in one.problems] == ["pytest --embedqa-store=FILE"] * 2
    assert "vectors.sqlite can't be written: " in one.problems[0][0]
    assert "file is not a database" in one.problems[1][0]


def test_store_is_counted_and_left_as_it_was(look, monkeypatch, tmp_path):
    """Encoders and size of what is there."""
    path = tmp_path / "pytest-embedqa" / "vectors.sqlite"
    path.parent.mkdir()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE identities (id)")
        connection.execute("INSERT INTO identities VALUES (1)")
        connection.commit()
    before = path.read_bytes()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert "vectors of 1 encoders, 0.0 MB; writable" in " ".join(look()._store())
    assert path.read_bytes() == before


def test_folder_without_data_is_a_problem(look, tmp_path):
    """One that is not there, and one that is laid out otherwise: both were asked for."""
    one, other = look(datasets=tmp_path / "nowhere"), look(datasets=tmp_path)
    list(one._data())
    list(other._data())
    assert "nowhere is not a folder." in one.problems[0][0]
    assert "holds data of no task; DIR/ORG/NAME is expected." in other.problems[0][0]
    assert other.problems[0][1] == f"embedqa fetch TASK --to {tmp_path}"


@pytest.mark.parametrize(("offline", "said"), [(True, "HF_HUB_OFFLINE is set"), (False, "it does not answer")])
def test_hub_out_of_reach_is_told(look, monkeypatch, tmp_path, offline, said):
    """With its reason, and what has data all the same."""
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    hub_is_reachable.cache_clear()
    text = " ".join(look()._data())
    hub_is_reachable.cache_clear()
    assert f"Hub: not reachable ({said})" in text
    assert "cache of the Hub: 0 of 1" in text


def test_tests_that_can_not_be_collected_are_a_problem(look, tmp_path):
    """With what pytest says."""
    (tmp_path / "test_broken.py").write_text("import no_such_module", encoding="utf-8")
    one = look(suites=[tmp_path])
    list(one._suites())
    ((problem, mend),) = one.problems
    assert problem.startswith("The tests can't be collected: ")
    assert "No module named 'no_such_module'" in problem
    assert mend == f"pytest --collect-only {tmp_path}"

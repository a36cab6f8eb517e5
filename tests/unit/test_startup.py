"""Start-up: pytest with this plugin installed must not pay for what a run does not use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import pytest_embedqa

HEAVY = {"torch", "mteb", "transformers", "sentence_transformers", "datasets", "numpy", "hypothesis", "sqlite3", "tqdm"}
PUBLIC = {
    "DOCUMENT",
    "QUERY",
    "SYMMETRIC",
    "Passage",
    "bitext_task",
    "index_recall",
    "matryoshka",
    "mteb_benchmark",
    "mteb_task",
    "pair_task",
    "parametrize_with_invariants",
    "parity",
    "quantized",
    "rag_probe",
    "retrieval_task",
    "sts_task",
    "throughput",
}


def loaded_by(statement, folder):
    """Top-level modules that a fresh interpreter has after a statement."""
    code = (
        f"{statement}\nimport json, sys\nprint(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=60, check=True
    )
    return set(json.loads(result.stdout))


@pytest.mark.parametrize(
    "statement",
    [
        "import pytest_embedqa",
        "import pytest_embedqa.plugin",
        "from pytest_embedqa import mteb_task; mteb_task('ArguAna', min_ndcg_at_10=0.5)",
        "from pytest_embedqa import QUERY, retrieval_task; retrieval_task('data/faq')",
    ],
)
def test_nothing_heavy_is_loaded(statement, tmp_path):
    """Neither the plugin nor the names that a test module imports load a numerical or a model package."""
    loaded = loaded_by(statement, tmp_path)
    assert "pytest_embedqa" in loaded
    assert loaded & HEAVY == set()


def test_loaded_by_name_it_warns_of_nothing(tmp_path):
    """Where plugins are not found by themselves and every warning is an error, ``-p embedqa`` runs, fixtures included."""
    (tmp_path / "test_plain.py").write_text("def test_plain(embedding_server): ...\ndef test_other(): ...\n", "utf-8")
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "embedqa", "-W", "error", "--setup-plan", "test_plain.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    assert "warning" not in result.stdout


def test_an_encoder_of_ones_own_waits_for_no_library_of_models(tmp_path):
    """mteb knows models by their names; a function of the user's own is none of them, and a test of it is quick to begin."""
    (tmp_path / "mine.py").write_text("def encode(texts): return [[1.0, float(len(text))] for text in texts]\n")
    (tmp_path / "test_it.py").write_text("def test_it(encoder): assert encoder.encode(['a']).shape == (1, 2)\n")
    (tmp_path / "conftest.py").write_text(
        "import json, pathlib, sys\n"
        "def pytest_sessionfinish(): pathlib.Path('loaded').write_text(json.dumps(list(sys.modules)))\n"
    )
    options = ["-p", "no:langsmith_plugin", "--embedqa-store=off", "--embedqa-model=python:mine:encode"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    loaded = {*json.loads((tmp_path / "loaded").read_text(encoding="utf-8"))}
    assert "pytest_embedqa.quality.evaluator" in loaded
    assert loaded & HEAVY == {"numpy", "sqlite3"}  # sqlite3 keeps vectors


def test_package_alone_does_not_load_pytest(tmp_path):
    """Importing the package is free also outside a test run."""
    assert "pytest" not in loaded_by("import pytest_embedqa", tmp_path)


def test_a_loaded_heavy_module_would_be_seen(tmp_path):
    """The measurement itself sees a heavy module where one is loaded."""
    assert {"numpy", "sqlite3"} <= loaded_by("import pytest_embedqa.encoders.store", tmp_path) & HEAVY


def test_public_names_are_complete():
    """What is public is listed, can be loaded, and is what dir() shows."""
    assert set(pytest_embedqa.__all__) == PUBLIC == set(dir(pytest_embedqa))
    for name in PUBLIC:
        assert getattr(pytest_embedqa, name) is not None


def test_no_room_is_called_as_a_public_name():
    """A module takes the place of a name of its parent as soon as anyone imports it."""
    rooms = {path.stem for path in Path(pytest_embedqa.__file__).parent.iterdir()}
    assert not rooms & PUBLIC


def test_other_names_are_attribute_errors():
    """A slip in an import is told as Python tells it."""
    with pytest.raises(AttributeError, match=r"^module 'pytest_embedqa' has no attribute 'mteb_tasks'$"):
        pytest_embedqa.mteb_tasks  # noqa: B018  looking is the test

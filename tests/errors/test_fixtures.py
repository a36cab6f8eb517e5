"""Fixtures and options that are asked for what they can not give."""

from __future__ import annotations

import importlib.util

import pytest

from pytest_embedqa.engine_parity.comparison import ParityResult
from pytest_embedqa.speed.measuring import Speed, SpeedResult

ENCODER = (
    "import numpy as np\ndef encode(texts): return np.eye(4, dtype=np.float32)[[len(text) % 4 for text in texts]]\n"
)


@pytest.mark.parametrize(
    ("fixture", "text"),
    [
        ("task_result", "task_result needs @mteb_task or @mteb_benchmark on the test."),
        ("parity_result", "parity_result needs @parity on the test."),
        ("index_result", "index_result needs @index_recall on the test."),
        ("speed_result", "speed_result needs @throughput on the test."),
    ],
)
def test_result_without_its_marker(pytester, fixture, text):
    """A result without the marker that says what to measure is an error that names the marker."""
    pytester.makepyfile(vectors=ENCODER, test_it=f"def test_it({fixture}): ...")
    result = pytester.runpytest("--embedqa-model=python:vectors:encode", "--embedqa-store=off")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*{text}"])


def test_parity_has_four_measures():
    """Another name is answered with those that there are."""
    with pytest.raises(KeyError, match=r"parity_result has cosine, mean_cosine, overlap, kendall, not 'cosin'"):
        ParityResult(None, None, None)["cosin"]


def test_speed_has_what_was_measured():
    """A figure that was not measured is answered with those that were."""
    with pytest.raises(KeyError, match=r"speed_result has p50_ms, p95_ms, not 'ratio'"):
        SpeedResult(None, lambda: Speed({"p50_ms": 1.0, "p95_ms": 2.0}, length=8, batch_size=1))["ratio"]


def test_page_without_its_packages(pytester, monkeypatch):
    """A report that can't be made is refused before anything runs, with the command that installs what is missing."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "jinja2" else find(name, *rest)
    )
    result = pytester.runpytest_inprocess("--embedqa-html=out.html")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--embedqa-html needs the package 'jinja2', which is not installed.*", "*report*"])


def test_page_where_nothing_can_be_written(pytester):
    """A report whose folder is a file is refused before anything runs."""
    (pytester.path / "notes").write_text("")
    result = pytester.runpytest_inprocess("--embedqa-html=notes/out.html")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*--embedqa-html: notes/out.html can't be written: * does not allow it. Choose another*"]
    )

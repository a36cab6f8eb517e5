"""What is cut is shown, and can be bounded."""

from __future__ import annotations

import pytest

SUITE = """
from pytest_embedqa import mteb_task, retrieval_task

@mteb_task(retrieval_task("{data}"), min_ndcg_at_10=0.1{bound})
def test_search(task_result): ...
"""
HANDBOOK = "suites/data/handbook"


@pytest.fixture
def run(pytester, request, monkeypatch):
    """Runs a task of the suites on the embedded model, cut after so many tokens."""
    monkeypatch.delenv("CI", raising=False)
    data = request.config.rootpath / HANDBOOK

    def run_with(max_length, bound=""):
        pytester.makepyfile(SUITE.format(data=data, bound=bound))
        return pytester.runpytest(f"--embedqa-model=builtin?max_length={max_length}", "--embedqa-store=off")

    return run_with


@pytest.mark.slow
def test_cut_texts_show_in_the_table_and_fail_a_bound(run):
    """Share of texts and of tokens, and the advice what to do."""
    result = run(32, ", max_truncated=0.01")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "handbook: truncated 0.7391 is above 0.0100*",
            "*truncated  73.9% of 460 texts; 51.9% of the tokens are never seen",
            "*try *max_length=*",
            "handbook*truncated*0.7391 of its texts, at 32 tokens",
            "*tokens lost*0.5193 of its tokens",
        ]
    )


@pytest.mark.slow
def test_whole_texts_pass_the_bound_in_silence(run):
    """No line where nothing is cut."""
    result = run(256, ", max_truncated=0, max_tokens_lost=0")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*tokens lost*")


def test_engine_that_does_not_count_is_an_error(pytester, request, monkeypatch):
    """Not a pass: nobody knows what was cut. Without the bound it is no obstacle."""
    monkeypatch.delenv("CI", raising=False)
    pytester.makepyfile(
        words="""
        import zlib
        import numpy as np

        def encode(texts):
            return np.stack([np.random.default_rng(zlib.crc32(text.encode())).standard_normal(8) for text in texts])
        """
    )
    for bound, outcome in ((", max_truncated=0.5", "failed"), ("", "passed")):
        text = SUITE.format(data=request.config.rootpath / HANDBOOK, bound=bound)
        pytester.makepyfile(text.replace("min_ndcg_at_10=0.1", "min_recall_at_100=0.1"))
        result = pytester.runpytest("--embedqa-model=python:words:encode", "--embedqa-store=off")
        result.assert_outcomes(**{outcome: 1})
        if bound:
            result.stdout.fnmatch_lines(["handbook: *'truncated' can't be measured*does not count tokens*"])

"""Shorter vectors on real text: a model sorted as Matryoshka training would keeps its quality, one turned at random does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
SUITE = """
from pytest_embedqa import matryoshka, mteb_task, retrieval_task

@matryoshka(dims=[256], max_loss=0.01)
@mteb_task({task}, min_main_score={whole})
def test_256(): ...
"""


@pytest.fixture
def loss_at_256(pytester, monkeypatch):
    """Runs both models on a task: with whole vectors their score is the embedded model's, cut only one keeps it."""
    monkeypatch.setenv("PYTHONPATH", str(HERE), prepend=os.pathsep)

    def check(task, whole, *options):
        pytester.makepyfile(SUITE.format(task=task, whole=whole))
        models = ("sorted_by_variance", "rotated")
        specs = [f"--embedqa-model=python:matryoshka_models:{model}?version=1" for model in models]
        result = pytester.runpytest_subprocess("-v", *specs, "--embedqa-store=off", *options)
        result.assert_outcomes(passed=1, failed=1)
        result.stdout.fnmatch_lines(
            [
                "*sorted_by_variance* PASSED*",
                "*rotated* FAILED*",
                "* @256: main_score * is below * (whole vectors *, allowed loss 0.01*; 95 % interval of the difference -* to -*",
                "* saves * 75%: 1,024 bytes a vector instead of 4,096",
            ]
        )

    return check


def test_loss_on_the_handbook(loss_at_256):
    """Cut to 256 of 1,024 dimensions, one stays within a point, and the other's loss is more than chance."""
    loss_at_256(f'retrieval_task("{HERE.parents[1]}/suites/data/handbook")', 0.73)


def test_loss_on_real_data(loss_at_256, datasets_folder):
    """The same on a task that others publish scores of: 0.7460 with whole vectors."""
    loss_at_256('"MBPPRetrieval"', 0.74, f"--embedqa-datasets={datasets_folder}")

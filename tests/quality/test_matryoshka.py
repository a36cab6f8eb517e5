"""Shorter vectors on real text: a model sorted as Matryoshka training would keeps its quality, one turned at random does not."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent
SUITE = f"""
from pytest_embedqa import matryoshka, mteb_task, retrieval_task

@matryoshka(dims=[256], max_loss=0.01)
@mteb_task(retrieval_task("{HERE.parents[1]}/suites/data/handbook"))
def test_256(): ...

@matryoshka(dims=[64], max_loss=0.01)
@mteb_task(retrieval_task("{HERE.parents[1]}/suites/data/code"))
def test_64(): ...
"""


def test_loss_depends_on_the_order_of_dimensions(pytester, monkeypatch):
    """Both have the same cosines with whole vectors; cut to 256 of 1,024 dimensions, one stays within a point."""
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    pytester.makepyfile(SUITE)

    def run(model):
        # Strict: two points on 120 queries may be chance, and that is not good enough here.
        spec = f"--embedqa-model=python:matryoshka_models:{model}?version=1"
        return pytester.runpytest_subprocess(spec, "--embedqa-store=off", "--embedqa-strict")

    run("sorted_by_variance").assert_outcomes(passed=2)
    rotated = run("rotated")
    rotated.assert_outcomes(failed=2)
    rotated.stdout.fnmatch_lines(
        [
            "handbook @256: main_score * is below * (whole vectors *, allowed loss 0.01*",
            "code @64: main_score * is below *; 95 % interval of the difference -* to -*",
        ]
    )

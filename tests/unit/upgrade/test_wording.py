"""The gate in words."""

from __future__ import annotations

import pytest

from pytest_embedqa.upgrade.wording import cell, differences


@pytest.mark.parametrize(
    ("task", "shown"),
    [
        ("faq", "faq       "),
        ("team_a/sim", "team_a/sim"),
        ("team_a/data/sim", "…/data/sim"),
        ("AmazonCounterfactual", "AmazonCoun"),
    ],
)
def test_a_path_that_is_too_long_keeps_its_end(task, shown):
    """The end of a path tells it from others; a name is cut at its end, as ever."""
    assert cell(task, 10) == shown


def test_a_long_fact_that_differs_shows_that_it_was_cut():
    """A name that is cut could be taken for another."""
    name = "hybrid of sentence-transformers/all-MiniLM-L6-v2 and mteb/baseline-bm25s"
    assert differences({"model": "short"}, {"model": name}) == [f"model: short to {name[:59]}…"]

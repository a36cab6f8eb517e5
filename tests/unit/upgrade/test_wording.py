"""The gate in words."""

from __future__ import annotations

import pytest

from pytest_embedqa.upgrade.wording import cell


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

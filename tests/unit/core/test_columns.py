"""Names in the columns of tables."""

from __future__ import annotations

import pytest

from pytest_embedqa.core.columns import cell, column


def test_a_cell_is_one_line():
    """A name with a line break takes one line."""
    assert cell("a\nb", 6) == r"a\nb  "


@pytest.mark.parametrize(
    ("names", "width", "cells"),
    [
        (["a", "bb", "a"], 3, ["a  ", "bb ", "a  "]),
        (["a name too long"], 6, ["a name"]),
        (["docs/team/faq", "x"], 6, ["…m/faq", "x     "]),
        (["prefix and one", "prefix and two"], 10, ["pref…d one", "pref…d two"]),
        (["a-long-name-x1-end", "a-long-name-x2-end"], 8, ["a-long-name-x1-end", "a-long-name-x2-end"]),
        ([r"a\n", "a\n"], 2, [r"a\n", r"a\n"]),
    ],
)
def test_no_two_names_look_alike(names, width, cells):
    """Of those that share their beginning the middle is cut; if that is not enough, the column is wider."""
    assert column(names, width) == cells

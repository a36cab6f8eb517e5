"""Arguments of ``@parity``: what is wrong is named, with what it takes."""

from __future__ import annotations

import pytest

from pytest_embedqa.core.errors import SpecError
from pytest_embedqa.core.requirement import Kind, Requirement
from pytest_embedqa.decorators import parity
from pytest_embedqa.engine_parity.mark import read_mark


def test_arguments_become_requirements():
    """Bounds, strata and batch sizes."""
    mark = read_mark(
        parity(reference="builtin", min_cosine=0.99, min_overlap=1, strata=["cjk"], batch_sizes=[1, 3]).mark
    )
    assert str(mark.reference) == "builtin"
    assert mark.requirements == (Requirement(Kind.MIN, "cosine", 0.99), Requirement(Kind.MIN, "overlap", 1.0))
    assert (mark.strata, mark.batch_sizes) == (("cjk",), (1, 3))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"min_cosine": 0.9}, r"@parity needs reference=SPEC"),
        ({"reference": "builtin"}, r"needs at least one bound: min_cosine="),
        ({"reference": "nothere:x", "min_cosine": 0.9}, r"Unknown engine 'nothere'"),
        ({"reference": "builtin?dims=3", "min_cosine": 0.9}, r"Did you mean 'dim'"),
        (
            {"reference": "builtin", "min_cosin": 0.9},
            r"@parity has no argument min_cosin. Did you mean min_cosine\? It takes: reference",
        ),
        (
            {"reference": "builtin", "min_cosine": 0.9, "min_kendall": 0.9},
            r"min_kendall= compares rankings, and min_cosine= compares vectors\. Ask for them in two tests",
        ),
        (
            {"reference": "builtin", "min_kendall": 0.9, "strata": "cjk"},
            r"strata= chooses texts whose vectors are compared; min_kendall= compares rankings\. Leave it out",
        ),
        ({"reference": "builtin", "min_cosine": "high"}, r"@parity: min_cosine='high' must be a number\."),
        ({"reference": "builtin", "min_cosine": 99}, r"min_cosine=99 can never hold"),
        ({"reference": "builtin", "min_overlap": 0}, r"min_overlap=0 can never fail"),
        ({"reference": "builtin", "min_cosine": 0.9, "batch_sizes": [0]}, r"batch_sizes=\[0\] must hold whole numbers"),
        ({"reference": "builtin", "min_cosine": 0.9, "batch_sizes": []}, r"batch_sizes=\[\] must hold"),
        ({"reference": "builtin", "min_cosine": 0.9, "max_tokens": "all"}, r"max_tokens=\['all'\] must hold"),
        (
            {"reference": "builtin", "min_cosine": 0.9, "strata": 5},
            r"@parity: strata=5 must be a name, or a list of names",
        ),
        (
            {"reference": "builtin", "min_cosine": 0.9, "strata": ["cjkk"]},
            r"@parity has no stratum 'cjkk'. Did you mean 'cjk'\? It has: .*emoji",
        ),
    ],
)
def test_wrong_arguments_are_refused(arguments, text):
    """Before anything is loaded."""
    with pytest.raises(SpecError, match=text):
        read_mark(pytest.mark.parity(**arguments).mark)


def test_nothing_is_taken_by_place():
    """The reference has a name."""
    with pytest.raises(SpecError, match=r"takes keyword arguments only, but got 'builtin'\. It takes: reference"):
        read_mark(pytest.mark.parity.with_args("builtin").mark)

"""The arguments of ``@index_recall``: what can't hold is one clear error at collection."""

from __future__ import annotations

import pytest

from pytest_embedqa.core.errors import SpecError
from pytest_embedqa.index.mark import read_mark

FAISS = "faiss:IVF16,Flat"


def read(**arguments):
    """Read a marker."""
    return read_mark(pytest.Mark("index_recall", (), arguments, _ispytest=True))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "@index_recall needs index=, and got None: a spec such as"),
        ({"index": 3}, "@index_recall needs index=, and got 3: a spec such as"),
        (
            {"min_accuracy": 1},
            "@index_recall has no measure 'accuracy'. It has: recall_at_<k>, worst_decile, ndcg_loss",
        ),
        ({"min_recall_at_10": "high"}, "@index_recall: min_recall_at_10='high' must be a number"),
        ({"k": 0}, "@index_recall: k=0 must be a whole number from 1 up"),
        (
            {"min_recall_at_5": 0.9, "min_recall_at_10": 0.9},
            "@index_recall: an index asked for 5 does other work than for 10. Write a test for each number",
        ),
        ({"min_recall_at_5": 0.9, "k": 10}, "@index_recall: recall_at_5 needs k=5, and k=10 was given. Leave k= out"),
        (
            {"max_ndcg_loss": 0.01, "k": 5},
            "max_ndcg_loss= looks at 10 documents, and k=5 asks for fewer. Take k=10 or more",
        ),
        ({"rows": 1.5}, "@index_recall: rows=1.5 must be a whole number from 1 up"),
        ({"churn": -1}, "@index_recall: churn=-1 must be a whole number from 1 up"),
        (
            {"filter": 1},
            "@index_recall: filter=1 must be the share of rows that it lets through, from 0.001 to below 1",
        ),
        ({"reopen": "yes"}, "@index_recall: reopen='yes' must be True or False"),
        (
            {"sweep": {"nprobe": 4}},
            "@index_recall: sweep={'nprobe': 4} must hold lists of values by setting, e.g. sweep=",
        ),
        ({"sweep": {"efSearch": [4]}}, "there is no setting 'efSearch'. It has: metric, nprobe"),
    ],
)
def test_a_wrong_argument_is_an_error(arguments, said):
    """It names the argument, and what it may be."""
    with pytest.raises(SpecError) as caught:
        read(**({"index": FAISS} if arguments and "index" not in arguments else {}), **arguments)
    assert said in str(caught.value)


def test_a_curve_needs_a_spec():
    """The settings of a user's own class are the user's."""
    own = type("Own", (), {"build": lambda *_: None, "search": lambda *_: []})
    with pytest.raises(
        SpecError, match="sweep= changes the settings of a spec; an index of your own has settings of its own"
    ):
        read(index=own, sweep={"ef": [1]})

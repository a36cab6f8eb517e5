"""What retrievers return is read as passages, or named with its rank."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from fractions import Fraction
from pathlib import PureWindowsPath
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.retrievers.passage import Passage
from pytest_embedqa.encoders.retrievers.returned import notes_on, passages_of


class Number:
    """As numbers of other libraries: no number to Python's own types."""

    def __float__(self):
        """Its value."""
        return 0.5


NUMBERS = {
    "float32": np.float32(0.5),
    "float16": np.float16(0.5),
    "zero-dimensional": np.array(0.5),
    "one element": np.array([0.5]),
    "tensor": torch.tensor(0.5),
    "tensor of one element": torch.tensor([0.5]),
    "bfloat16 with gradients": torch.tensor(0.5, dtype=torch.bfloat16, requires_grad=True),
    "Decimal": Decimal("0.5"),
    "Fraction": Fraction(1, 2),
    "other": Number(),
}


@pytest.mark.parametrize("score", NUMBERS.values(), ids=NUMBERS)
def test_scores_of_any_library_are_plain_numbers(score):
    """Reports are JSON, and margins are differences: both need numbers of Python."""
    for found in ([Passage("a", score=score)], [("a", score)], [{"text": "a", "score": score}]):
        (passage,) = passages_of(found, "mine")
        assert passage == Passage("a", score=0.5)
        assert type(passage.score) is float
    (passage,) = passages_of([Passage("a", distance=score)], "mine")
    assert (passage.score, passage.distance) == (-0.5, 0.5)
    assert type(passage.score) is type(passage.distance) is float


@pytest.mark.parametrize(
    ("score", "says"),
    [
        ("0.9", "a str: '0.9'; it must be a number"),
        (True, "a bool: True"),
        (np.True_, "a bool: "),
        (float("nan"), "nan; it must be a finite number"),
        (np.float32("inf"), "inf"),
        (Decimal("-Infinity"), "-inf"),
        (1j, "a complex"),
        (np.complex64(1), "a complex64"),
        (torch.tensor(1j), "a Tensor"),
        (np.ma.masked, "a MaskedConstant"),
        (np.array([0.5, 0.4]), r"a ndarray: \[0\.5 0\.4\]"),
        (torch.tensor([0.5, 0.4]), "a Tensor"),
        (torch.tensor(0.5, device="meta"), "a Tensor"),
        (10**400, "a int: 1000"),
        ([0.5], r"a list: \[0\.5\]"),
        (np.finfo(np.float32).max, r"3\.4028235e\+38, with which faiss fills places without a hit"),
    ],
)
@pytest.mark.parametrize("field", ["score", "distance"])
def test_scores_that_are_none_are_named_with_their_rank(field, score, says):
    """A text, NaN, an array, and what a library fills in: one error, with the rank of the passage."""
    with pytest.raises(EngineError, match=f"^mine returned at rank 2 a passage whose {field} is {says}"):
        passages_of(["a", Passage("b", **{field: score})], "mine")


LISTS = {
    "list": ["a", "b"],
    "tuple": ("a", "b"),
    "generator": (text for text in "ab"),
    "deque": deque("ab"),
    "values": {1: "a", 2: "b"}.values(),
    "array of texts": np.array(["a", "b"]),
}


@pytest.mark.parametrize("found", LISTS.values(), ids=LISTS)
def test_ordered_collections_are_lists(found):
    """Whatever has an order has a best one."""
    assert passages_of(found, "mine") == [Passage("a"), Passage("b")]


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (None, "None"),
        ("text", "a str: 'text'"),
        (b"text", "a bytes"),
        ({"answer": "a"}, "a dict: {'answer': 'a'}"),
        ({"a"}, "a set"),
        (SimpleNamespace(points=[]), "a SimpleNamespace"),
        ([("a", "b.md")], "at rank 1 a passage whose score is a str: 'b.md'"),
        ([("a", "b.md", 0.5)], r"at rank 1 a tuple: \('a', 'b\.md', 0\.5\)"),
        ((["a"], [0.5]), r"at rank 1 a list: \['a'\]"),
        ([None], "at rank 1 None"),
        ([MagicMock()], "at rank 1 a MagicMock"),
        ([{"text": None}], "at rank 1 a passage whose text is None"),
        ([Passage(b"a")], "at rank 1 a passage whose text is a bytes"),
        ([Passage("a", 7)], "at rank 1 a passage whose source is a int: 7"),
        (
            [Passage("a", page=0)],
            "at rank 1 a passage whose page is a int: 0; pages are whole numbers and count from 1",
        ),
        ([Passage("a", page=True)], "at rank 1 a passage whose page is a bool"),
        (
            [{"text": "a", "page": 1, "last_page": 2, "page_starts": 5}],
            "at rank 1 a passage whose page_starts is a int: 5; for each page after the first, up to last_page, it needs",
        ),
        *(
            ([Passage("one two", page=5, last_page=7, page_starts=starts)], r".* page_starts is a tuple: .*\(of 7\)")
            for starts in [(4,), (4, 5, 6), (4, 2), (-1, 2), (4, 8), (0.5, 2)]
        ),
        ([Passage("a", page=5, page_starts=(1,))], ".* page_starts is a tuple"),
        ([Passage("a", page=5, last_page=4)], "at rank 1 a passage whose last_page is 4 and whose page is 5"),
        ([Passage("a", last_page=4)], "at rank 1 a passage whose last_page is 4 and whose page is None"),
        ([Passage("a", page="3")], "at rank 1 a passage whose page is a str: '3'"),
        ([Passage("a", score=0.5, distance=0.5)], "at rank 1 a passage with both a score and a distance"),
        ([(Passage("a", score=0.5), 0.5)], "at rank 1 two scores"),
        ([Passage("a", score=0.5), Passage("b", distance=0.5)], "passages with a score beside others with a distance"),
    ],
)
def test_what_is_no_list_of_passages_is_named(found, says):
    """Whatever would be misread is an error that says what it is and what to return."""
    with pytest.raises(EngineError, match=rf"^mine returned {says}.*\. Return a list, best first, of Passage\("):
        passages_of(found, "mine")


def test_fields_are_plain():
    """NumPy's whole numbers and texts and paths are what Python has for them; what came from a user is left as it is."""
    given = Passage(np.str_("a"), PureWindowsPath("docs\\a.md"), np.int64(3), np.uint8(4), distance=0.5)
    (passage,) = passages_of([given], "mine")
    assert passage == Passage("a", "docs/a.md", 3, 4, -0.5, distance=0.5)
    assert (type(passage.text), type(passage.page)) == (str, int)
    assert given.score is None
    assert passages_of([passage], "mine") == [passage]


def test_answers_of_chroma_that_are_not_of_one_query():
    """Its answers hold a list for each query; one without texts, or of several queries, names the call to return."""
    for found in (
        {"ids": [["a"]], "documents": None, "distances": [[0.5]]},
        {"ids": [["a"], ["b"]], "documents": [["x"], ["y"]]},
        {"ids": ["a"], "documents": ["x"]},
    ):
        with pytest.raises(
            EngineError, match=r"(?s)is not the answer to one query with its texts\. Return collection\.q"
        ):
            passages_of(found, "mine")


@pytest.mark.parametrize(
    ("scores", "notes"),
    [
        ((0.9, 0.5, 0.5), ()),
        ((None, 0.5, 0.4), ()),
        ((0.5, 0.5, 0.5), ()),
        ((0.5, 0.9, 0.1), ("the best does not come first: rank 2 is better than rank 1 by its score.",)),
        ((0.9, 0.1, 0.5), ("the best does not come first: rank 3 is better than rank 2 by its score.",)),
        ((0.1, 0.1, 0.5), ("scores rise from rank to rank, as if",)),
    ],
)
def test_notes_on_the_order(scores, notes):
    """A list whose scores rise, somewhere or throughout, is noted."""
    found = notes_on([Passage(str(rank), score=score) for rank, score in enumerate(scores)], 3)
    assert len(found) == len(notes)
    assert all(one.startswith(wanted) for one, wanted in zip(found, notes, strict=True))


def test_notes_on_distances_that_fall():
    """A similarity that was declared a distance is noted as such."""
    passages = passages_of([Passage("a", distance=0.9), Passage("b", distance=0.1)], "mine")
    assert notes_on(passages, 2)[0].startswith("distances fall from rank to rank")


def test_notes_on_the_number_and_on_repetitions():
    """Fewer or more than were asked for, and the same passage twice; one of another page is another."""
    assert notes_on([], 2) == ("0 passages came back, 2 were asked for.",)
    assert notes_on([Passage("a", page=1), Passage("a", page=2)], 2) == ()
    assert notes_on([Passage("a", "s"), Passage("b"), Passage("a", "s")], 3) == (
        "the passage at rank 3 is the same as at rank 1.",
    )
    assert notes_on([Passage("a")] * 5 + [Passage("b")] * 3, 8) == (
        "4 passages, at ranks 2, 3, 4, …, are the same as at rank 1.",
        "2 passages, at ranks 7, 8, are the same as at rank 6.",
    )


@pytest.mark.parametrize("source", ["", " \n"])
def test_an_empty_name_is_no_document(source):
    """As where nothing is said: a document that must not come back may be behind it."""
    assert passages_of([Passage("a", source), {"text": "b", "source": source}], "mine") == [Passage("a"), Passage("b")]


def test_where_pages_begin_is_kept():
    """A passage of several pages says on which of them a text stands, also as a mapping."""
    given = {"text": "one two", "source": "a.pdf", "page": 1, "last_page": 2, "page_starts": [np.int64(4)]}
    assert passages_of([given], "mine")[0].pages == {1: (0, 4), 2: (4, 7)}

"""Answers of rerank APIs in each of their forms, and what can't be right in them."""

from __future__ import annotations

import pytest

from pytest_embedqa.encoders.engines.rerank_answers import read_scores

SORTED = [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.25}]


@pytest.mark.parametrize(
    "answer",
    [
        {"results": SORTED},
        {"object": "list", "data": SORTED},
        SORTED,
        {"results": [{"index": row["index"], "score": row["relevance_score"]} for row in SORTED]},
        {"results": [{**row, "document": {"text": "x"}} for row in SORTED], "meta": None},
    ],
)
def test_scores_come_in_the_order_of_the_documents(answer):
    """By index, under whichever of their names."""
    assert read_scores(answer, 2).rows.tolist() == pytest.approx([0.25, 0.9])


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [({"prompt_tokens": 7, "total_tokens": 9}, 7), ({"total_tokens": 9}, 9), ({"total_tokens": 0}, None), ("none", None), (None, None)],
)  # fmt: skip
def test_tokens_are_those_that_the_server_has_read(usage, tokens):
    """As far as it says so."""
    assert read_scores({"results": SORTED, "usage": usage}, 2).tokens == tokens


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"results": SORTED[:1]}, r"1 scores for 2 documents: the answer is cut, as by a top_n"),
        ({"results": []}, r"0 scores for 2 documents: the answer is cut"),
        ({"results": [*SORTED, SORTED[0]]}, r"3 scores with the indexes \[1, 0, 1\]… for 2 documents"),
        ({"results": [SORTED[0], SORTED[0]]}, r"2 scores with the indexes \[1, 1\]…"),
        ({"results": [{**SORTED[0], "index": 2}, SORTED[1]]}, r"2 scores with the indexes \[2, 0\]…"),
        ({"results": [{**SORTED[0], "index": -1}, SORTED[1]]}, r"2 scores with the indexes \[-1, 0\]…"),
        ({"results": [{**SORTED[0], "index": True}, SORTED[1]]}, r"without whole numbers as their 'index' \(\[true, 0\]\)"),
        ({"results": [{**SORTED[0], "index": 1.0}, SORTED[1]]}, r"without whole numbers as their 'index' \(\[1.0, 0\]\)"),
        ({"results": [{**SORTED[0], "relevance_score": [0.5]}, SORTED[1]]}, r"\[0.5\] instead of a score"),
        ({"results": [{**SORTED[0], "relevance_score": 1e300}, SORTED[1]]}, r"NaN or infinity as a score"),
        ({"results": {"0": 0.5}}, r"an object of results, and not a list of objects"),
        ({"scores": [0.5, 0.9]}, r"an object of scores, and not a list of objects"),
        ([0.5, 0.9], r"\[0.5, 0.9\], and not a list of objects with 'index'"),
        (None, r"null, and not a list of objects"),
    ],
)  # fmt: skip
def test_what_can_not_be_right_is_refused(answer, text):
    """With what came back; never by the order of the answer."""
    with pytest.raises(ValueError, match=text):
        read_scores(answer, 2)

"""Answers of retrievers become rankings of documents: by id or whole text, in the order in which they came back."""

from __future__ import annotations

import numpy as np
import pytest
import pytrec_eval
from datasets import Dataset

from pytest_embedqa.core.errors import DataError, EngineError
from pytest_embedqa.encoders.retrievers.passage import Passage
from pytest_embedqa.encoders.retrievers.returned import passages_of
from pytest_embedqa.quality.mteb.corpus import Corpus
from pytest_embedqa.quality.retrievers.answers import rankings_of

ROWS = [
    {"id": "d1", "title": "Returns", "text": "Send it back within 30 days."},
    {"id": "d2", "title": "", "text": "Shipping takes three days."},
    {"id": "d3", "title": "", "text": "Shipping takes three days."},
    {"id": "d4", "title": "", "text": "Closed on Mondays."},
]
CORPUS = Corpus(Dataset.from_list(ROWS))


def ranked(*answers, k=10):
    """Rank the answers to q0, q1, …, in any form."""
    read = {f"q{number}": passages_of(one, "mine", by_id=True) for number, one in enumerate(answers)}
    return rankings_of(read, CORPUS, "mine", k)


FORMS = {
    "ids": ["d1", "d4"],
    "pairs of id and score": [("d1", 0.9), ("d4", 0.5)],
    "scores by id": {"d4": 0.5, "d1": np.float32(0.9)},
    "mappings": [{"id": "d1", "score": 0.9}, {"_id": "d4", "score": 0.5}],
    "mappings with text": [
        {"doc_id": "d1", "text": "Send it", "score": 0.9},
        {"document_id": "d4", "text": "Closed", "score": 0.5},
    ],
    "passages": [Passage("Send it back", id="d1"), Passage("Closed", id="d4")],
    "names of documents": [Passage("Send it back", source="d1"), Passage("Closed", source="d4")],
    "whole texts, with their title and without": ["Returns\nSend it back  within 30 days.", "Closed on Mondays."],
    "texts without a title": [("Send it back within 30 days.", 3), ("Closed on Mondays.", 2)],
    "an answer of Chroma": {"ids": [["d1", "d4"]], "documents": None, "distances": [[0.1, 0.5]]},
    "an answer of Chroma with texts": {
        "ids": [["7", "8"]],
        "documents": [["Send it", "Closed"]],
        "metadatas": [[{"id": "d1"}, {"id": "d4"}]],
        "distances": [[0.1, 0.5]],
    },
}


@pytest.mark.parametrize("found", FORMS.values(), ids=FORMS)
def test_each_form_of_an_answer_names_its_documents(found):
    """Ids, names, metadata and whole texts lead to the same documents, in the order of the answer."""
    result = ranked(found, k=2)
    assert list(result.by_query["q0"]) == ["d1", "d4"]
    assert [note for note in result.notes if "scores" not in note] == []


def test_the_order_of_an_answer_is_what_trec_eval_sees():
    """Ties, rising scores, scores that differ only beyond single precision, or none: the order that came back counts."""
    answers = (
        [("d1", 1.0), ("d2", 1.0), ("d4", 1.0)],
        [("d1", 0.1), ("d2", 0.5), ("d4", 0.2)],
        [("d1", 1.000000002), ("d2", 1.000000001), ("d4", 1.0)],
        ["d1", "d2", "d4"],
        [("d1", 0.0), ("d2", 0.0), ("d4", -1.0)],
        [Passage("", id="d1", distance=0.2), Passage("", id="d2", distance=0.3), Passage("", id="d4", distance=0.3)],
    )
    result = ranked(*answers)
    for document, reciprocal in (("d1", 1.0), ("d2", 1 / 2), ("d4", 1 / 3)):
        qrels = {query: {document: 1} for query in result.by_query}
        found = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"}).evaluate(result.by_query)
        assert {round(one["recip_rank"], 6) for one in found.values()} == {round(reciprocal, 6)}
    assert result.by_query["q0"] == pytest.approx({"d1": 1, "d2": 1, "d4": 1}, abs=1e-6)


def test_scores_that_order_the_answer_stay_as_they_are():
    """A good answer is scored by its own scores, so that measures of confidence see them."""
    assert ranked([("d1", 0.75), ("d2", 0.5), ("d4", -2.0)]).by_query["q0"] == {"d1": 0.75, "d2": 0.5, "d4": -2.0}


@pytest.mark.parametrize(
    ("answers", "k", "says"),
    [
        ([[], ["d1"]], 1, "for 1 of 2 queries nothing came back, which scores 0: 'q0'."),
        ([["d1"], ["d1", "d2"]], 2, "for 1 of 2 queries fewer than the 2 passages asked for came back, and metrics see no more: 'q0'."),
        ([["d1", "d2", "d4"]], 2, "for 1 of 1 queries more than the 2 passages asked for came back, and the first 2 documents count:"),
        ([[("d1", 1), "d2"]], 2, "for 1 of 1 queries some passages have a score and others have none, so that the order alone counts:"),
        ([[("d1", 1), ("d2", 2)]], 2, "for 1 of 1 queries scores rise from rank to rank, as if the worst came first (a distance is Passage(text, distance=...)); the order counts:"),
        ([[("d1", 1), ("d2", 2), ("d4", 0)]], 3, "for 1 of 1 queries the best score does not come first; the order counts, not the score:"),
        ([[("d1", 1), ("d2", 1)]], 2, "for 1 of 1 queries equal scores came back; their order counts: 'q0'."),
        ([[Passage("Send it", id="d1"), Passage("back", id="d1")]], 2, "1 passage is of documents that came back before: a document has the rank of its best passage."),
        ([["d1", "d1", "d1", "d2"]], 4, "2 passages are of documents that came back before"),
    ],
)  # fmt: skip
def test_what_is_odd_is_noted(answers, k, says):
    """An oddity that decides the ranking is told once, with the number of queries that have it."""
    assert [note for note in ranked(*answers, k=k).notes if note.startswith(says)]


def test_a_good_answer_has_no_notes():
    """Nothing is said of answers that leave no question."""
    assert ranked([("d1", 0.9), ("d2", 0.5)], [("d4", 0.9), ("d1", 0.8)], k=2).notes == []


def test_no_more_than_k_documents_count():
    """The rest is cut, after several passages of a document have become one."""
    assert list(ranked(["d1", "d1", "d2", "d4"], k=2).by_query["q0"]) == ["d1", "d2"]
    assert ranked([]).by_query == {"q0": {}}


def test_equal_texts_stand_for_one_document_each():
    """Of two documents with the same text, the first passage is of the one, and the second of the other."""
    text = "Shipping takes three days."
    assert list(ranked([text, "d1", text]).by_query["q0"]) == ["d2", "d1", "d3"]
    assert list(ranked([text]).by_query["q0"]) == ["d2"]
    assert list(ranked([Passage(text, id="d3")]).by_query["q0"]) == ["d3"]


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (["d9"], r"^mine returned for the query 'q0' at rank 1 the text 'd9', which belongs to none of the 4 documents of the task\. A document"),
        (["d1", ("Send it back", 1)], r"at rank 2 the text 'Send it back', which belongs to none .*Passage\(text, id=\.\.\.\), a mapping with \"id\", metadata"),
        ([{"id": "17", "text": "Send it back"}, "x", "y"], r"at rank 1 the id '17' and the text 'Send it back', .*task \(3 of 3 passages belong to none\)"),
        ([Passage("Send it", source="returns.md")], r"the source 'returns.md' and the text 'Send it'"),
        ([{"id": "d4", "text": "Send it back within 30 days."}], r"at rank 1 the id 'd4' with the text of the document 'd1': 'Send it back .*number of a row"),
    ],
)  # fmt: skip
def test_what_is_of_no_document_is_an_error(found, says):
    """Query, rank and passage are named, and what would name its document."""
    with pytest.raises(DataError, match=says):
        ranked(found)


def test_a_part_of_a_document_may_be_the_whole_text_of_another():
    """A named passage that its document holds is no contradiction."""
    rows = [*ROWS, {"id": "d5", "title": "", "text": "30 days"}]
    read = {"q0": passages_of([{"id": "d1", "text": "30 days"}], "mine", by_id=True)}
    found = rankings_of(read, Corpus(Dataset.from_list(rows)), "mine", 1)
    assert list(found.by_query["q0"]) == ["d1"]


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ([17], r"mine returned at rank 1 a int: 17\. Return a list, best first, of ids, of pairs \(id, score\)"),
        ([{"id": 17}], r"a passage whose id is a int: 17; an id is a text, and the number of a row is none"),
        ([{"score": 1.0}], r"mine returned at rank 1 a dict: \{'score': 1\.0\}"),
        ([("d1", float("nan"))], r"a passage whose score is nan; it must be a finite number"),
        ([("d1", 3.4028235e38)], r"with which faiss fills places without a hit"),
        ([Passage("", id="")], r"a passage whose id is a str: ''"),
        ("d1", r"mine returned a str: 'd1'\. Return a list"),
        (None, r"mine returned None\. Return a list"),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_an_error(found, says):
    """A number of a row, a score that is none and a bare text are refused, with the accepted forms."""
    with pytest.raises(EngineError, match=says):
        ranked(found)


def test_probes_still_need_texts():
    """Where passages are judged by their text, an id alone is none, and neither is a mapping of scores."""
    for found in ([{"id": "d1", "score": 1.0}], {"d1": 1.0}):
        with pytest.raises(EngineError):
            passages_of(found, "mine")
    (passage,) = passages_of([{"id": "d1", "text": "Send it back"}], "mine")
    assert passage == Passage("Send it back", id="d1")

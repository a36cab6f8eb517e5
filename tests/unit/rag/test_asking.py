"""Asking any retriever, and what it may return."""

from __future__ import annotations

import pytest

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.rag.asking import Asker, name_of, whereabouts
from pytest_embedqa.rag.choices import Retrieval
from pytest_embedqa.rag.passage import Passage
from pytest_embedqa.rag.probe import Expect, Pattern, Probe
from pytest_embedqa.rag.retrieval import build_chain

PROBE = Probe("p", "q", Expect((Pattern("late"), Pattern("never"))))


class Shelf:
    """A retriever that knows how many passages it has, and finds them in order."""

    size = 4

    def __call__(self, query, k):  # noqa: ARG002
        """The first so many."""
        return [Passage(text) for text in ("early", "middle", "later", "late as can be")][:k]


def test_a_retriever_may_return_passages_mappings_and_texts():
    """Pipelines need no class of ours: texts and mappings with a passage's fields will do."""

    def mine(query, k):
        return [Passage("a"), {"text": "b", "source": "s.md", "page": 3, "score": 0.5}, "c", "d"]

    answer = Asker().ask(mine, PROBE, 3)
    assert answer.passages == (Passage("a"), Passage("b", "s.md", 3, score=0.5), Passage("c"))


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "mine returned a NoneType, but must return a list of passages."),
        ("text", "mine returned a str, but must return a list of passages."),
        ([3], "mine returned a int among its passages: 3."),
        ([{"text": "a", "pages": 3}], "mine returned a dict among its passages: {'text': 'a', 'pages': 3}."),
        ([{"body": "a"}], "A passage is Passage(text, source=, page=, score=)"),
    ],
)
def test_what_is_no_passage_is_named(returned, message):
    """A wrong return value is an error that names the retriever, what it gave, and what a passage is."""

    def mine(query, k):
        return returned

    with pytest.raises(EngineError) as error:
        Asker().ask(mine, PROBE, 3)
    assert message in str(error.value)


def test_time_is_measured_only_where_it_is_limited_and_anew_while_it_is_too_long():
    """One slow call does not fail a probe; a slow retriever does. The query is encoded anew for it."""
    calls = []

    class Timed(Shelf):
        def fresh(self):
            calls.append("fresh")
            return lambda *_: calls.append("timed")

    assert Asker().ask(Timed(), PROBE, 1).milliseconds is None
    assert calls == []
    limited = Probe("p", "q", max_latency_ms=1e-9)
    assert Asker().ask(Timed(), limited, 1).too_slow
    assert calls == ["fresh", "timed", "timed", "timed"]
    assert not Asker().ask(Timed(), Probe("p", "q", max_latency_ms=1000), 1).too_slow
    assert len(calls) == 6


def test_where_the_answer_is_instead():
    """What did not come back is looked for beyond the k passages, and in the whole corpus."""
    assert whereabouts(Shelf(), Asker().ask(Shelf(), PROBE, 2)) == [
        "'late' is at rank 3 of 4 passages.",
        "'never' is in none of the 4 passages: check its text, or how documents are cut.",
    ]
    assert whereabouts(lambda *_: [], Asker().ask(Shelf(), PROBE, 2)) == []

    class Some(Shelf):
        size = 9

    assert (
        whereabouts(Some(), Asker().ask(Some(), PROBE, 2))[1]
        == "'never' is not among the 4 of 9 passages that are found at all."
    )


def test_each_try_is_asked_and_judged_anew():
    """A pipeline that may answer otherwise the next time is asked each time, whatever it is called."""
    asked = []

    def mine(query, k):
        asked.append((query, k))
        return ["late"] if len(asked) > 1 else ["early"]

    asker, probe = Asker(), Probe("p", "q", Expect((Pattern(contains="late"),)))
    assert [asker.ask(mine, probe, 2).holds for _ in range(3)] == [False, True, True]
    assert asked == [("q", 2)] * 3


def test_what_the_own_chain_finds_is_kept_and_judged_anew():
    """The index of a chain can't change: it is searched once for a question; each expectation is judged by itself."""
    chain = build_chain([Passage("early bread"), Passage("late bread")], Retrieval("bm25"), None)
    searched = []
    chain._search = lambda query, k, search=chain._search: searched.append((query, k)) or search(query, k)
    asker = Asker()

    def holds(text, question="bread", k=2):
        return asker.ask(chain, Probe("p", question, Expect((Pattern(contains=text),))), k).holds

    assert [holds("late"), holds("never"), holds("late")] == [True, False, True]
    assert searched == [("bread", 2)]
    assert [holds("late", k=1), holds("late", "late")] == [False, True]
    assert searched == [("bread", 2), ("bread", 1), ("late", 2)]


def test_names_of_retrievers():
    """A function, an object and one with a name of its own can be told apart in reports."""

    def mine(query, k):
        return []

    shelf = Shelf()
    assert (name_of(mine), name_of(shelf)) == ("mine", "Shelf")
    shelf.name = "my chain"
    assert name_of(shelf) == "my chain"

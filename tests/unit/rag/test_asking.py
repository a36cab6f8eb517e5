"""Asking any retriever, and what it may return."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.retrievers.callables import name_of, require_callable
from pytest_embedqa.encoders.retrievers.passage import Passage
from pytest_embedqa.rag.asking import Asker
from pytest_embedqa.rag.choices import Retrieval
from pytest_embedqa.rag.probe import Expect, Pattern, Probe
from pytest_embedqa.rag.retrieval import Chain, build_chain

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
        (None, "mine returned None. Return a list, best first, of Passage(text, source=, page=, score=)"),
        ("text", "mine returned a str: 'text'."),
        ([3], "mine returned at rank 1 a int: 3."),
        (["a", {"text": "a", "pages": 3}], "mine returned at rank 2 a dict: {'text': 'a', 'pages': 3}."),
        ([{"body": "a"}], "of mappings with these keys"),
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

    class Timed(Chain):
        scale = "BM25"

        def __init__(self):
            """Without an index."""

        def __call__(self, *_):
            return []

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


def test_asynchronous_and_lazy_retrievers_are_waited_for():
    """A coroutine, a generator of either kind, and an object whose call is a coroutine give passages like a function."""

    async def later(query, k):
        await asyncio.sleep(0)
        return ["late"]

    def lazily(query, k):
        yield "late"

    async def later_and_lazily(query, k):
        await asyncio.sleep(0)
        yield "late"

    class Client:
        async def __call__(self, query, k):  # noqa: ARG002
            return ["late"]

    asker, others = Asker(), set(threading.enumerate())
    for mine in (later, lazily, later_and_lazily, Client()):
        assert asker.ask(mine, PROBE, 1).passages == (Passage("late"),)
    (waiting,) = set(threading.enumerate()) - others
    asker.close()
    waiting.join(5)
    assert not waiting.is_alive()


def test_the_time_of_a_lazy_retriever_is_that_of_its_passages():
    """What is found while a generator runs, or a coroutine, counts."""

    def lazily(query, k):
        time.sleep(0.02)
        yield "late"

    async def later(query, k):
        await asyncio.sleep(0.02)
        return ["late"]

    limited = Probe("p", "q", max_latency_ms=15)
    assert Asker().ask(lazily, limited, 1).milliseconds >= 20
    assert Asker().ask(later, limited, 1).milliseconds >= 20


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (None, "returned a NoneType, which can't be called. It returns a callable, as in: lambda query, k: "),
        (["a"], "returned a list, which can't be called."),
        (lambda query: [query], r"returned a function, which takes no \(query, k\): too many positional"),
    ],
)
def test_what_can_not_be_asked_is_named(given, says):
    """A fixture that returns nothing, or a function of another form, is an error that shows the form."""
    with pytest.raises(EngineError, match=f"The fixture 'retriever' {says}"):
        require_callable(given)


def test_a_callable_without_a_signature_is_asked():
    """What is written in C may not say its parameters: it is called all the same."""
    with pytest.raises(EngineError, match="max returned a int: 2"):
        Asker().search(max, 2, 1)


def test_what_is_odd_is_noted_and_decides_nothing():
    """Too few, too many, the same twice or a wrong order: the first k are judged, and notes say it; none for our chain."""
    answer = Asker().ask(lambda *_: ["late", "never", "late"], PROBE, 2)
    assert answer.holds
    assert answer.passages == (Passage("late"), Passage("never"))
    assert answer.notes == (
        "3 passages came back, 2 were asked for: the first 2 are judged.",
        "the passage at rank 3 is the same as at rank 1.",
    )
    assert Asker().ask(build_chain([Passage("late")], Retrieval("bm25"), None), PROBE, 2).notes == ()


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
    chain._stage = lambda query, k, search=chain._stage: searched.append((query, k)) or search(query, k)
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
    for name, shown in [
        ("my chain", "my chain"),
        ("my\nchain ", "my chain"),
        (" ", "Shelf"),
        (5, "Shelf"),
        (mine, "Shelf"),
    ]:
        shelf.name = name
        assert name_of(shelf) == shown

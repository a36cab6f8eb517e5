"""What came back, against what was expected."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.core.verdict import Outcome
from pytest_embedqa.encoders.retrievers.passage import Passage
from pytest_embedqa.rag.folding import comparable
from pytest_embedqa.rag.judging import judge, snippet_of, unanswered
from pytest_embedqa.rag.probe import Expect, PageSpan, Pattern, Probe, Reject

PASSAGES = [
    Passage("The limit is 1000 requests a second.", "old/api.md", 2, 2, 0.9),
    Passage("每秒 最多\n100 次 请求", "api.pdf", 3, 4, 0.8, (6,)),
    Passage("Contact the team.", "team.md", score=0.5),
]


def probe(*pieces, reject=(), span=None, **more):
    """A probe that expects these pieces."""
    return Probe("p", "q", Expect(pieces, span) if pieces else None, tuple(reject), **more)


def test_a_passage_that_is_all_of_it():
    """Text, document and page must be of one passage; the rank is its own."""
    answer = judge(probe(Pattern("每秒最多100次", source="api.pdf", page=(4,))), PASSAGES)
    assert answer.holds
    assert (answer.rank, answer.recall) == (2, 1.0)


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        (Pattern("100次", page=(7,)), "the text of '100次' on page 7 came back at rank 2, but from api.pdf page 4."),
        (Pattern("100次", source="api.md"), "the text of '100次' in api.md came back at rank 2, but from api.pdf page 4."),
        (Pattern("100次", rank=1), "'100次' came back at rank 2; rank 1 or better was expected."),
        (Pattern("200次"), "'200次' is not among the 3 passages that came back."),
        (Pattern("team", page=(1,)), "the text of 'team' on page 1 came back at rank 3, but from team.md. That document has no pages, or the retriever does not say them: leave page out."),
        (Pattern(source="faq.md"), "a passage in faq.md is not among the 3 passages that came back."),
        (Pattern(any_of=("x", "y")), "'x' or 'y' is not among the 3 passages that came back."),
        (Pattern(regex=r"\d{5}"), r"/\d{5}/ is not among the 3 passages that came back."),
    ],
)  # fmt: skip
def test_what_is_missing_is_said(pattern, sentence):
    """The right text from the wrong page, document or rank is told from a text that did not come."""
    answer = judge(probe(pattern), PASSAGES)
    assert not answer.holds
    assert answer.missing == (sentence,)
    assert answer.recall == 0.0


def test_nothing_came_back():
    """An empty answer is a miss, not an error."""
    answer = judge(probe(Pattern("x")), [])
    assert answer.missing == ("'x': nothing came back.",)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        (Pattern("THE LIMIT"), True),
        (Pattern("limit  is\n1000"), True),
        (Pattern(regex="The limit"), True),
        (Pattern(regex="the limit"), False),  # a pattern means its case
        (Pattern(any_of=("none", "1000 requests")), True),
        (Pattern("limit", any_of=("none",)), False),
        (Pattern("limit", source="api.md"), True),
        (Pattern("limit", source="pi.md"), False),  # the end of a path, not of a name
        (Pattern("１０００"), True),  # full-width digits
    ],
)
def test_how_texts_are_compared(pattern, found):
    """Case, white space and compatibility forms make no difference to a text; a source is the end of a path."""
    assert pattern.matches(PASSAGES[0]) is found


@given(st.text("计算。，Aa 1\n\t", max_size=20), st.text("计算。，Aa 1", max_size=5))
def test_line_breaks_inside_chinese_make_no_difference(text, piece):
    """A text is found however its Chinese part is broken into lines."""
    broken = "\n".join(text)
    if comparable(text).isascii():
        return
    assert comparable("计" + "\n".join("算法") + text) == comparable("计算法" + text)
    assert comparable(piece) in comparable(text + piece) or not piece.strip() or broken


def test_all_pieces_must_come_and_lie_apart():
    """all_of counts each piece, and page_span the pages between those that answer."""
    passages = [
        Passage("first", "a.pdf", 5, 5),
        Passage("se cond", "a.pdf", 24, 25, page_starts=(3,)),
        Passage("x", "b.pdf", 90),
    ]
    pieces = Pattern("first"), Pattern("se cond")
    assert judge(probe(*pieces, span=PageSpan(">", 19)), passages).holds
    near = judge(probe(*pieces, span=PageSpan(">", 20)), passages)
    assert near.missing == ("page_span >20: the passages that answer lie 20 pages apart.",)
    part = judge(probe(*pieces, Pattern("third")), passages)
    assert part.recall == pytest.approx(2 / 3)
    assert judge(probe(*pieces, span=PageSpan("<=", 20)), passages).holds


ON_THREE_PAGES = Passage("“One” ends.\n10² ﬁts. It runs\nover. Three.", "a.pdf", 1, 3, page_starts=(12, 28))


@pytest.mark.parametrize(
    ("pattern", "pages"),
    [
        (Pattern('"one"'), [1]),
        (Pattern("fits"), [2]),
        (Pattern("10²"), [2]),
        (Pattern("ends. 10²"), [1, 2]),
        (Pattern("runs over"), [2, 3]),
        (Pattern("Three"), [3]),
        (Pattern(any_of=("nowhere", "three")), [3]),
        (Pattern(any_of=("three", "one")), [1, 3]),
        (Pattern(regex=r"Th\w+\.$"), [3]),
        (Pattern(regex=r"^.One."), [1]),
        (Pattern(regex=r"runs\b.*Three"), [2, 3]),
        (Pattern("fits", regex="Three"), []),
        (Pattern(source="a.pdf"), [1, 2, 3]),
    ],
)
def test_a_text_is_on_the_page_on_which_it_stands(pattern, pages):
    """Of a passage over several pages, a page holds only for the text that it shows; a text over its end is on both."""
    assert [page for page in range(5) if replace(pattern, page=(page,)).matches(ON_THREE_PAGES)] == pages
    assert [page for page in range(5) if replace(pattern, page=(page,)).matches(ON_THREE_PAGES, lenient=True)] == pages
    assert pattern.pages_in(ON_THREE_PAGES) == pages


def test_an_empty_page_shows_nothing():
    """A sentence that goes on behind an empty page is not on that."""
    passage = Passage("It runs over.", "a.pdf", 1, 3, page_starts=(8, 8))
    assert Pattern("runs over").pages_in(passage) == [1, 3]


def test_a_long_passage_is_no_span():
    """A passage over many pages whose text stands on one of them does not make the answer lie far apart."""
    answer = judge(probe(Pattern("fits"), span=PageSpan(">", 1)), [ON_THREE_PAGES])
    assert answer.missing == ("page_span >1: the passages that answer lie 0 pages apart.",)
    assert judge(probe(Pattern("one"), Pattern("three"), span=PageSpan(">", 1)), [ON_THREE_PAGES]).holds


def test_a_passage_that_does_not_say_where_its_pages_begin():
    """In doubt a page is neither met nor stays out, unless all pages that the passage may show it on are asked for."""
    passage = replace(ON_THREE_PAGES, page_starts=())
    hint = " It is of several pages, and does not say where each begins: let the retriever give page_starts"
    expected = judge(probe(Pattern("fits", page=(2,))), [passage])
    assert expected.missing == (
        f"the text of 'fits' on page 2 came back at rank 1, but from a.pdf page 1-3.{hint}, or leave page out.",
    )
    assert judge(probe(Pattern("fits", page=(1, 2, 3))), [passage]).holds
    assert not judge(probe(reject=[Reject(Pattern("fits", page=(2,)))]), [passage]).holds
    assert judge(probe(reject=[Reject(Pattern("fits", page=(4,)))]), [passage]).holds
    span = judge(probe(Pattern("fits"), span=PageSpan(">", 1)), [passage])
    assert span.missing == (f"page_span >1: no passage that answers has a page.{hint}.",)


def test_pages_of_different_documents_are_not_compared():
    """Page 1 of one document and page 90 of another are not 89 pages apart."""
    passages = [Passage("first", "a.pdf", 1), Passage("second", "b.pdf", 90)]
    answer = judge(probe(Pattern("first"), Pattern("second"), span=PageSpan(">", 15)), passages)
    assert answer.missing == ("page_span >15: the passages that answer lie 0 pages apart.",)
    unpaged = judge(probe(Pattern("first"), span=PageSpan(">", 1)), [Passage("first")])
    assert unpaged.missing == ("page_span >1: no passage that answers has a page.",)


def test_what_is_rejected_must_not_come_back():
    """Without a margin it must not be there at all, or not among the best so many."""
    answer = judge(probe(Pattern("100次"), reject=[Reject(Pattern("1000"))]), PASSAGES)
    assert answer.intruders == ("'1000' must not come back, and is at rank 1 (old/api.md page 2).",)
    assert not answer.holds
    assert judge(probe(reject=[Reject(Pattern("team", rank=2))]), PASSAGES).holds
    assert not judge(probe(reject=[Reject(Pattern("team", rank=3))]), PASSAGES).holds


def test_a_margin_lets_it_come_back_far_behind():
    """With a margin, scores are compared: the expected passage must lead by that much."""
    expected = Pattern("100次")
    assert judge(probe(expected, reject=[Reject(Pattern("team"), 0.3)]), PASSAGES).holds
    close = judge(probe(expected, reject=[Reject(Pattern("team"), 0.31)]), PASSAGES)
    assert close.intruders == (
        "'team' at rank 3 (team.md) scores 0.5000, the expected passage scores 0.8000: a margin of 0.31 is required, but it is +0.3000.",
    )
    ahead = judge(probe(expected, reject=[Reject(Pattern("1000"), 0.0)]), PASSAGES)
    assert "it is -0.1000" in ahead.intruders[0]
    absent = judge(probe(Pattern("none"), reject=[Reject(Pattern("1000"), 0.0)]), PASSAGES)
    assert "The expected passage, which it may follow, is not there." in absent.intruders[0]


def test_a_passage_that_is_expected_and_rejected():
    """It can't lie behind itself: the sentence says what to change."""
    answer = judge(probe(Pattern("100次"), reject=[Reject(Pattern("请求"), 0.1)]), PASSAGES)
    assert "It is in the expected passage itself: cut documents smaller" in answer.intruders[0]


def test_a_margin_needs_scores():
    """A retriever without scores can't be asked for a margin: an error, not a pass."""
    passages = [Passage("good"), Passage("bad")]
    with pytest.raises(EngineError, match=r"margin compares scores, but the passage at rank 1 has none\. Let the ret"):
        judge(probe(Pattern("good"), reject=[Reject(Pattern("bad"), 0.1)]), passages)
    with pytest.raises(EngineError, match="at rank 2 has none"):
        judge(
            probe(Pattern("good"), reject=[Reject(Pattern("bad"), 0.1)]), [replace(passages[0], score=0.9), passages[1]]
        )


@pytest.mark.parametrize(
    ("texts", "scores"),
    [("bad good", (0.1, 0.9)), ("good bad", (0.1, 0.9)), ("bad good other", (0.1, 0.9, 0.5))],
)
def test_a_margin_is_not_taken_of_scores_that_contradict_the_order(texts, scores):
    """Scores that rise may be distances, and the wrong text the nearest: an error that says how to declare them."""
    passages = [Passage(text, score=score) for text, score in zip(texts.split(), scores, strict=True)]
    with pytest.raises(
        EngineError, match=r"contradict its order: rank 1 scores 0\.1000, rank 2 scores 0\.9000\. .*distance="
    ):
        judge(probe(Pattern("good"), reject=[Reject(Pattern("bad"), 0.05)]), passages)


def test_a_margin_of_distances():
    """It is how much farther the rejected passage is than the expected one."""
    near, far = Passage("good", score=-0.1, distance=0.1), Passage("bad", score=-0.5, distance=0.5)
    asked = probe(Pattern("good"), reject=[Reject(Pattern("bad"), 0.41)])
    assert judge(probe(Pattern("good"), reject=[Reject(Pattern("bad"), 0.39)]), [near, far]).holds
    (intruder,) = judge(asked, [near, far]).intruders
    assert "has distance 0.5000" in intruder
    assert "the expected passage has distance 0.1000: a margin of 0.41 is required, but it is +0.4000." in intruder
    behind = [replace(far, distance=0.1, score=-0.1), replace(near, distance=0.5, score=-0.5)]
    assert "it is -0.4000" in judge(asked, behind).intruders[0]


def test_time_is_a_bound_of_its_own():
    """A right answer that comes too late does not hold."""
    slow = judge(probe(Pattern("team"), max_latency_ms=100), PASSAGES, 130.0)
    assert not slow.holds
    assert [(one.measure, one.outcome) for one in slow.verdicts("m")] == [
        ("found", Outcome.PASS),
        ("latency_ms", Outcome.FAIL),
    ]
    assert judge(probe(Pattern("team"), max_latency_ms=100), PASSAGES, 99.0).holds


def test_each_part_has_its_verdict():
    """Expected, rejected and time are judged apart, with the value that was measured."""
    whole = judge(
        probe(Pattern("100次"), Pattern("none"), reject=[Reject(Pattern("1000"))], max_latency_ms=9), PASSAGES, 1
    )
    found, rejected, latency = whole.verdicts("model")
    assert (found.value, found.bound, found.outcome) == (0.5, 1.0, Outcome.FAIL)
    assert (rejected.value, rejected.bound, rejected.outcome) == (1.0, 0.0, Outcome.FAIL)
    assert rejected.at_most
    assert (latency.value, latency.bound, latency.outcome) == (1, 9, Outcome.PASS)


def test_a_snippet_shows_what_was_looked_for():
    """Of a long passage, the piece around the expected text is shown, in one line."""
    passage = Passage("word " * 100 + "the answer\nis here " + "word " * 100)
    shown = snippet_of(passage, probe(Pattern("the answer is")))
    assert "the answer is here" in shown
    assert "\n" not in shown
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert len(shown) < 100


def test_a_snippet_shows_what_people_read():
    """The place is found where the document has other quotes and invisible characters than the probe."""
    passage = Passage("word " * 100 + "you don’t pay post\u00adage here " + "word " * 100)
    assert "don’t pay post\u00adage" in snippet_of(passage, probe(Pattern("don't pay postage")))


@pytest.mark.parametrize("typed", ["don't ship", "Donaudampfschiff", "T-100", "30-60 days", "CO2"])
def test_what_is_rejected_is_recognised_as_people_read_it(typed):
    """A document set by a word processor, with what a keyboard writes: not seeing it would be a false pass."""
    text = "We don’t ship the Donau\u00addampf\u00adschiff T\u2011100 with CO₂ in 30–60 days."
    assert not judge(probe(reject=[Reject(Pattern(typed))]), [Passage(text)]).holds
    assert not judge(probe(reject=[Reject(Pattern(any_of=("none", typed)))]), [Passage(text)]).holds
    assert not judge(probe(reject=[Reject(Pattern(regex=typed))]), [Passage(text)]).holds
    assert judge(probe(Pattern(typed)), [Passage(text)]).holds


def test_in_doubt_a_rejection_does_not_hold_and_an_expectation_neither():
    """What only some readers take for the same, or what a passage does not say, is never a pass."""
    unvowelled = Pattern("كتاب")
    assert not judge(probe(unvowelled), [Passage("كِتَاب")]).holds
    assert not judge(probe(reject=[Reject(unvowelled)]), [Passage("كِتَاب")]).holds
    here = Pattern("team", source="team.md", page=(3,))
    unpaged, unnamed = Passage("team", "team.md"), Passage("team", page=3)
    assert not judge(probe(here), [unpaged, unnamed]).holds
    (sentence,) = judge(probe(reject=[Reject(here)]), [unpaged]).intruders
    assert sentence == (
        "'team' in team.md on page 3 must not come back, and is at rank 1 (team.md). "
        "That document has no pages, or the retriever does not say them: leave page out."
    )
    (sentence,) = judge(probe(reject=[Reject(here)]), [unnamed]).intruders
    assert sentence == (
        "'team' in team.md on page 3 must not come back, and is at rank 1 (an unnamed document page 3). "
        "It does not say from which document it is: leave source out, or let the retriever say it."
    )
    assert judge(probe(reject=[Reject(here)]), [Passage("team", "other.md"), Passage("team", "team.md", 4)]).holds


def test_a_page_alone_of_passages_without_pages():
    """The sentence says that there are none."""
    (missing,) = judge(probe(Pattern(page=(3,))), [Passage("a", "a.md")]).missing
    assert missing.endswith("That document has no pages, or the retriever does not say them: leave page out.")


FIVE = [
    Passage("other", "a.pdf", 1, score=0.9),
    Passage("the answer", "old/b.pdf", 2, score=0.8),
    Passage("the answer", "a.pdf", 12, 13, score=0.7, page_starts=(10,)),
    Passage("stale", "c.md", score=0.65),
    Passage("nameless"),
]


@pytest.mark.parametrize(
    ("asked", "passages", "words"),
    [
        (probe(Pattern("the answer")), FIVE, ""),
        (probe(Pattern("the answer", rank=1)), FIVE, "rank 2, not in the top 1"),
        (probe(Pattern("the answer", source="c.md")), FIVE, "wrong source: old/b.pdf"),
        (probe(Pattern("the answer", source="a.pdf", page=(3,))), FIVE, "wrong page: 12-13"),
        (probe(Pattern("nameless", source="a.pdf")), FIVE, "source unknown"),
        (probe(Pattern("stale", page=(3,))), FIVE, "page unknown"),
        (probe(Pattern(source="d.md")), FIVE, "source or page unknown"),
        (probe(Pattern("none")), FIVE, "not found"),
        (probe(Pattern(source="d.md")), FIVE[:4], "not found"),
        (probe(Pattern("none")), [], "nothing came back"),
        (probe(Pattern("the answer"), Pattern("stale", rank=1)), FIVE, "1 of 2 as expected"),
        (probe(Pattern("other"), Pattern("the answer", source="a.pdf"), span=PageSpan(">", 15)), FIVE, "11 pages apart, not >15"),
        (probe(Pattern("stale"), span=PageSpan(">", 15)), FIVE, "no pages to compare"),
        (probe(Pattern("the answer"), reject=[Reject(Pattern("stale"))]), FIVE, "rejected text came back"),
        (probe(Pattern("none"), reject=[Reject(Pattern("stale"), 0.1)]), FIVE, "rejected text came back"),
        (probe(Pattern("the answer"), reject=[Reject(Pattern("stale"), 0.2)]), FIVE, "margin +0.1500, not 0.2"),
        (probe(Pattern("the answer"), reject=[Reject(Pattern("the"), 0.2)]), FIVE[1:2], "with rejected text"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_few_words(asked, passages, words):
    """A table says of each miss what it was: too late, from elsewhere, not there; it fits into its column."""
    assert judge(asked, passages).in_short == words
    assert len(words) <= 27


def test_a_retriever_that_failed_gave_no_answer():
    """It is not said that nothing came back."""
    assert unanswered(probe(Pattern("x")), "the server is gone").in_short == "no answer: an error"

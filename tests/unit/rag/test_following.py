"""Which stage lost an expected passage: each is broken in turn, and named with the rank at each stage and a remedy."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from pytest_embedqa.core.errors import EngineError, SpecError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.engine import Limits
from pytest_embedqa.encoders.prompts import Prompts
from pytest_embedqa.encoders.retrievers.passage import Passage
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.rag.asking import Asker
from pytest_embedqa.rag.blame import INDEX, counted
from pytest_embedqa.rag.choices import Retrieval
from pytest_embedqa.rag.following import losses, losses_of_live
from pytest_embedqa.rag.probe import Expect, Pattern, Probe, Reject
from pytest_embedqa.rag.retrieval import build_chain
from pytest_embedqa.rag.stages import WordStage

from .test_kinds import bag

QUESTION = "bread"
SIZE = 40


class Numbers:
    """An engine that reads the cosine to any question from a text: ``... =0.9``; a question has cosine 1."""

    prompts = None
    counts_tokens = True
    limits = Limits(batch_tokens=100_000, batch_size=1000)
    identity = Identity(model="numbers", engine="st", max_length=64, similarity="cosine")

    def embed(self, texts):
        """Vectors in a plane; ``wrong:`` before a question turns it."""
        cosines = np.array(
            [-1.0 if text.startswith("wrong:") else float(([*text.split("="), "1"])[1]) for text in texts]
        )
        return np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1).astype(np.float32)

    def lengths(self, texts):
        """Words."""
        return [len(text.split()) for text in texts]

    def close(self):
        """Nothing is held."""


def encoder(**more):
    """An encoder of numbers."""
    return Encoder(Numbers(), None, spec=parse_spec("st:numbers"), **more)


class Index:
    """A real index: exact, but for what it loses."""

    def __init__(self, lost=(), most=None):
        """Lose some rows, or give a few hits only."""
        self.lost, self.most = {str(row) for row in lost}, most

    def build(self, vectors, ids):
        """Keep both."""
        self.vectors, self.ids = vectors, ids

    def search(self, queries, k):
        """All but what is lost."""
        orders = np.argsort(-(queries @ self.vectors.T), axis=1, kind="stable")
        return [
            [self.ids[row] for row in order if self.ids[row] not in self.lost][: self.most or k] for order in orders
        ]


def corpus(answer="the answer", *, at=0, by_words=0, shared=True, alike=False):
    """Passages of which the answer is the so-many-th by meaning, and by words; the others in turned orders, or in one."""

    def passage(name, by_meaning, by_words):
        words = SIZE - by_words
        text = f"{'bread ' * words}{'and ' * (SIZE - words)}{name} ={0.9 - by_meaning / 100:.2f}"
        return Passage(text, f"{name.split()[-1]}.md")

    others = range(SIZE - 1)
    meaning = [row for row in range(SIZE) if row != at]
    words = [row for row in range(SIZE) if row != by_words]
    made = [passage(f"passage {row}", meaning[row], words[row if alike else -1 - row]) for row in others]
    return [*made, passage(answer, at, by_words if shared else SIZE)]


def lost(passages, retrieval, model=None, *, index=None, **asked):
    """The one loss of a probe on the answer."""
    made = None if index is None else (lambda *_: index)
    return lost_by(build_chain(passages, retrieval, model or encoder(), index_of=made), **asked)


def lost_by(chain, k=2, piece=None):
    """The one loss of a probe that asks a chain."""
    probe = Probe("p", QUESTION, Expect((piece or Pattern("the answer"),)))
    answer = Asker().ask(chain, probe, k)
    assert answer.ranks == (None,), answer.passages
    (loss,) = losses(chain, answer, k)
    return loss


def test_what_holds_is_lost_nowhere():
    """A piece that came back is not followed."""
    chain = build_chain(corpus(), Retrieval(), encoder())
    answer = Asker().ask(chain, Probe("p", QUESTION, Expect((Pattern("the answer"),))), 2)
    assert answer.holds
    assert losses(chain, answer, 2) == []


@pytest.mark.parametrize(
    ("retrieval", "made", "stage", "said"),
    [
        (Retrieval(), {"at": 4}, "cut", r"by the cut at k: 'the answer' is at rank 5 of 40 by exact search\. k=5 would bring it back\."),
        (Retrieval(), {"at": 30}, "model", r"by the model: 'the answer' is at rank 31 of 40 by exact search\. Another model, or .*"),
        (Retrieval("bm25"), {"by_words": 5}, "cut", r"by the cut at k: 'the answer' is at rank 6 of 40 by bm25\. k=6 would bring it back\."),
        (Retrieval("bm25"), {"by_words": 20}, "bm25", r"by BM25: 'the answer' is at rank 21 of 40 by bm25\. Its words are .*"),
        (Retrieval("bm25"), {"shared": False}, "bm25", r"by BM25: .* is not among the 39 of bm25\. It has no word in common with the question: .*"),
        (Retrieval("rerank"), {"at": 30}, "reranker", r"by the reranker: .* is at rank 1 of 40 by bm25, at rank 31 of 40 by dense\. Without it, it would come back at rank 1\."),
        (Retrieval("rerank", candidates=5), {"by_words": 9}, "candidates", r"by the cut of the candidates: .* is at rank 10 of 40 by bm25, not among the 5 of dense\. candidates: 10 would bring it to rank 1\."),
        (Retrieval("rerank", candidates=5), {"by_words": 9, "at": 30, "alike": True}, "bm25", r"by BM25: .* is at rank 10 of 40 by bm25, not among the 5 of dense\. Its words .*"),
        (Retrieval("rrf"), {"by_words": 30, "alike": True}, "fusion", r"by the fusion: .* is at rank 31 of 40 by bm25, at rank 1 of 40 by exact search, at rank \d+ of 40 by rrf of bm25 and dense\. .*Give dense more weight, or take it alone\."),
        (Retrieval("rrf"), {"by_words": 30, "at": 30}, "model", r"by the model: .* at rank 31 of 40 by bm25, at rank 31 of 40 by exact search, .*"),
    ],
)  # fmt: skip
def test_the_stage_that_loses_a_passage_is_named(retrieval, made, stage, said):
    """The first stage that loses it, the rank at each stage, and what would bring it back."""
    loss = lost(corpus(**made), retrieval)
    assert loss.stage == stage, loss.line
    assert re.fullmatch(said, loss.line), loss.line


def test_a_larger_k_does_what_it_says():
    """With the k that a failure names, the passage comes back."""
    chain = build_chain(corpus(at=6), Retrieval(), encoder())
    named = int(re.search(r"k=(\d+)", lost_by(chain).line)[1])
    probe = Probe("p", QUESTION, Expect((Pattern("the answer"),)))
    assert Asker().ask(chain, probe, named).holds
    assert not Asker().ask(chain, probe, named - 1).holds


def test_a_rank_that_is_asked_for_is_no_matter_of_k():
    """A piece that must come first and comes second is lost by the model."""
    loss = lost(corpus(at=1), Retrieval(), k=5, piece=Pattern("the answer", rank=1))
    assert loss.stage == "model"
    assert "at rank 2 of 40 by exact search. It must come first." in loss.line


def test_of_the_first_few():
    """A piece that must be among the first two of five, likewise."""
    assert (
        "It must be among the first 2, whatever k is."
        in lost(corpus(at=3), Retrieval(), k=5, piece=Pattern("the answer", rank=2)).line
    )


@pytest.mark.parametrize("by", ["model", "rrf"])
def test_a_real_index_that_loses_a_row_is_to_blame(by):
    """Exact search would bring the passage back, in whatever chain."""
    retrieval = Retrieval(by, index="broken:HNSW", candidates=10)
    loss = lost(corpus(shared=False), retrieval, index=Index(lost=[SIZE - 1]))
    assert loss.stage == INDEX
    assert "at rank 1 of 40 by exact search" in loss.line
    assert re.search(r"not among the \d+ of the index broken:HNSW", loss.line)
    assert "Let the index look at more" in loss.line


def test_a_sound_index_is_not_to_blame_for_the_model():
    """What exact search ranks far down as well, the model has lost; near the cut, the index only if it lacks it."""
    assert lost(corpus(at=30), Retrieval(index="sound:X"), index=Index()).stage == "model"
    assert lost(corpus(at=4), Retrieval(index="sound:X"), index=Index()).stage == "cut"
    assert lost(corpus(at=4), Retrieval(index="sound:X"), index=Index(lost=[SIZE - 1])).stage == INDEX


def test_a_real_index_decides_on_order_and_number():
    """Its order stands, no score is above that of a passage before it, and it may give fewer than k."""

    class Reversed(Index):
        def search(self, queries, k):
            """The worst first."""
            return [found[::-1] for found in super().search(queries, k)]

    exact = build_chain(corpus(), Retrieval(), encoder())(QUESTION, 3)
    turned = build_chain(corpus(), Retrieval(index="x"), encoder(), index_of=lambda *_: Reversed())(QUESTION, 3)
    assert [one.text for one in turned] == [one.text for one in exact][::-1]
    assert [one.score for one in turned] == [exact[-1].score] * 3
    few = build_chain(corpus(), Retrieval(index="x"), encoder(), index_of=lambda *_: Index(most=2))
    assert len(few(QUESTION, 5)) == 2
    loss = lost_by(few, k=5, piece=Pattern("passage 3 "))
    assert loss.stage == INDEX
    assert "It gave 2 of 5 that were asked for." in loss.line
    none = build_chain(corpus(), Retrieval(index="x"), encoder(), index_of=lambda *_: Index(lost=range(SIZE)))
    assert none(QUESTION, 5) == []


def test_faults_of_an_index_are_named():
    """An exception, an id that it was never given, an index of vectors where there are none."""

    class Failing(Index):
        def build(self, vectors, ids):  # noqa: ARG002
            """Out of memory."""
            raise MemoryError("no room")

    class Inventing(Index):
        def search(self, queries, k):  # noqa: ARG002
            """An id that slipped."""
            return [["41"]]

    with pytest.raises(EngineError, match=r"The index 'x' failed to build: MemoryError: no room"):
        build_chain(corpus(), Retrieval(index="x"), encoder(), index_of=lambda *_: Failing())
    with pytest.raises(EngineError, match=r"The index 'x' gave the id '41', which it was never given\."):
        build_chain(corpus(), Retrieval(index="x"), encoder(), index_of=lambda *_: Inventing())(QUESTION, 2)
    with pytest.raises(SpecError, match=r"The index 'x' searches vectors, and retrieval by 'bm25' searches none\."):
        build_chain(corpus(), Retrieval("bm25", index="x"), encoder(), index_of=lambda *_: Index())
    with pytest.raises(
        SpecError, match=r"names an index of dense vectors, and 'st:sparse' has none \(its kind is sparse\)"
    ):
        build_chain(corpus(), Retrieval(index="x"), bag(), index_of=lambda *_: Index())


def test_an_index_is_closed_with_its_chain():
    """An index that holds something is told to free it."""
    closed = []
    index = Index()
    index.close = lambda: closed.append(1)
    build_chain(corpus(), Retrieval(index="x"), encoder(), index_of=lambda *_: index).close()
    assert closed == [1]


def test_words_that_are_cut_wrongly_are_to_blame():
    """Chinese split at blanks shares no word: what question and passage share once it is segmented is named."""
    passages = [*corpus(), Passage("本店的退货期限是三十天。 =0.10", "a.md")]
    for by in ("bm25", "rrf", "rerank"):
        chain = build_chain(passages, Retrieval(by), encoder())
        stage = WordStage(chain._index, cut=str.split)
        stage.add([one.text for one in passages])
        stage.build()
        if by == "bm25":
            chain._stage = stage
        elif by == "rrf":
            chain._stage._parts = (stage, chain._stage._parts[1])
        else:
            chain._stage._first = stage
        probe = Probe("p", "退货期限是多久", Expect((Pattern("三十天"),)))
        (loss,) = losses(chain, Asker().ask(chain, probe, 2), 2)
        assert loss.stage == "bm25", by
        assert "It shares '退货', '期限', '是' with the question once Chinese is segmented" in loss.line, loss.line


def test_a_prompt_of_the_spec_is_to_blame():
    """With the prompt that the model itself has, or none, the passage would come back."""
    loss = lost(corpus(), Retrieval(), encoder(prompts=Prompts("spec", {"query": "wrong:"})))
    assert loss.stage == "prompt"
    assert "The spec puts 'wrong:' before the question; without a prompt it is at rank 1." in loss.line


def test_a_text_that_is_cut_off_is_the_models():
    """A passage longer than what the model reads is said to be."""
    loss = lost(corpus("the answer " * 60, at=20), Retrieval())
    assert loss.stage == "model"
    assert re.search(r"The model reads 64 of its \d+ tokens: make chunk: size smaller\.", loss.line)


def test_rejected_passages_are_followed_too():
    """What must not come back and does: the stage that puts it there."""
    chain = build_chain(corpus(at=30), Retrieval("rerank"), encoder())
    probe = Probe("p", QUESTION, reject=(Reject(Pattern("passage 0 ")),))
    (loss,) = losses(chain, Asker().ask(chain, probe, 2), 2)
    assert (loss.let_in, loss.stage) == (True, "reranker")
    assert loss.line == "by the reranker: 'passage 0 ' is at rank 40 of 40 by bm25, at rank 1 of 40 by dense."
    fused = build_chain(corpus(at=30), Retrieval("rrf"), encoder())
    probe = Probe("p", QUESTION, reject=(Reject(Pattern("the answer")),))
    (loss,) = losses(fused, Asker().ask(fused, probe, 40), 40)
    assert loss.let_in
    assert loss.stage == "bm25"


def test_losses_are_counted_by_stage():
    """The most frequent first; what was let in is no loss."""
    some = [lost(corpus(at=30), Retrieval()).facts() for _ in range(2)] + [lost(corpus(at=4), Retrieval()).facts()]
    assert counted(some) == "2 by the model, 1 by the cut at k"
    assert counted([{**some[0], "let_in": True}]) == ""


def live(passages):
    """A pipeline with these passages, best first."""
    return lambda _query, k: list(passages[:k])


def lost_live(passages, piece, k=2, documents=None):
    """The one loss of a probe that asks a pipeline."""
    answer = Asker().ask(live(passages), Probe("p", QUESTION, Expect((piece,))), k)
    (loss,) = losses_of_live(live(passages), answer, k, documents)
    return loss


def test_a_pipeline_is_asked_for_more():
    """Its own stages can't be seen, but what a larger k brings can."""
    passages = [Passage(f"passage {row}", f"{row}.md") for row in range(60)]
    near = lost_live(passages, Pattern("passage 5"))
    assert (near.stage, near.remedy) == ("cut", "k=6 would bring it back.")
    far = lost_live(passages, Pattern("passage 40"))
    assert far.line == "by the search: 'passage 40' is at rank 41 of 50 by its search."
    gone = lost_live(passages, Pattern("no passage"))
    assert gone.line == (
        "by the search: 'no passage' is not among the 50 of its search. Its own stages can't be seen from outside."
    )
    few = lost_live(passages[:3], Pattern("no passage"))
    assert few.remedy.endswith("It gave 3 of 50 that were asked for.")
    elsewhere = lost_live(passages, Pattern("passage 5", source="b.md"), k=2)
    assert (
        elsewhere.line
        == "at another source: 'passage 5' in b.md is not there: its text is in 5.md. Correct source in the probe."
    )
    wrong = [replace(passages[0], page=2)]
    assert lost_live(wrong, Pattern("passage 0", page=(1,))).stage == "page"

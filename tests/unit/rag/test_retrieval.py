"""Chains of retrieval, with the embedded model."""

from __future__ import annotations

import contextlib
import importlib.util
from dataclasses import replace
from pathlib import Path

import bm25s
import numpy as np
import pytest

from pytest_embedqa.core.errors import DataError, MissingExtraError, SpecError
from pytest_embedqa.core.measures import paired_cosine
from pytest_embedqa.encoders.load import load_encoder, load_model
from pytest_embedqa.encoders.prompts import Prompts
from pytest_embedqa.encoders.retrievers.passage import Passage
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.encoders.store import Store
from pytest_embedqa.rag import retrieval as module
from pytest_embedqa.rag.choices import INDEXES, RETRIEVALS, Retrieval
from pytest_embedqa.rag.retrieval import build_chain
from pytest_embedqa.rag.words import words

from . import kinds

TEXTS = [
    "The default timeout of a request is 30 seconds; set HTTP_TIMEOUT to change it.",
    "Backups run every night at two and are kept for a month.",
    "get_user_by_id raises UserNotFoundError when there is no such user.",
    "数据库连接的默认超时是30秒，可以在配置文件中修改。",
    "每天凌晨两点自动备份，备份保留一个月。",
    "今天天气很好，我们去公园散步。",
    "Passwords must have at least twelve characters.",
    "A request that fails is sent again up to three times.",
    "The server listens on port 8080 unless another is configured.",
    "Users can be deleted by an administrator only.",
    "Kittens drink milk and sleep most of the day.",
    "Backups run every night at two and are kept for a month.",
]
CORPUS = [Passage(text, f"{number}.md", page=number + 1) for number, text in enumerate(TEXTS)]
QUERIES = [
    "How long until a request times out?",
    "when are backups made",
    "a user of the server",
    "cats",
    "备份保留多久",
]


@pytest.fixture(scope="module")
def encoder():
    """The embedded model, with a store, so that each text is computed once."""
    store = Store(None)
    yield load_encoder(parse_spec("builtin"), store)
    store.close()


@pytest.fixture(scope="module")
def cosines(encoder):
    """Cosine of each query with each passage, in float64."""
    found = encoder.encode(TEXTS, kind="document")
    return {
        query: paired_cosine(found, np.broadcast_to(encoder.encode([query], kind="query"), found.shape))
        for query in QUERIES
    }


@pytest.fixture(scope="module")
def bm25_scores():
    """BM25 of each query with each passage, by the library alone."""
    plain = bm25s.BM25()
    plain.index([words(text) for text in TEXTS], show_progress=False)
    return {query: plain.get_scores(words(query)) for query in QUERIES}


def numbers(found):
    """Numbers of passages in the corpus."""
    return [int(Path(one.source).stem) for one in found]


def ranking(scores, of=None):
    """Positions by score, the best first, equal ones by position."""
    return sorted(
        range(len(scores)) if of is None else of, key=lambda position: (-round(float(scores[position]), 6), position)
    )


@pytest.fixture(params=INDEXES)
def build(request, encoder, tmp_path):
    """Builds a chain on the corpus with each kind of index."""

    def built(by, corpus=CORPUS, reranker=None, **more):
        retrieval = Retrieval(by=by, index=request.param, reranker=reranker and reranker.spec, **more)
        return build_chain(corpus, retrieval, encoder, tmp_path, reranker=reranker)

    return built


@pytest.mark.parametrize("query", QUERIES)
def test_dense_is_the_order_of_cosines(build, cosines, query):
    """Dense retrieval returns the highest cosines in order, with text, source, page and score."""
    chain = build("dense")
    expected = ranking(cosines[query])[:4]
    assert chain(query, 4) == [
        replace(CORPUS[position], score=pytest.approx(cosines[query][position], abs=1e-5)) for position in expected
    ]
    assert chain.size == len(TEXTS)


@pytest.mark.parametrize("query", QUERIES)
def test_bm25_is_the_order_of_shared_words(build, bm25_scores, query):
    """BM25 returns all passages with a word of the query, in the order of the library's scores, and no others."""
    scores = bm25_scores[query]
    found = build("bm25")(query, len(TEXTS))
    assert numbers(found) == [
        position for position in ranking(scores) if set(words(TEXTS[position])) & set(words(query))
    ]
    assert [one.score for one in found] == pytest.approx(sorted(scores[scores > 0], reverse=True))


def test_bm25_finds_chinese_among_distractors(build):
    """A Chinese question finds the passage with its words first, where words between spaces find nothing."""
    query = "连接超时怎么修改"
    assert numbers(build("bm25")(query, 1)) == [3]
    assert not any(set(query.split()) & set(text.split()) for text in TEXTS)


@pytest.mark.parametrize(
    ("query", "expected"), [("getUserById", 2), ("usernotfounderror", 2), ("HTTP timeout", 0), ("listening on 8080", 8)]
)
def test_bm25_finds_code(build, query, expected):
    """Names in code are found whole, by their parts and in another style."""
    assert numbers(build("bm25")(query, 1)) == [expected]


@pytest.mark.parametrize("by", ["bm25", "rerank"])
@pytest.mark.parametrize("query", ["zyzzyva", "？！", ""])
def test_query_without_known_words(build, by, query):
    """Where BM25 chooses, a query that shares no word with any passage finds nothing."""
    assert build(by)(query, 5) == []


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_rerank_orders_candidates_by_cosine(build, bm25_scores, cosines, query, count):
    """Only BM25's candidates come back, in the order of their cosines, which are their scores."""
    candidates = [position for position in ranking(bm25_scores[query])[:count] if bm25_scores[query][position] > 0]
    found = build("rerank", candidates=count)(query, 1)
    assert numbers(found) == ranking(cosines[query], candidates)[:1]
    assert [one.score for one in found] == pytest.approx([cosines[query][one] for one in numbers(found)], abs=1e-5)


@pytest.mark.parametrize("query", QUERIES)
def test_rrf_adds_reciprocal_ranks(build, bm25_scores, cosines, query):
    """The score is the sum of 1 / (60 + rank) over the candidates of both, and the order is that of the score."""
    expected = np.zeros(len(TEXTS))
    for scores in (np.where(bm25_scores[query] > 0, bm25_scores[query], -1), cosines[query]):
        for rank, position in enumerate(ranking(scores)[:4], start=1):
            expected[position] += 1 / (60 + rank) if scores[position] != -1 else 0
    found = build("rrf", candidates=4)(query, 4)
    best = sorted(range(len(TEXTS)), key=lambda position: (-expected[position], position))[:4]
    assert numbers(found) == best
    assert [one.score for one in found] == pytest.approx(expected[best])


@pytest.mark.parametrize("by", RETRIEVALS)
def test_memory_and_disk_agree(encoder, tmp_path, by, monkeypatch):
    """Both indexes give the same passages and scores, also where the corpus is read in many slices."""
    monkeypatch.setattr(module, "_SLICE", 5)
    memory, disk = (
        build_chain(iter(CORPUS), Retrieval(by=by, index=index, candidates=6), encoder, tmp_path) for index in INDEXES
    )
    for query in QUERIES:
        expected = memory(query, 5)
        assert [replace(one, score=pytest.approx(one.score, abs=1e-5)) for one in expected] == disk(query, 5)


@pytest.mark.parametrize(("index", "expected"), [("memory", [12]), ("lancedb", [5, 5, 2])])
def test_passages_are_encoded_in_slices_for_the_disk_alone(encoder, tmp_path, monkeypatch, index, expected):
    """A corpus in memory is encoded in one call, which shows one bar; one for the disk in slices, which bounds memory."""
    begun = []

    @contextlib.contextmanager
    def progress(_, total):
        begun.append(total)
        yield lambda _: None

    monkeypatch.setattr(module, "_SLICE", 5)
    build_chain(CORPUS, Retrieval(index=index), encoder.variant(store=None, dedupe=False, progress=progress), tmp_path)
    assert begun == expected


@pytest.mark.parametrize("by", RETRIEVALS)
def test_equal_passages_come_in_the_order_of_the_corpus(build, by):
    """Passages with one text have one order, whatever finds them, and no k cuts the first of them off."""
    corpus = [*CORPUS[:3], *(replace(CORPUS[1], source=f"{number}.md") for number in range(3, 40))]
    chain = build(by, corpus)
    assert numbers(chain("night backups", 30)) == [1, *range(3, 32)]
    assert numbers(chain("night backups", 1)) == [1]


@pytest.mark.parametrize("by", RETRIEVALS)
@pytest.mark.parametrize("k", [0, 1, 3, 99])
def test_at_most_k(build, by, k):
    """There are never more than k, nor more than the corpus has; and a k above ``candidates`` is not cut to them."""
    query = "the a is 超时 备份"  # a word of each passage
    found = build(by, CORPUS[:5], candidates=2)(query, k)
    assert len(found) == min(k, 5)
    assert len(set(numbers(found))) == len(found)


def test_prompts_tell_queries_from_passages(encoder):
    """Queries and passages are encoded with their own prompts."""
    prompted = encoder.with_prompts(Prompts("spec", {"query": "find: ", "document": "text: "}))
    (found,) = build_chain(CORPUS[:1], Retrieval(), prompted)("timeout", 1)
    query, document = encoder.encode(["find: timeout", f"text: {TEXTS[0]}"])
    assert found.score == pytest.approx(float(query @ document), abs=1e-5)


@pytest.mark.parametrize("by", ["dense", "rerank", "rrf"])
def test_fresh_computes_every_query(encoder, monkeypatch, by):
    """A fresh chain answers alike but never looks a query's vector up, while the chain itself computes it once."""
    store, texts, embed = Store(None), [], encoder._engine.embed
    chain = build_chain(CORPUS, Retrieval(by=by), encoder.variant(store=store))
    monkeypatch.setattr(encoder._engine, "embed", lambda batch: texts.extend(batch) or embed(batch))
    expected = [chain("night backups", 3) for _ in range(2)]
    assert texts == ["night backups"]
    fresh = chain.fresh()
    assert [fresh("night backups", 3) for _ in range(2)] == expected
    assert texts == ["night backups"] * 3
    store.close()


def test_queries_are_prepared_in_one_batch(encoder, monkeypatch):
    """Vectors of many queries are computed at once, and searches then find them; by words there is nothing to prepare."""
    store, batches, embed = Store(None), [], encoder._engine.embed
    chain = build_chain(CORPUS, Retrieval(by="rrf"), encoder.variant(store=store))
    monkeypatch.setattr(encoder._engine, "embed", lambda batch: batches.append(len(batch)) or embed(batch))
    chain.prepare(["night backups", "who pays the hotel"])
    chain("night backups", 3)
    chain("who pays the hotel", 3)
    assert batches == [2]
    build_chain(CORPUS, Retrieval(by="bm25"), None).prepare(["night backups"])
    store.close()


def test_bm25_needs_no_encoder(build, tmp_path):
    """BM25 works without a model, and a model that is given is not asked."""

    def never(*_, **__):
        raise AssertionError

    expected = build("bm25")("backups", 5)
    assert build_chain(CORPUS, Retrieval(by="bm25"), None)("backups", 5) == expected
    asked = type("Encoder", (), {"encode": never})()
    assert build_chain(CORPUS, Retrieval(by="bm25"), asked).fresh()("backups", 5) == expected


@pytest.mark.filterwarnings("error")
def test_passages_without_a_single_word(build):
    """A corpus of signs alone is searched without error."""
    assert build("bm25", [Passage("!"), Passage("")])("backups", 5) == []
    assert len(build("rrf", [Passage("!"), Passage("?")])("backups", 5)) == 2


@pytest.mark.parametrize(
    ("retrieval", "text"),
    [
        (Retrieval(by="dense"), "'dense' needs a model"),
        (Retrieval(by="rrf"), "'rrf' needs a model"),
        (Retrieval(by="bm25", index="lancedb"), "needs a folder"),
        (Retrieval(by="hybrid"), "Unknown retrieval by='hybrid'. Choose from model, dense, bm25"),
        (Retrieval(by="bm25", index="faiss"), "Unknown retrieval index='faiss'. Choose from memory, lancedb"),
    ],
)
def test_choice_that_can_not_be_met(retrieval, text):
    """What is missing or unknown is named before anything is indexed."""
    with pytest.raises(SpecError, match=text):
        build_chain(iter(lambda: pytest.fail("read"), None), retrieval, None)


@pytest.mark.parametrize("by", RETRIEVALS)
def test_no_passages(build, by):
    """A corpus without passages is an error, not a chain that finds nothing."""
    with pytest.raises(DataError, match="The corpus has no passages"):
        build(by, iter([]))


def test_missing_bm25s_is_named(monkeypatch):
    """Without bm25s, the error says how to install it."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(
        MissingExtraError, match=r"(?s)Search by words \(BM25\) needs the package 'bm25s'.*pytest-embedqa\[rag\]"
    ):
        build_chain(CORPUS, Retrieval(by="bm25"), None)


@pytest.fixture(scope="module")
def reranker(tmp_path_factory):
    """A tiny cross-encoder with random weights."""
    store = Store(None)
    yield load_model(parse_spec(f"st:{kinds.cross_encoder(tmp_path_factory.mktemp('cross'))}"), store)
    store.close()


@pytest.mark.parametrize("by", RETRIEVALS)
def test_reranker_orders_the_candidates(build, by, reranker):
    """The candidates of the stage before, all of them and only they, come in the order of ``predict``, with its scores."""
    query = "when are backups made 备份"
    before = build("bm25" if by == "rerank" else by, CORPUS[:11], candidates=4)(query, 4)
    scores = reranker._engine._model.predict([(query, one.text) for one in before], show_progress_bar=False)
    order = np.argsort(-scores)[:3]
    assert len({round(float(score), 3) for score in scores}) == len(scores)
    assert order.tolist() != [0, 1, 2]  # else the order before would do
    found = build(by, CORPUS[:11], reranker, candidates=4)(query, 3)
    assert numbers(found) == [numbers(before)[at] for at in order]
    assert [one.score for one in found] == pytest.approx(scores[order].tolist(), abs=1e-5)
    assert len(build(by, CORPUS[:11], reranker, candidates=1)(query, 3)) == 3


def test_reranker_after_bm25_needs_no_model(reranker):
    """A reranker behind BM25 reads texts, so there is nothing to encode; and with no candidates it is not asked."""
    chain = build_chain(CORPUS, Retrieval(by="rerank", reranker=reranker.spec), None, reranker=reranker)
    assert numbers(chain("twelve characters", 1)) == [6]
    assert chain("zyzzyva", 3) == []
    assert chain.by == f"reranker '{reranker.spec}' on bm25"


def test_equal_candidates_of_a_reranker_come_in_the_order_of_the_corpus(reranker):
    """Passages with one text have one score, and no ``k`` cuts the first of them off."""
    corpus = [replace(CORPUS[1], source=f"{number}.md") for number in range(40)]
    chain = build_chain(corpus, Retrieval(by="bm25", reranker=reranker.spec), None, reranker=reranker)
    found = chain("night backups", 30)
    assert numbers(found) == list(range(30))
    assert len({one.score for one in found}) == 1


def test_a_closed_chain_holds_no_index(tmp_path):
    """Its vectors are free, for the next file's."""
    chain = build_chain(CORPUS, Retrieval(by="bm25"), None, tmp_path)
    closed = []
    chain._index.close = lambda: closed.append(True)
    chain.close()
    assert closed == [True]

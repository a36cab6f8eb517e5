"""Every kind of model in the built-in chain: alone, behind one another, and as systems that a spec names."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.sparse import csr_array

from pytest_embedqa.core.errors import EngineError, SpecError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.engine import Limits
from pytest_embedqa.encoders.pool import EncoderPool
from pytest_embedqa.encoders.representations import MULTI_VECTOR, SPARSE
from pytest_embedqa.encoders.retrievers.passage import Passage
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.encoders.store import Store
from pytest_embedqa.rag import fusion, metric
from pytest_embedqa.rag import retrieval as module
from pytest_embedqa.rag.asking import Asker
from pytest_embedqa.rag.belonging import check_belonging
from pytest_embedqa.rag.choices import Chunking, Retrieval
from pytest_embedqa.rag.knowledge import label_of, open_chain
from pytest_embedqa.rag.probe import Expect, Pattern, Probe, ProbeFile, Reject
from pytest_embedqa.rag.retrieval import build_chain

from . import kinds
from .test_retrieval import CORPUS, QUERIES, TEXTS, numbers

COUNT = len(TEXTS)


@pytest.fixture(scope="module")
def pool():
    """The systems of a run, with a store."""
    store = Store(None)
    pool = EncoderPool(lambda: store, lambda *_: None, lambda _: None, None)
    yield pool
    pool.close()
    store.close()


@pytest.fixture(scope="module")
def specs(tmp_path_factory):
    """A spec of each kind."""
    made = {
        name: f"st:{getattr(kinds, name)(tmp_path_factory.mktemp(name))}"
        for name in ("sparse", "multi_vector", "cross_encoder")
    }
    return SimpleNamespace(dense="builtin", **made)


def build(pool, spec, by="model", *, folder=None, corpus=CORPUS, **more):
    """A chain with the model of a spec under test."""
    retrieval = Retrieval(by=by, index="lancedb" if folder else "memory", **more)
    return build_chain(corpus, retrieval, pool.of(parse_spec(spec)), folder)


def own_scores(encoder, query):
    """Similarities of a query with all texts, by sentence-transformers alone; it applies prompts and expansion."""
    model = encoder._engine._model
    asked, read = model.encode_query([query]), model.encode_document(TEXTS)
    return model.similarity(asked, read).to_dense().numpy()[0]


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("where", ["sparse in memory", "multi_vector in memory", "multi_vector on disk"])
def test_each_kind_searches_by_its_own_similarity(pool, specs, tmp_path, where, query):
    """Passages come in the order of sentence-transformers' own scores, with prompts and query expansion, in each index."""
    kind = where.split()[0]
    spec = getattr(specs, kind)
    chain = build(pool, spec, folder=tmp_path if where.endswith("disk") else None)
    expected = own_scores(pool.of(parse_spec(spec)), query)
    found = chain(query, COUNT)
    assert [one.score for one in found] == pytest.approx(np.sort(expected)[::-1], rel=1e-4)
    assert expected[numbers(found)] == pytest.approx([one.score for one in found], rel=1e-4)
    assert chain(query, 3) == found[:3]
    assert (chain.by, chain.scale) == (kind.replace("_", "-"), {"sparse": "dot product"}.get(kind, "MaxSim"))


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("kind", ["dense", "sparse", "multi_vector"])
def test_each_kind_orders_candidates(pool, specs, kind, query):
    """The candidates of BM25, all of them, come in the order of the model, with its scores."""
    spec = getattr(specs, kind)
    alone = {one.source: one.score for one in build(pool, spec)(query, COUNT)}
    candidates = {one.source for one in build(pool, spec, "bm25")(query, 3)}
    found = build(pool, spec, "rerank", candidates=3)(query, 3)
    assert {one.source for one in found} == candidates
    assert [one.score for one in found] == sorted((alone[source] for source in candidates), reverse=True)


@pytest.mark.parametrize("kind", ["sparse", "multi_vector"])
def test_equal_passages_tie(pool, specs, kind, tmp_path):
    """Passages with one text come in the order of the corpus, and no ``k`` cuts the first of them off."""
    corpus = [Passage(TEXTS[1] if place % 2 else TEXTS[0], f"{place}.md") for place in range(70)]
    for folder in (None, tmp_path) if kind == "multi_vector" else (None,):
        found = numbers(build(pool, getattr(specs, kind), folder=folder, corpus=corpus)("night backups", 20))
        assert found in ([*range(1, 41, 2)], [*range(0, 40, 2)])


def test_sparse_vectors_are_not_kept_by_lancedb(pool, specs, tmp_path):
    """LanceDB has no column for them: an error that says so before anything is encoded."""
    with pytest.raises(SpecError, match=r"The index 'lancedb' can't keep sparse vectors: .* Take  index: memory\."):
        build(pool, specs.sparse, folder=tmp_path, corpus=iter(lambda: pytest.fail("read"), None))


def test_multi_vectors_go_to_the_disk_in_small_slices(pool, specs, tmp_path, monkeypatch):
    """Of a corpus on disk few passages' vectors are in memory; they are compared in blocks; and nothing changes by that."""
    expected = build(pool, specs.multi_vector)(QUERIES[0], COUNT)
    monkeypatch.setattr(module, "_SLICE_OF_TOKENS", 5)
    monkeypatch.setattr(metric, "_BLOCK", 2)
    encoder, slices = pool.of(parse_spec(specs.multi_vector)), []
    encode = encoder.encode
    with monkeypatch.context() as patched:
        patched.setattr(encoder, "encode", lambda texts, **more: slices.append(len(texts)) or encode(texts, **more))
        chain = build(pool, specs.multi_vector, folder=tmp_path)
    assert slices == [5, 5, 2]
    for one in (chain, build(pool, specs.multi_vector)):
        assert numbers(one(QUERIES[0], COUNT)) == numbers(expected)


class _Counting:
    """An engine that counts how often its model computes, around another."""

    def __init__(self, engine):
        self._engine, self.batches = engine, []

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def embed(self, texts):
        """Count, and compute."""
        self.batches.append(len(texts))
        return self._engine.embed(texts)


@pytest.mark.parametrize("kind", ["sparse", "multi_vector", "cross_encoder"])
def test_queries_are_prepared_together_and_fresh_computes_each(pool, specs, kind):
    """Many queries, or their pairs with candidates, are computed at once; then nothing is, but by a fresh chain all."""
    store = Store(None)
    model = pool.of(parse_spec(getattr(specs, kind)))
    engine = _Counting(model._engine)
    counted = model.variant(engine=engine, store=store)
    by = "rerank" if kind == "cross_encoder" else "model"
    chain = build_chain(CORPUS, Retrieval(by=by), counted)
    engine.batches.clear()
    chain.prepare(QUERIES)
    first, *checks = engine.batches
    assert first >= len(QUERIES)
    assert set(checks) <= {1}  # texts of a model's first batches are also computed alone
    engine.batches.clear()
    expected = [chain(query, 3) for query in QUERIES]
    assert engine.batches == []
    fresh = chain.fresh()
    for _ in range(2):
        assert [numbers(fresh(query, 3)) for query in QUERIES] == [numbers(one) for one in expected]
    assert len(engine.batches) >= 2 * sum(map(bool, expected))
    store.close()


class Bag:
    """A sparse engine whose dimensions are the words of a text, or a multi-vector engine of these."""

    limits, prompts, counts_tokens = Limits(), None, False
    WORDS = ("bread", "cake", "tart", "pie", "roll", "bun")

    def __init__(self, representation):
        self.representation = representation
        similarity = "dot" if representation is SPARSE else "maxsim"
        self.identity = Identity("bag", "bag", full_dim=len(self.WORDS), similarity=similarity)

    def embed(self, texts):
        """One for each known word."""
        rows = np.array([[float(word in text.split()) for word in self.WORDS] for text in texts], dtype=np.float32)
        if self.representation is SPARSE:
            return csr_array(rows)
        return [np.diag(row)[row > 0] if row.any() else np.ones((1, len(row)), dtype=np.float32) for row in rows]

    def lengths(self, texts):
        """Words of each text."""
        return [len(text.split()) for text in texts]

    def close(self):
        """Nothing is held."""


def bag(representation=SPARSE):
    """An encoder of words."""
    return Encoder(Bag(representation), None, spec=parse_spec(f"st:{representation.name}"))


WORDS = [Passage(text, f"{place}.md") for place, text in enumerate(["bread cake", "tart", "pie bread roll", "cake"])]


def test_what_shares_no_active_dimension_is_not_found():
    """A sparse vector ranks the passages that share a dimension with it, and leaves the others out, as BM25 does."""
    chain = build_chain(WORDS, Retrieval(), bag())
    assert [(one.source, one.score) for one in chain("bread cake", 4)] == [("0.md", 2), ("2.md", 1), ("3.md", 1)]
    assert chain("nothing", 4) == []


def test_what_is_not_found_has_no_rank_in_a_fusion():
    """A passage that BM25 or a sparse model does not find gets nothing from that list, whatever its place in the corpus."""
    found = build_chain(WORDS, Retrieval(by="rrf"), bag())("tart", 4)
    assert [(one.source, one.score) for one in found] == [("1.md", pytest.approx(2 / 61))]
    multi = build_chain(WORDS, Retrieval(by="rrf"), bag(MULTI_VECTOR))("tart", 4)
    assert [one.source for one in multi] == ["1.md", "0.md", "2.md", "3.md"]  # it finds all, BM25 the first alone
    assert multi[1].score == pytest.approx(1 / 62)
    candidates = build_chain(WORDS, Retrieval(by="rrf"), bag())._stage.order("tart", [3, 1, 0])
    assert candidates == [(1, pytest.approx(2 / 61)), (0, 0), (3, 0)]  # none is lost


@pytest.mark.parametrize("name", ["rrf", "dbsf", "rsf"])
def test_fusion_is_that_of_mteb(name):
    """Lists without ties are fused to the scores of mteb's own functions."""
    from mteb.models import hybrid_wrappers

    theirs = {
        "rrf": lambda *given: hybrid_wrappers.fuse_rrf(*given, rrf_k=7),
        "dbsf": hybrid_wrappers.fuse_dbsf,
        "rsf": hybrid_wrappers.fuse_relative_score_fusion,
    }[name]
    random = np.random.default_rng(0)
    lists = [
        sorted(
            zip(random.permutation(50)[:length].tolist(), random.normal(size=length).tolist(), strict=True),
            key=lambda hit: -hit[1],
        )
        for length in (20, 1, 0, 30)
    ]
    weights = (0.7, 0.2, 0.5, 0.1)
    expected = theirs([{str(place): score for place, score in hits} for hits in lists], weights)
    found = fusion.fused(lists, weights, fusion.share_of(name, 7))
    assert {str(place): score for place, score in found} == pytest.approx(expected)
    assert [score for _, score in found] == pytest.approx(sorted(expected.values(), reverse=True))


def test_a_hybrid_system_is_fused_from_its_parts(pool, specs):
    """``hybrid:`` as the model under test: its weights, its constant, its lists; a part of two places is indexed once."""
    spec = f"hybrid:[builtin][{specs.sparse}][bm25][builtin]?k=3&weights=0.4,0.3,0.2,0.1&top_k=4"
    chain = build(pool, spec)
    assert (chain.scale, len(chain.models)) == ("ranks", 2)
    assert chain.by == f"rrf of dense 'builtin' and sparse '{specs.sparse}' and bm25 and dense 'builtin'"
    for query in QUERIES:
        expected = {}
        for part, weight in (("builtin", 0.4), (specs.sparse, 0.3), ("bm25", 0.2), ("builtin", 0.1)):
            for rank, one in enumerate(build(pool, part)(query, 4), 1):
                expected[one.source] = expected.get(one.source, 0) + weight / (3 + rank)
        found = chain(query, COUNT)
        assert {one.source: one.score for one in found} == pytest.approx(expected)


def test_a_reranking_system_is_two_stages(pool, specs):
    """``rerank:`` as the model under test: so many candidates of the first, ordered by the second, and no others."""
    reranker = pool.of(parse_spec(specs.cross_encoder))
    for first in ("builtin", specs.multi_vector, "bm25"):
        chain = build(pool, f"rerank:[{first}][{specs.cross_encoder}]?top_k=4")
        for query in QUERIES:
            candidates = build(pool, first)(query, 4)
            expected = dict(
                zip(
                    [one.source for one in candidates],
                    reranker.score([(query, one.text) for one in candidates]),
                    strict=True,
                )
            )
            found = chain(query, COUNT)
            assert {one.source: one.score for one in found} == pytest.approx(expected)
            assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert chain.scale == "scores of the reranker"


@pytest.mark.parametrize("second", ["bm25", "hybrid:[bm25][builtin]?fusion=rsf", "rerank:[bm25][builtin]?top_k=2"])
def test_any_system_orders_candidates(pool, second):
    """Of candidates none is lost by a second stage of words or of several models, though they would not find it."""
    chain = build(pool, f"rerank:[builtin][{second}]?top_k=6")
    for query in QUERIES:
        candidates = {one.source for one in build(pool, "builtin")(query, 6)}
        found = chain(query, COUNT)
        assert {one.source for one in found} <= candidates
        assert len(found) == (2 if second.startswith("rerank") else 6)


def test_bm25_as_the_model_under_test(pool):
    """It is the chain's own BM25, also with a name of its own for ``expected_failures``."""
    assert build(pool, "bm25")("night backups", 5) == build(pool, "builtin", "bm25")("night backups", 5)


def probe_file(tmp_path, retrieval, *probes):
    """A file on two documents."""
    (tmp_path / "docs").mkdir()
    for name, text in (("a.md", "dough rises " * 30), ("b.md", "rain falls")):
        (tmp_path / "docs" / name).write_text(text, encoding="utf-8")
    return ProbeFile(
        tmp_path / "x.probe.yaml", tmp_path / "docs", Chunking(size=16), retrieval, probes, lines={"retrieve": 3}
    )


def test_names_by_which_failures_are_expected(pool, specs, tmp_path):
    """The model under test; where it has no part in a search, the reranker or BM25."""
    second = parse_spec(specs.cross_encoder)
    file = probe_file(tmp_path, Retrieval("rerank", reranker=second), Probe("p", "q"))
    model, words = pool.of(parse_spec("builtin")), pool.of(parse_spec("bm25"))
    opened = open_chain(file, model, tmp_path, load=pool.of)
    assert label_of(file, model, opened) == pool.of(second).name
    plain = ProbeFile(file.path, file.corpus, file.chunking, Retrieval(), file.probes)
    assert label_of(plain, words, open_chain(plain, words, tmp_path)) == "bm25"
    assert label_of(plain, model, opened) == model.name


@pytest.mark.parametrize("spec", ["builtin", "bm25", "hybrid:[bm25][builtin]", "cross_encoder"])
def test_passages_are_measured_by_what_the_model_has(pool, specs, tmp_path, spec):
    """By the tokenizer of the model, of a part, or of a reranker; by an estimate where there is none. None is too long."""
    file = probe_file(tmp_path, Retrieval("bm25"), Probe("p", "q"))
    chain = open_chain(file, pool.of(parse_spec(getattr(specs, spec, spec))), tmp_path)
    sizes = [len(one.text.split()) for one in chain("dough", 99)]
    assert 3 <= max(sizes) <= 16
    assert sum(sizes) == 60


@pytest.mark.parametrize("by", ["model", "dense", "rrf"])
def test_a_reranker_searches_nothing(pool, specs, by):
    """As the model under test it orders what BM25 finds; every other way is refused, with what to write."""
    with pytest.raises(
        SpecError, match=r"is a reranker: it scores candidates and finds none.*by '\w+'. Let BM25 find .*\{by: rerank\}"
    ):
        build(pool, specs.cross_encoder, by)
    assert build(pool, specs.cross_encoder, "rerank").by == "reranker on bm25"


@pytest.mark.parametrize("kind", ["sparse", "multi_vector"])
def test_by_dense_is_dense(pool, specs, kind):
    """A model of another kind is refused where a file says ``dense``; ``model`` takes any."""
    with pytest.raises(
        SpecError,
        match=rf"retrieve says  by: dense, and '.*' has no dense vectors \(its kind is {kind.replace('_', '-')}\)\. Write  by: model",
    ):
        build(pool, getattr(specs, kind), "dense")
    assert build(pool, "builtin", "dense")("backups", 3) == build(pool, "builtin")("backups", 3)


def test_a_system_of_an_unknown_kind():
    """What can't search the documents is refused by its kind."""
    system = SimpleNamespace(kind="retriever", spec="http:x")
    with pytest.raises(SpecError, match=r"'http:x' \(its kind is retriever\) can't search the documents of probes"):
        build_chain(CORPUS, Retrieval(), system)


def test_errors_name_the_line_of_the_file(pool, specs, tmp_path):
    """A reranker that can't be loaded, and a model that can't do its part, are errors of the line with ``retrieve``."""
    file = probe_file(tmp_path, Retrieval("bm25", reranker=parse_spec("st:no/such-model")), Probe("p", "q"))
    with pytest.raises(EngineError, match=r"x\.probe\.yaml:3: the reranker can't be used\. .*no/such-model"):
        open_chain(file, pool.of(parse_spec("builtin")), tmp_path, load=pool.of)
    plain = ProbeFile(file.path, file.corpus, file.chunking, Retrieval(), file.probes, lines=file.lines)
    with pytest.raises(SpecError, match=r"x\.probe\.yaml:3: '.*' is a reranker"):
        open_chain(plain, pool.of(parse_spec(specs.cross_encoder)), tmp_path)


def test_a_margin_needs_scores(pool):
    """Where the model under test fuses ranks, a margin can't hold, and the miss says why; other scores have a scale."""
    reject = (Reject(Pattern("Users"), margin=0.001),)
    probe = Probe("p", "user of the server", Expect((Pattern("The server"),)), reject)
    answer = Asker().ask(build(pool, "hybrid:[bm25][builtin]"), probe, COUNT)
    assert answer.in_short == "margin needs scores"
    (said,) = answer.intruders
    assert said.endswith(
        " margin compares scores, and those of rrf of bm25 and dense 'builtin' only say ranks: use margin: 0, or another way to retrieve."
    )
    for spec in ("hybrid:[bm25][builtin]?fusion=rsf", "builtin"):
        assert Asker().ask(build(pool, spec), probe, COUNT).in_short != "margin needs scores"


def test_an_index_is_compared_by_cosines_alone(pool, specs):
    """``check_index`` of scores that are no cosines is unsure: of other kinds of models, and of chains that rerank."""
    dense, other = pool.of(parse_spec("builtin")), pool.of(parse_spec(specs.multi_vector))
    chain = build(pool, "builtin")
    assert check_belonging(chain, dense, QUERIES[:2], to_cosine=chain.to_cosine).holds is True
    found = check_belonging(build(pool, specs.multi_vector), other, QUERIES[:2])
    assert found.holds is None
    assert "has no dense vectors (its kind is multi-vector)" in found.reason
    assert build(pool, specs.cross_encoder, "rerank").to_cosine is None

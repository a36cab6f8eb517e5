"""Retrievers of real tools score as plain mteb and trec_eval score the same rankings."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import bm25s
import mteb
import numpy as np
import pytest
import pytrec_eval
from mteb.models.model_meta import ModelMeta

from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.encoders.store import Store
from pytest_embedqa.quality.evaluator import Evaluator
from pytest_embedqa.quality.mteb.tasks import find_task
from pytest_embedqa.quality.own_tasks import retrieval_task
from pytest_embedqa.quality.retrievers.choice import RetrieverChoice
from pytest_embedqa.quality.retrievers.pool import Retrievers
from pytest_embedqa.quality.task import TaskQuery

HANDBOOK = Path(__file__).parents[2] / "suites" / "data" / "handbook"
OURS = TaskQuery(retrieval_task(HANDBOOK))
# Metrics of mteb's, and trec_eval's own names for them.
SAME = {
    "ndcg_at_10": "ndcg_cut_10",
    "ndcg_at_100": "ndcg_cut_100",
    "map_at_10": "map_cut_10",
    "recall_at_5": "recall_5",
    "recall_at_100": "recall_100",
    "precision_at_10": "P_10",
    "hit_rate_at_3": "success_3",
    "mrr_at_1000": "recip_rank",
}


def rows_of(path):
    """The rows of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def whole(row):
    """A document as mteb joins it."""
    return f"{row.get('title') or ''} {row['text']}".strip()


class Bm25:
    """A project's own search: bm25s over the documents of a folder."""

    name = "bm25s"

    def __init__(self, folder):
        self.rows = rows_of(folder / "corpus.jsonl")
        self.index = bm25s.BM25()
        self.index.index(bm25s.tokenize(list(map(whole, self.rows)), show_progress=False), show_progress=False)

    def __call__(self, query, k):
        """The best documents, with their scores."""
        words = bm25s.tokenize([query], show_progress=False)
        places, scores = self.index.retrieve(words, k=min(k, len(self.rows)), show_progress=False)
        return [(self.rows[place]["_id"], float(score)) for place, score in zip(places[0], scores[0], strict=True)]

    def write_run(self, queries, path, k=100):
        """Write what it finds as a TREC run."""
        lines = [
            f"{row['_id']} Q0 {document} {rank} {score:.6f} bm25s\n"
            for row in queries
            for rank, (document, score) in enumerate(self(row["text"], k), 1)
        ]
        path.write_bytes(gzip.compress("".join(lines).encode()))


class Known:
    """A model of mteb's own protocol, made by hand: it returns rankings that are known."""

    mteb_model_meta = ModelMeta.create_empty(overwrites={"name": "tests/known"})

    def __init__(self, rankings):
        self.rankings = rankings

    def index(self, corpus, **_):
        """Index nothing."""

    def search(self, queries, **_):
        """The rankings."""
        return {query: dict(self.rankings[query]) for query in queries["id"]}


@pytest.fixture
def scifact():
    """SciFact: 5,183 abstracts, 300 claims."""
    folder = os.environ.get("EMBEDQA_DATASETS")
    if not folder or not (Path(folder) / "mteb/scifact").is_dir():
        pytest.skip("EMBEDQA_DATASETS names no folder with mteb/scifact")
    return Path(folder)


def compared(query, system, rankings, qrels, datasets=None):
    """Evaluate a system, and require the scores of plain mteb and of pytrec_eval on the same rankings."""
    result = Evaluator(datasets=datasets).result(query, system)
    expected = pytrec_eval.RelevanceEvaluator(qrels, set(SAME.values())).evaluate(rankings)
    assert len(expected) == len(qrels)
    for metric, theirs in SAME.items():
        assert result[metric] == pytest.approx(np.mean([one[theirs] for one in expected.values()]), abs=1e-5), metric
    if datasets is None:
        task = find_task(query)
        (plain,) = mteb.evaluate(Known(rankings), task, cache=None, co2_tracker=False, show_progress_bar=False)
        theirs = plain.scores["test"][0]
        ours = result.scores["test"]["default"]
        assert ours.keys() == theirs.keys()
        for metric, value in theirs.items():
            if isinstance(value, float):
                assert ours[metric] == pytest.approx(value, abs=1e-5, nan_ok=True), metric
    return result


def judged(folder):
    """The judgements of a folder."""
    qrels = {}
    for line in (folder / "qrels/test.tsv").read_text().splitlines()[1:]:
        query, document, grade = line.split("\t")
        qrels.setdefault(query, {})[document] = int(grade)
    return qrels


def test_a_run_of_bm25s_scores_as_in_plain_mteb(tmp_path):
    """All metrics of a gzipped run are those of plain mteb, and of pytrec_eval on what its own reader reads."""
    run, search = tmp_path / "bm25s.trec.gz", Bm25(HANDBOOK)
    search.write_run(rows_of(HANDBOOK / "queries.jsonl"), run)
    rankings = pytrec_eval.parse_run(gzip.decompress(run.read_bytes()).decode().splitlines())
    system = Retrievers().of_run(RetrieverChoice(run=run, name="bm25s.trec.gz"))
    result = compared(OURS, system, rankings, judged(HANDBOOK))
    assert 0.3 < result.main_score < 0.99


def test_the_same_search_as_a_pipeline_scores_the_same(tmp_path):
    """What a pipeline returns is scored as the run that it would write; equal scores keep its own order there."""
    search = Bm25(HANDBOOK)
    rankings = {row["_id"]: dict(search(row["text"], 1000)) for row in rows_of(HANDBOOK / "queries.jsonl")}
    system = Retrievers().of_pipeline(search, 1000)
    result = Evaluator().result(OURS, system)
    order = {query: {one: -float(rank) for rank, one in enumerate(found)} for query, found in rankings.items()}
    expected = pytrec_eval.RelevanceEvaluator(judged(HANDBOOK), {"ndcg_cut_10", "recall_100"}).evaluate(order)
    for metric in ("ndcg_at_10", "recall_at_100"):
        theirs = np.mean([one[SAME[metric]] for one in expected.values()])
        assert result[metric] == pytest.approx(theirs, abs=1e-5)


@pytest.mark.slow
def test_a_run_on_a_public_task_scores_as_trec_eval_says(tmp_path, scifact):
    """SciFact, with all its ids, from the run of another tool."""
    folder = scifact / "mteb/scifact"
    qrels = {}
    for row in rows_of(folder / "qrels/test.jsonl"):
        qrels.setdefault(str(row["query-id"]), {})[str(row["corpus-id"])] = int(row["score"])
    queries = [row for row in rows_of(folder / "queries.jsonl") if row["_id"] in qrels]
    run, search = tmp_path / "scifact.trec.gz", Bm25(folder)
    search.write_run(queries, run)
    rankings = pytrec_eval.parse_run(gzip.decompress(run.read_bytes()).decode().splitlines())
    system = Retrievers().of_run(RetrieverChoice(run=run, name="scifact"))
    result = compared(TaskQuery("SciFact"), system, rankings, qrels, scifact)
    assert result.details.units == 300
    assert 0.55 < result.main_score < 0.75


@pytest.fixture(scope="module")
def builtin():
    """The embedded model, and its scores on the handbook."""
    store = Store(None)
    encoder = load_encoder(parse_spec("builtin"), store)
    yield encoder, Evaluator().result(OURS, encoder)
    encoder.close()
    store.close()


def of_langchain(rows, encoder):
    """A vector store of LangChain, with the documents' ids in their metadata."""
    vectorstores = pytest.importorskip("langchain_core.vectorstores")
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings

    class Own(Embeddings):
        def embed_documents(self, texts):
            return encoder.encode(texts, "document").tolist()

        def embed_query(self, text):
            return encoder.encode([text], "query")[0].tolist()

    store = vectorstores.InMemoryVectorStore(Own())
    store.add_documents([Document(whole(row), metadata={"_id": row["_id"]}) for row in rows])
    return lambda query, k: store.similarity_search_with_score(query, k=k)


def of_texts(rows, encoder):
    """A search of one's own that returns nothing but texts."""
    texts = list(map(whole, rows))
    vectors = encoder.encode(texts, "document")

    def search(query, k):
        order = np.argsort(-(vectors @ encoder.encode([query], "query")[0]), kind="stable")[:k]
        return [texts[place] for place in order]

    return search


def of_faiss(rows, encoder):
    """An exact index of faiss, whose row numbers become ids."""
    faiss = pytest.importorskip("faiss")
    index = faiss.IndexFlatIP(384)
    index.add(encoder.encode(list(map(whole, rows)), "document"))

    def search(query, k):
        scores, places = index.search(encoder.encode([query], "query"), min(k, len(rows)))
        return [(rows[place]["_id"], score) for place, score in zip(places[0], scores[0], strict=True)]

    return search


def of_chroma(rows, encoder):
    """A collection of Chroma, which returns distances; its ids are the documents'."""
    chromadb = pytest.importorskip("chromadb")
    collection = chromadb.EphemeralClient().create_collection("handbook", configuration={"hnsw": {"space": "cosine"}})
    texts = list(map(whole, rows))
    collection.add(ids=[row["_id"] for row in rows], documents=texts, embeddings=encoder.encode(texts, "document"))
    return lambda query, k: collection.query(query_embeddings=encoder.encode([query], "query"), n_results=k)


@pytest.mark.slow
@pytest.mark.parametrize("made", [of_langchain, of_texts, of_faiss, of_chroma], ids=lambda made: made.__name__)
def test_pipelines_of_other_libraries_score_as_the_encoder_in_them(builtin, made):
    """With the same vectors, searched exactly, a pipeline's score is the encoder's, in whatever form it answers."""
    encoder, expected = builtin
    system = Retrievers().of_pipeline(made(rows_of(HANDBOOK / "corpus.jsonl"), encoder), 100)
    result = Evaluator().result(OURS, system)
    for metric in ("ndcg_at_10", "recall_at_10", "mrr_at_10", "recall_at_100"):
        assert result[metric] == pytest.approx(expected[metric], abs=1e-5), metric

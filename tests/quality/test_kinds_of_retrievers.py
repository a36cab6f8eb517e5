"""Each kind of retriever scores what plain mteb gives the same model object; systems of several, what their parts give by hand."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import mteb
import numpy as np
import pytest
import transformers
from mteb.models.hybrid_wrappers import HybridSearch, fuse_rrf
from mteb.models.model_implementations.bm25 import BM25Search
from mteb.models.sentence_transformer_wrapper import CrossEncoderWrapper, MultiVectorWrapper, SparseEncoderWrapper
from retriever_models import composed, cross_encoder, multi_vector, pool, sparse
from tiny_data import write_dataset

from pytest_embedqa.core.errors import EngineError, SpecError, TaskError
from pytest_embedqa.core.evidence import Exhibit
from pytest_embedqa.encoders.composites import Rerank, rerank_spec
from pytest_embedqa.encoders.load import load_model
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.quality.mteb import evaluation
from pytest_embedqa.quality.mteb import exact_search as search_module
from pytest_embedqa.quality.mteb import separation as separation_module
from pytest_embedqa.quality.mteb.corpus import Corpus
from pytest_embedqa.quality.mteb.evaluation import evaluate, load, quietly
from pytest_embedqa.quality.mteb.searchers import model_of
from pytest_embedqa.quality.mteb.stages import main_score_of, stages_of
from pytest_embedqa.quality.mteb.tasks import find_task
from pytest_embedqa.quality.own_tasks import retrieval_task, sts_task
from pytest_embedqa.quality.sampling import sample
from pytest_embedqa.quality.task import TaskQuery
from pytest_embedqa.upgrade.fingerprint import computes_the_same, fingerprint

ROOT = Path(__file__).parents[2]
CODE = TaskQuery(retrieval_task("suites/data/code").beside(ROOT, None))
SIMILARITY = TaskQuery(sts_task("suites/data/similarity/test.jsonl").beside(ROOT, None))
RERANKING = TaskQuery("AskUbuntuDupQuestions")
PART = ("test", "default")


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    """A model of sentence-transformers of each kind."""
    folder = tmp_path_factory.mktemp("models")
    return {
        "sparse": sparse(),
        "multi-vector": multi_vector(folder / "tokens"),
        "reranker": cross_encoder(folder / "pairs"),
    }


@pytest.fixture(scope="module")
def systems(objects):
    """The same models as this plugin takes them."""
    return {kind: pool().given(model) for kind, model in objects.items()}


@pytest.fixture
def candidates(tmp_path, monkeypatch):
    """A task of mteb's with candidates, on the queries and documents of a suite; five a query, one of which is right."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rows = find_task(CODE).dataset["default"]["test"]
    documents, queries = list(rows["corpus"]["id"]), list(rows["queries"]["id"])
    judged = rows["relevant_docs"]
    ranked = {
        query: sorted({*judged[query], *(documents[(7 * place + step) % len(documents)] for step in (0, 3, 31, 64))})
        for place, query in enumerate(queries)
    }
    write_dataset(
        tmp_path / find_task(RERANKING).metadata.dataset["path"],
        {
            "corpus": {
                "test": [
                    {"_id": id_, "title": "", "text": text}
                    for id_, text in zip(documents, rows["corpus"]["text"], strict=True)
                ]
            },
            "queries": {
                "test": [{"_id": id_, "text": text} for id_, text in zip(queries, rows["queries"]["text"], strict=True)]
            },
            "default": {
                "test": [
                    {"query-id": query, "corpus-id": document, "score": grade}
                    for query, grades in judged.items()
                    for document, grade in grades.items()
                ]
            },
            "top_ranked": {"test": [{"query-id": query, "corpus-ids": some} for query, some in ranked.items()]},
        },
    )
    return tmp_path


def wrapped(kind, model):
    """The model as plain mteb wraps it."""
    wrappers = {"sparse": SparseEncoderWrapper, "multi-vector": MultiVectorWrapper, "reranker": CrossEncoderWrapper}
    return wrappers[kind](model)


def by_mteb(model, query, datasets=None):
    """The scores of plain mteb on the same data, by metric."""
    task = find_task(query)
    with quietly():
        load(task, datasets)
        (found,) = mteb.evaluate(model, task, cache=None, co2_tracker=False, show_progress_bar=False)
    return found.scores["test"][0]


def assert_same(ours, theirs, *, but=()):
    """All metrics that mteb gives, but for those that begin with ``but``."""
    mine = ours.scores["test"]["default"]
    compared = {
        metric: value for metric, value in theirs.items() if isinstance(value, float) and not metric.startswith(but)
    }
    assert {metric: mine[metric] for metric in compared} == pytest.approx(compared, abs=1e-5, nan_ok=True)
    assert "main_score" in compared


@pytest.mark.parametrize("documents", [7, 1 << 14])
@pytest.mark.parametrize("kind", ["sparse", "multi-vector"])
def test_retrieval_is_that_of_plain_mteb(monkeypatch, objects, systems, kind, documents):
    """The whole corpus is ranked, in small blocks or in one."""
    monkeypatch.setattr(search_module, "_DOCUMENTS", documents)
    assert_same(evaluate(CODE, systems[kind]), by_mteb(wrapped(kind, objects[kind]), CODE))


@pytest.mark.parametrize("kind", ["sparse", "multi-vector", "reranker"])
def test_reranking_is_that_of_plain_mteb(candidates, objects, systems, kind):
    """The candidates of each query are ranked, and nothing else is computed."""
    before = systems[kind].encoded
    ours = evaluate(RERANKING, systems[kind], datasets=candidates)
    assert_same(ours, by_mteb(wrapped(kind, objects[kind]), RERANKING, candidates))
    if kind == "reranker":
        rows = find_task(CODE).dataset["default"]["test"]
        assert systems[kind].encoded - before <= 5 * len(rows["queries"])


@pytest.mark.parametrize("kind", ["sparse", "multi-vector"])
def test_separation_is_that_of_the_similarity(monkeypatch, objects, systems, kind):
    """Of judged pairs and as many others, by the model's own similarity, some pairs at a time."""
    monkeypatch.setattr(separation_module, "_PAIRS", 7)
    monkeypatch.setattr(separation_module, "separation", lambda *both: seen.extend(both) or 0.5)
    seen = []
    found = evaluate(CODE, systems[kind])
    assert found.score("spearman") == 0.5
    rows = find_task(CODE).dataset["default"]["test"]
    asked, texts = (dict(zip(rows[name]["id"], rows[name]["text"], strict=True)) for name in ("queries", "corpus"))
    pairs = [(query, one) for query, grades in sorted(rows["relevant_docs"].items()) for one in grades]
    model = objects[kind]
    by_hand = [
        float(model.similarity(model.encode_query([asked[query]]), model.encode_document([texts[one]]))[0, 0])
        for query, one in pairs[:9]
    ]
    assert seen[0][:9] == pytest.approx(by_hand, abs=1e-4)
    _, others = separation_module._judged_pairs(
        rows["relevant_docs"], Corpus(rows["corpus"]), np.random.default_rng(separation_module._SEED)
    )
    ids = rows["corpus"]["id"]
    by_hand = [
        float(model.similarity(model.encode_query([asked[query]]), model.encode_document([texts[ids[other]]]))[0, 0])
        for (query, _), other in list(zip(pairs, others, strict=True))[5:12]
    ]
    assert seen[1][5:12] == pytest.approx(by_hand, abs=1e-4)
    assert len(seen[0]) == len(seen[1]) == len(pairs)


def test_sparse_similarity_is_that_of_plain_mteb(objects, systems):
    """Of sparse vectors, mteb's code for pairs of texts gets dense ones."""
    assert_same(evaluate(SIMILARITY, systems["sparse"]), by_mteb(wrapped("sparse", objects["sparse"]), SIMILARITY))


def test_sparse_candidates_of_a_retrieval_task_are_ranked(monkeypatch, objects, systems):
    """Where mteb fails: a task of the type Retrieval that brings candidates. Compared with scores by hand."""

    def with_candidates(query):
        task = find_task(query)
        rows = task.dataset["default"]["test"]
        rows["top_ranked"] = {
            query: list(rows["corpus"]["id"][place % 100 : place % 100 + 9])
            for place, query in enumerate(rows["queries"]["id"])
        }
        return task

    task = with_candidates(CODE)
    with quietly(), pytest.raises(NotImplementedError, match="aten::index"):
        mteb.evaluate(
            wrapped("sparse", objects["sparse"]), task, cache=None, co2_tracker=False, show_progress_bar=False
        )
    monkeypatch.setattr(evaluation, "find_task", with_candidates)
    found = evaluate(CODE, systems["sparse"])
    rows = with_candidates(CODE).dataset["default"]["test"]
    texts = dict(zip(rows["corpus"]["id"], rows["corpus"]["text"], strict=True))
    by_hand = {}
    for query, text in zip(rows["queries"]["id"], rows["queries"]["text"], strict=True):
        asked = objects["sparse"].encode_query([text])
        some = rows["top_ranked"][query]
        scores = objects["sparse"].similarity(asked, objects["sparse"].encode_document([texts[one] for one in some]))[0]
        by_hand[query] = dict(zip(some, scores.tolist(), strict=True))
    assert found.score() == pytest.approx(main_score_of(task, {PART: by_hand}), abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sparse", "multi-vector"])
def test_public_data_is_ranked_as_by_plain_mteb(objects, systems, kind, request):
    """A part of SciFact, of which both sides see the same queries and documents."""
    folder = request.getfixturevalue("datasets_folder")
    query = TaskQuery("SciFact", limit=60)
    task = find_task(query)
    with quietly():
        load(task, folder)
        sample(task, 60)
        (found,) = mteb.evaluate(
            wrapped(kind, objects[kind]), task, cache=None, co2_tracker=False, show_progress_bar=False
        )
    assert_same(evaluate(query, systems[kind], datasets=folder), found.scores["test"][0])


@pytest.fixture
def datasets_folder():
    """The folder of public data."""
    import os

    given = os.environ.get("EMBEDQA_DATASETS")
    if not given:
        pytest.skip("needs EMBEDQA_DATASETS")
    return Path(given)


@pytest.mark.parametrize("kind", ["multi-vector", "reranker", "bm25", "hybrid", "rerank"])
def test_pairs_need_one_vector_a_text(monkeypatch, systems, kind):
    """What mteb refuses is refused before anything is read or computed, with the types of task that can be evaluated."""

    def read(*_):
        raise AssertionError("the data was read")

    monkeypatch.setattr(evaluation, "load", read)
    several = {
        "bm25": "bm25",
        "hybrid": "hybrid:[bm25][a/sparse]",
        "rerank": "rerank:[bm25][a/reranker]",
    }
    parts = {f"a/{name}": system for name, system in systems.items()}
    system = systems[kind] if kind in systems else composed(several[kind], **parts)
    before = system.encoded
    wanted = (
        rf"is of the type STS, which needs one vector of each text, and '.*' \({kind}\) has none\. It can be evaluated on tasks that rank "
        "documents: Retrieval, Reranking, InstructionRetrieval, InstructionReranking"
    )
    with pytest.raises(TaskError, match=wanted):
        evaluate(SIMILARITY, system)
    assert system.encoded == before


def test_reranker_needs_candidates(systems):
    """A retrieval task brings none: the error names the argument that finds them."""
    wanted = (
        r"is a reranker: it scores candidates and finds none, and code brings none\. Name what finds them:  "
        r"@mteb_task\(\.\.\., first_stage=\"bm25\"\)  .*--embedqa-model='rerank:\[bm25\]\[RERANKER\]'"
    )
    with pytest.raises(TaskError, match=wanted):
        evaluate(CODE, systems["reranker"])


def test_bm25_is_that_of_mteb(candidates):
    """A document without a word of the query is not found; what mteb's object scores otherwise stands in a note. Candidates are all scored."""
    bm25 = composed("bm25")
    ours, theirs = evaluate(CODE, bm25), by_mteb(mteb.get_model("mteb/baseline-bm25s"), CODE)
    task = find_task(CODE)
    rows = task.dataset["default"]["test"]
    about = {
        "task_metadata": task.metadata,
        "hf_split": "test",
        "hf_subset": "default",
        "encode_kwargs": {},
        "num_proc": None,
    }
    search = BM25Search()
    search.index(rows["corpus"], **about)
    found = search.search(rows["queries"], top_k=1000, **about)
    held = {query: {one: score for one, score in scores.items() if score > 0} for query, scores in found.items()}
    assert sum(map(len, held.values())) < sum(map(len, found.values()))
    assert ours.score() == pytest.approx(main_score_of(task, {PART: held}), abs=1e-5)
    (note,) = ours.notes
    assert note == (
        f"mteb's BM25Search gives {theirs['main_score']:.4f} where this is {ours.score():.4f}: it also ranks documents that hold no "
        "word of the query"
    )
    assert ours.bytes is not None
    assert ours.bytes < 1000
    model = model_of(bm25, {})
    with quietly():
        again = find_task(RERANKING)
        load(again, candidates)
    some = again.dataset["default"]["test"]
    model.index(some["corpus"], **about)
    ranked = model.search(some["queries"], top_k=2, top_ranked=some["top_ranked"], **about)
    assert {query: set(scores) for query, scores in ranked.items()} == {
        query: set(ids) for query, ids in some["top_ranked"].items()
    }
    for query, scores in ranked.items():
        assert scores == pytest.approx({one: found[query].get(one, 0.0) for one in scores}, abs=1e-5)
    lost = search.search(some["queries"], top_k=2, top_ranked=some["top_ranked"], **about)
    assert sum(map(len, lost.values())) < sum(map(len, ranked.values()))


@pytest.mark.parametrize(("options", "rrf_k", "weights"), [("", 60, None), ("?k=2&weights=0.8,0.2", 2, [0.8, 0.2])])
def test_hybrid_leaves_out_what_was_not_found(objects, systems, options, rrf_k, weights):
    """By hand: mteb's own fusion of the lists without documents of score 0; mteb's HybridSearch stands beside it."""
    system = composed(f"hybrid:[a/tokens][bm25]{options}", **{"a/tokens": systems["multi-vector"]})
    ours = evaluate(CODE, system)
    tokens = wrapped("multi-vector", objects["multi-vector"])
    theirs = by_mteb(HybridSearch([tokens, mteb.get_model("mteb/baseline-bm25s")], weights=weights, rrf_k=rrf_k), CODE)
    task = find_task(CODE)
    rows = task.dataset["default"]["test"]
    about = {
        "task_metadata": task.metadata,
        "hf_split": "test",
        "hf_subset": "default",
        "encode_kwargs": {"batch_size": 8},
        "num_proc": None,
    }
    lists = []
    for model in (tokens, BM25Search()):
        model.index(rows["corpus"], **about)
        lists.append(model.search(rows["queries"], top_k=1000, **about))
    fused = {
        query: fuse_rrf(
            [lists[0][query], {one: score for one, score in lists[1][query].items() if score}],
            weights or [0.5, 0.5],
            rrf_k=rrf_k,
        )
        for query in rows["queries"]["id"]
    }
    assert ours.score() == pytest.approx(main_score_of(task, {PART: fused}), abs=1e-5)
    said, beside = ours.notes
    parts = " to ".join(f"{one:g}" for one in weights or [0.5, 0.5])
    assert said == (
        f"fused by rrf, k = {rrf_k} (60 in mteb and LanceDB, 2 in Qdrant), weights {parts}, documents of each list: as many as the task "
        "asks for (1,000)"
    )
    assert beside.startswith(f"mteb's HybridSearch gives {theirs['main_score']:.4f} where this is {ours.score():.4f}: ")


def test_hybrid_leaves_out_sparse_documents_without_a_common_word(systems):
    """A sparse model's score is 0 where no dimension is common: such a document is not found. mteb lists it."""
    parts = {"a/words": systems["sparse"], "a/again": systems["sparse"]}
    model, task = model_of(composed("hybrid:[a/words][a/again]", **parts), {}), find_task(CODE)
    rows = task.dataset["default"]["test"]
    about = {"task_metadata": task.metadata, "hf_split": "test", "hf_subset": "default"}
    model.index(rows["corpus"], **about)
    found = model.search(rows["queries"], top_k=130, **about)
    assert {len(scores) for scores in model.theirs[PART].values()} == {130}
    alone = model_of(systems["sparse"], {})
    alone.index(rows["corpus"], **about)
    scored = alone.search(rows["queries"], top_k=130, **about)
    assert {query: set(scores) for query, scores in found.items()} == {
        query: {one for one, score in scores.items() if score} for query, scores in scored.items()
    }
    assert min(map(len, found.values())) < 130


@pytest.mark.parametrize("fusion", ["dbsf", "rsf"])
def test_fusions_without_absent_documents_are_those_of_mteb(objects, systems, fusion):
    """Where each part finds every document, nothing is left out, and mteb's HybridSearch gives the same.

    The standard deviation of such scores is the same for each query but for rounding, and nAUC goes by its order.
    """
    parts = {"a/one": systems["multi-vector"], "a/two": systems["multi-vector"]}
    ours = evaluate(CODE, composed(f"hybrid:[a/one][a/two]?fusion={fusion}&weights=0.3,0.7", **parts))
    models = [wrapped("multi-vector", objects["multi-vector"]) for _ in range(2)]
    assert_same(ours, by_mteb(HybridSearch(models, weights=[0.3, 0.7], fusion_strategy=fusion), CODE), but=("nauc_",))
    assert [note.partition(",")[0] for note in ours.notes] == [f"fused by {fusion}"]


def test_two_stages_are_those_of_mteb(tmp_path, objects, systems):
    """As in mteb, where the first model's predictions are kept, converted to candidates, and given to a cross-encoder."""
    parts = {"a/tokens": systems["multi-vector"], "a/pairs": systems["reranker"]}
    ours = evaluate(CODE, composed("rerank:[a/tokens][a/pairs]?top_k=10", **parts))
    first, second = find_task(CODE), find_task(CODE)
    with quietly():
        mteb.evaluate(
            wrapped("multi-vector", objects["multi-vector"]),
            first,
            cache=None,
            co2_tracker=False,
            prediction_folder=tmp_path,
            show_progress_bar=False,
        )
        second.convert_to_reranking(tmp_path, top_k=10)
        (theirs,) = mteb.evaluate(
            wrapped("reranker", objects["reranker"]), second, cache=None, co2_tracker=False, show_progress_bar=False
        )
    assert_same(ours, theirs.scores["test"][0])
    stages, ranked = ours.stages, second.dataset["default"]["test"]["top_ranked"]
    assert stages.candidates[PART] == dict(ranked)
    judged = first.dataset["default"]["test"]["relevant_docs"]
    found = {query: len(set(ranked[query]) & {*grades}) / len(grades) for query, grades in judged.items()}
    assert stages.recall == pytest.approx(np.mean(list(found.values())))
    assert stages.missed == sum(not share for share in found.values())
    # Each query of this data has one answer: the best order puts it first.
    assert stages.ceiling == pytest.approx(stages.recall, abs=1e-5)
    assert ours.score() <= stages.ceiling
    assert stages.queries == 130

    def first(documents, query):
        return next(place for place, one in enumerate(documents) if one in judged[query])

    moved = [
        first(ours.exhibits[PART].rankings[query], query) - first(ranked[query], query)
        for query, share in found.items()
        if share
    ]
    assert (stages.lower, stages.higher) == (sum(one > 0 for one in moved), sum(one < 0 for one in moved))
    assert stages.lower
    assert stages.higher
    missed = f"{stages.missed} of 130 queries have no relevant document among them"
    ceiling = f"their best order would score {stages.ceiling:.4f}"
    assert stages.lines == [
        f"first stage {stages.first_stage}: recall {stages.recall:.4f} at 10 candidates; {ceiling}; {missed}",
        f"reranker {stages.reranker}: the first relevant document moved forward for {stages.higher} queries, back for {stages.lower}",
    ]


def test_first_stage_chooses_among_the_candidates_of_a_task(candidates, systems):
    """Two stages as the model under test, on a task that brings candidates: the second sees the best of them."""
    system = composed("rerank:[bm25][a/pairs]?top_k=2", **{"a/pairs": systems["reranker"]})
    found = evaluate(RERANKING, system, datasets=candidates)
    assert {len(some) for some in found.stages.candidates[PART].values()} == {2}
    assert found.stages.recall < 1


def test_candidates_of_a_task_leave_no_first_stage_to_choose(candidates, systems):
    """A marker that names a first stage contradicts a task that brings candidates."""
    query = TaskQuery("AskUbuntuDupQuestions", first_stage="bm25", top_k=5)
    system = composed("rerank:[bm25][a/pairs]?top_k=5", **{"a/pairs": systems["reranker"]})
    with pytest.raises(TaskError, match="brings the candidates of each query: there is no first stage to choose"):
        evaluate(query, system, datasets=candidates)


def test_model_of_images_is_refused(tmp_path):
    """What takes no text at all is named with what it takes."""
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.ViTConfig(**sizes, image_size=32, patch_size=16)
    transformers.ViTModel(config).save_pretrained(tmp_path)
    transformers.ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    with pytest.raises(
        EngineError, match=r"takes image and no text\. Only text is encoded here: images, audio and video stay out"
    ):
        load_model(parse_spec(f"st:{tmp_path}"), None)


def test_query_for_which_nothing_is_found_counts(systems):
    """A query without a word of any document has no candidates, and the value 0."""
    task = find_task(CODE)
    assert main_score_of(task, {PART: {query: {} for query in task.dataset["default"]["test"]["queries"]["id"]}}) == 0
    rows = task.dataset["default"]["test"]
    one = rows["queries"]["id"][0]
    right = {query: dict(rows["relevant_docs"][query]) for query in rows["queries"]["id"]}
    assert main_score_of(task, {PART: {**right, one: {}}}) == pytest.approx(129 / 130, abs=1e-5)


def test_fingerprint_tells_models_apart(tmp_path, objects, systems):
    """Whatever its name, another model of a kind computes another one; a composite has that of each of its models."""
    others = {
        "sparse": sparse(seed=1),
        "multi-vector": multi_vector(tmp_path / "a", seed=1),
        "reranker": cross_encoder(tmp_path / "b", seed=1),
    }
    for kind, model in others.items():
        before, again, now = (fingerprint(pool().given(one)) for one in (objects[kind], objects[kind], model))
        assert before.shape[1] == 64
        assert computes_the_same(before, again), kind
        assert not computes_the_same(before, now), kind
    parts = {"a/words": systems["sparse"], "a/pairs": systems["reranker"]}
    whole = fingerprint(composed("rerank:[hybrid:[bm25][a/words]][a/pairs]", **parts))
    np.testing.assert_array_equal(whole, np.concatenate([fingerprint(one) for one in parts.values()]))
    nothing = fingerprint(composed("bm25"))
    assert nothing.shape == (0, 64)
    assert computes_the_same(np.array([]), nothing)


def test_wrong_parts_are_named(systems):
    """What can't search is no first stage and no part of a hybrid; other faults of a composite spec."""
    parts = {"a/pairs": systems["reranker"], "a/words": systems["sparse"]}
    for text, says in {
        "rerank:[a/pairs][a/pairs]": "scores candidates and finds none, so it can't be a first stage",
        "hybrid:[bm25][a/pairs]": "is a reranker: it scores candidates and searches nothing",
        "hybrid:[bm25][a/words]?weights=1,2,3": "has 3 weights for 2 systems. Give one for each.",
        "hybrid:[bm25][a/words]?fusion=dbsf&k=2": "k= is for fusion=rrf; dbsf has no such constant",
    }.items():
        with pytest.raises(SpecError, match=re.escape(says)):
            composed(text, **parts)
    with pytest.raises(SpecError, match="ranks documents and has no vectors of texts"):
        composed("bm25").encode(["text"])


def test_identity_is_that_of_all_parts(systems):
    """Whatever decides a ranking decides the digest; what each part is called, the name."""
    parts = {"a/tokens": systems["multi-vector"], "a/words": systems["sparse"]}

    def digest(text):
        return composed(text, **parts).identity.digest

    texts = [
        "hybrid:[a/tokens][a/words]",
        "hybrid:[a/words][a/tokens]",
        "hybrid:[a/tokens][bm25]",
        "hybrid:[a/tokens][a/words]?k=2",
        "hybrid:[a/tokens][a/words]?weights=1,2",
        "hybrid:[a/tokens][a/words]?top_k=7",
        "hybrid:[a/tokens][a/words]?fusion=rsf",
        "rerank:[a/tokens][a/words]",
        "rerank:[a/tokens][a/words]?top_k=7",
    ]
    assert len({digest(text) for text in texts}) == len(texts)
    assert digest("hybrid:[a/tokens][a/words]?k=60&fusion=rrf&weights=0.5,0.5") == digest(texts[0])
    assert composed("bm25").name == "mteb/baseline-bm25s"
    spec = rerank_spec(parse_spec("bm25"), parse_spec("a/words"), 7)
    assert str(spec) == "rerank:[bm25][a/words]?top_k=7" == str(parse_spec(str(spec)))
    assert isinstance(composed(str(spec), **parts), Rerank)


def test_movements_beyond_the_shown_rankings_are_counted(systems):
    """A relevant document that moves between places beyond the hundred that reports keep has moved forward, not been lost."""
    parts = {"a/tokens": systems["multi-vector"], "a/pairs": systems["reranker"]}
    system, task = composed("rerank:[a/tokens][a/pairs]?top_k=130", **parts), find_task(CODE)
    ours, rows = evaluate(CODE, system), task.dataset["default"]["test"]
    about = {"task_metadata": task.metadata, "hf_split": "test", "hf_subset": "default"}
    scorer = model_of(systems["reranker"], {})
    scorer.index(rows["corpus"], **about)
    candidates = ours.stages.candidates[PART]
    scored = scorer.search(rows["queries"], top_ranked=candidates, **about)
    moved = []
    for query, grades in rows["relevant_docs"].items():
        after = sorted(scored[query], key=lambda one: (scored[query][one], one), reverse=True)
        moved.append([next(at for at, one in enumerate(some) if one in grades) for some in (candidates[query], after)])
    assert any(before > after >= 100 for before, after in moved)
    assert ours.stages.higher == sum(after < before for before, after in moved)
    assert ours.stages.lower == sum(after > before for before, after in moved)


def test_a_document_that_is_the_query_moves_nothing():
    """Where a task takes the query's own document out of a ranking, it counts neither before nor after the reranker."""
    task = find_task(CODE)
    task.ignore_identical_ids = True
    query, grades = next(iter(task.dataset["default"]["test"]["relevant_docs"].items()))
    relevant = next(iter(grades))
    before, after = [query, relevant, "other"], [relevant, "other", query]
    model = SimpleNamespace(candidates={PART: {query: before}}, reranked={PART: {query: after}})
    system = composed("rerank:[bm25][bm25]")
    exhibit = Exhibit({query: ""}, {query: [relevant, "other"]}, {query: [relevant]}, {})
    stages = stages_of(task, system, model, {PART: exhibit})
    assert (stages.lower, stages.higher, stages.missed) == (0, 0, 0)


def test_candidates_share_an_active_dimension_with_the_query(systems):
    """A sparse first stage finds no document whose score is 0: it is no candidate, also where top_k is larger than the corpus."""
    parts = {"a/words": systems["sparse"], "a/pairs": systems["reranker"]}
    stages = evaluate(CODE, composed("rerank:[a/words][a/pairs]?top_k=500", **parts)).stages
    alone, rows = model_of(systems["sparse"], {}), find_task(CODE).dataset["default"]["test"]
    about = {"task_metadata": find_task(CODE).metadata, "hf_split": "test", "hf_subset": "default"}
    alone.index(rows["corpus"], **about)
    scored = alone.search(rows["queries"], top_k=500, **about)
    assert {query: set(some) for query, some in stages.candidates[PART].items()} == {
        query: {one for one, score in scores.items() if score} for query, scores in scored.items()
    }
    assert min(map(len, stages.candidates[PART].values())) < len(rows["corpus"])


def test_why_mteb_gives_another_score(systems):
    """Short lists, and documents without a word of the query, are told apart: the note names what is so of the system."""
    parts = {"a/tokens": systems["multi-vector"]}
    for spec, why in {
        "hybrid:[a/tokens][a/tokens]?top_k=1": "it fuses 1,000 documents of each list, whatever its sub_model_top_k",
        "hybrid:[a/tokens][hybrid:[bm25][bm25]]": "it also ranks documents that hold no word of the query",
    }.items():
        assert evaluate(CODE, composed(spec, **parts)).notes[-1].endswith(f": {why}")


@pytest.mark.parametrize("spec", ["bm25", "hybrid:[a/tokens][bm25]", "rerank:[bm25][a/tokens]"])
def test_words_of_another_language_are_noted(tmp_path, systems, spec):
    """Chinese has no spaces: BM25 with English words finds nothing in it, and its score says nothing of the data."""
    folder = tmp_path / "zh"
    (folder / "qrels").mkdir(parents=True)
    rows = {"1": ("火车票怎么退款", "火车票可以在出发前一天退款"), "2": ("面包烤多久", "面包在烤箱里烤四十分钟")}
    for file, place in (("queries.jsonl", 0), ("corpus.jsonl", 1)):
        lines = [json.dumps({"_id": id_, "text": texts[place]}) for id_, texts in rows.items()]
        (folder / file).write_text("\n".join(lines), encoding="utf-8")
    judged = "".join(f"{id_}\t{id_}\t1\n" for id_ in rows)
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged, encoding="utf-8")
    task = TaskQuery(retrieval_task("zh").beside(tmp_path, None))
    (note,) = [
        one
        for one in evaluate(task, composed(spec, **{"a/tokens": systems["multi-vector"]})).notes
        if "bm25 finds" in one
    ]
    assert note.startswith("bm25 finds nothing for 2 of 2 queries: they share no word with any document.")
    assert not any("bm25 finds" in one for one in evaluate(CODE, composed("bm25")).notes)


def test_a_model_in_several_places_is_counted_once(systems):
    """What it computes and cuts counts once, also where it stands in a system within a system."""
    words = systems["sparse"]
    system = composed("hybrid:[a/words][rerank:[a/words][a/words]]", **{"a/words": words})
    before = words.encoded
    computed = system.encoded
    with system.counting_cuts() as cuts:
        words.encode(["a text that no other test has", "and another"])
    assert cuts.texts == 2
    assert (words.encoded - before, system.encoded - computed) == (2, 2)

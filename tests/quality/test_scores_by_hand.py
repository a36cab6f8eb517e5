"""Scores equal plain mteb's and a computation by hand: ties, grades, both directions, candidates, classes and clusters."""

from __future__ import annotations

import json
from math import log, log2

import mteb
import pytest
from table_model import PlainModel
from tiny_data import write_dataset

from pytest_embedqa import bitext_task, pair_task, retrieval_task, sts_task
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.quality.mteb.evaluation import evaluate, load, quietly
from pytest_embedqa.quality.mteb.tasks import find_task
from pytest_embedqa.quality.task import TaskQuery

# Documents by their cosine with "east"; the second and third are tied.
DOCUMENTS = {"d1": "a east", "d2": "b near", "d3": "c near", "d4": "d far", "d5": "e north", "d6": "f west"}
# trec_eval puts the greater id first among equal scores: d1, d3, d2, d4, d5, d6.
GRADES = {"d1": -1, "d2": 2, "d3": 0, "d4": 1, "d5": 3}


@pytest.fixture(scope="module")
def encoder():
    """The vectors of the table, through all that an encoder of ours does."""
    return load_encoder(parse_spec("python:table_model:encode?version=1"), None)


@pytest.fixture
def score(tmp_path, monkeypatch, encoder):
    """Evaluate a task with our encoder; whatever plain mteb gives on the same data must be the same."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def scored(task, configs=None):
        query, hub = TaskQuery(task), None
        if configs:
            hub = tmp_path / "hub"
            write_dataset(hub / mteb.get_task(task).metadata.dataset["path"], configs)
        with quietly():
            theirs = find_task(query)
            load(theirs, hub)
            (plain,) = mteb.evaluate(PlainModel(), theirs, cache=None, co2_tracker=False, show_progress_bar=False)
        found = evaluate(query, encoder, datasets=hub)
        (part,) = plain.scores["test"]
        told = {metric: value for metric, value in part.items() if isinstance(value, float)}
        assert {metric: found.score(metric) for metric in told} == pytest.approx(told, abs=1e-9, nan_ok=True)
        return found

    return scored


def table(path, columns, rows):
    """Write a table of one's own."""
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in [columns, *rows]))
    return path


def test_retrieval_with_ties_and_grades(tmp_path, score):
    """nDCG takes grades as gains; MAP, MRR, recall and precision take any grade above 0; what is below 0 gains nothing."""
    (tmp_path / "faq" / "qrels").mkdir(parents=True)
    for name, texts in (("corpus", DOCUMENTS), ("queries", {"q1": "where east", "q2": "where north"})):
        rows = (json.dumps({"_id": id_, "text": text}) + "\n" for id_, text in texts.items())
        (tmp_path / "faq" / f"{name}.jsonl").write_text("".join(rows))
    judged = [("q1", document, grade) for document, grade in GRADES.items()] + [("q2", "d5", 1)]
    (tmp_path / "faq" / "qrels" / "test.tsv").write_text(
        "".join("\t".join(map(str, row)) + "\n" for row in [("query-id", "corpus-id", "score"), *judged])
    )
    found = score(retrieval_task(tmp_path / "faq"))
    gained = 2 / log2(3 + 1) + 1 / log2(4 + 1) + 3 / log2(5 + 1)  # d2, d4 and d5 at ranks 3, 4 and 5
    ideal = 3 / log2(1 + 1) + 2 / log2(2 + 1) + 1 / log2(3 + 1)
    # q2 has its only document first.
    by_hand = {
        "ndcg_at_10": gained / ideal,
        "ndcg_at_3": 2 / log2(3 + 1) / ideal,
        "map_at_10": (1 / 3 + 2 / 4 + 3 / 5) / 3,
        "mrr_at_10": 1 / 3,
        "recall_at_3": 1 / 3,
    }
    for metric, of_q1 in by_hand.items():
        assert found.score(metric) == pytest.approx((of_q1 + 1) / 2, abs=1e-5), metric
    assert found.score("precision_at_5") == pytest.approx((3 / 5 + 1 / 5) / 2, abs=1e-5)
    assert found.score("hit_rate_at_1") == pytest.approx(1 / 2)
    assert found.exhibits["test", "default"].rankings["q1"] == ["d1", "d3", "d2", "d4", "d5", "d6"]


def test_reranking_looks_at_the_candidates_alone(score):
    """A document that is no candidate is neither found nor in the way; relevant ones count though they are no candidates."""
    found = score(
        "AskUbuntuDupQuestions",
        {
            "corpus": {"test": [{"_id": id_, "title": "", "text": text} for id_, text in DOCUMENTS.items()]},
            "queries": {"test": [{"_id": "q1", "text": "where east"}]},
            "default": {
                "test": [{"query-id": "q1", "corpus-id": id_, "score": int(id_ in "d4 d5 d6")} for id_ in DOCUMENTS]
            },
            "top_ranked": {"test": [{"query-id": "q1", "corpus-ids": ["d5", "d2", "d4"]}]},
        },
    )
    # d2, d4, d5; d6 is relevant, too.
    assert found.score("map_at_1000") == pytest.approx((1 / 2 + 2 / 3) / 3, abs=1e-5)
    assert found.score("mrr_at_10") == pytest.approx(1 / 2, abs=1e-5)


def test_spearman_with_ties_on_both_sides(tmp_path, score):
    """Equal similarities, and equal grades, share the mean of their ranks."""
    rows = [("east", 5), ("near", 3), ("b near", 4), ("far", 4), ("north", 1), ("west", 0)]
    path = table(
        tmp_path / "s.csv",
        ("sentence1", "sentence2", "score"),
        [("where east", f"at {place}", grade) for place, grade in rows],
    )
    found = score(sts_task(path))
    # Ranks 6, 4.5, 4.5, 3, 2, 1 and 6, 3, 4.5, 4.5, 2, 1: each has the sum of squares 17.5 - 0.5, and they differ by 4.5.
    assert found.score("cosine_spearman") == pytest.approx((17 + 17 - 4.5) / (2 * 17), abs=1e-9)
    # Cosines 1, 0.8, 0.8, 0.6, 0, -1 with the mean 2.2 / 6; grades with the mean 17 / 6.
    both = 5 + 2.4 + 3.2 + 2.4 - 2.2 * 17 / 6
    assert found.score("cosine_pearson") == pytest.approx(
        both / ((3.64 - 2.2**2 / 6) * (67 - 17**2 / 6)) ** 0.5, abs=1e-6
    )


def test_average_precision_with_equal_similarities(tmp_path, score):
    """Pairs of one similarity are taken together: no order among them is made up. Labels may be written as 1.0."""
    rows = [("east", "1.0"), ("near", 1), ("b near", 0), ("far", "0.0"), ("b far", 1), ("north", 0)]
    path = table(
        tmp_path / "p.csv",
        ("sentence1", "sentence2", "label"),
        [("where east", f"at {place}", label) for place, label in rows],
    )
    found = score(pair_task(path))
    assert found.score("cosine_ap") == pytest.approx((1 + 2 / 3 + 3 / 5) / 3, abs=1e-9)
    # Best cut for F1: below the ties at 0.6, with 3 of 3 found among 5.
    assert found.score("cosine_f1") == pytest.approx(2 * (3 / 5) / (3 / 5 + 1), abs=1e-9)


def test_both_directions_of_bitext(tmp_path, score):
    """Sentences of the first column look for their translation in the second: the other way round is another task."""
    pairs = [("a east", "A east"), ("b near", "B up"), ("c west", "C west")]
    there = score(bitext_task(table(tmp_path / "there.csv", ("sentence1", "sentence2"), pairs)))
    back = score(bitext_task(table(tmp_path / "back.csv", ("sentence2", "sentence1"), pairs)))
    # "near" finds "east" (0.8) before "up" (0.36); "up" finds "near". F1 of the labels: 2/3, 0 and 1.
    assert there.score("f1") == pytest.approx((2 / 3 + 0 + 1) / 3, abs=1e-9)
    assert there.score("accuracy") == pytest.approx(2 / 3, abs=1e-9)
    assert back.score("f1") == back.score("accuracy") == 1


def labelled(rows):
    """Texts with a label."""
    return [{"text": text, "label": label} for text, label in rows]


def test_classification(score):
    """Two classes that lie apart, and one text that lies with the other class."""
    train = [(f"{number} {place}", label) for label, place in enumerate(("east", "north")) for number in range(8)]
    test = [("x east", 0), ("y east", 0), ("x north", 1), ("z east", 1)]
    found = score("ImdbClassification", {"default": {"train": labelled(train), "test": labelled(test)}})
    assert found.score("accuracy") == pytest.approx(3 / 4)
    assert found.score("f1") == pytest.approx((4 / 5 + 2 / 3) / 2)  # precision and recall: 2/3 and 1, 1 and 1/2
    assert found.score("ap") == pytest.approx((1 + 2 / 4) / 2)


def test_clustering(score):
    """V-measure of two clusters, in one of which one text of six is of the other label."""
    texts = ["a east", "b east", "c east", "d east", "e west", "f west"]
    labels = ["x", "x", "x", "y", "y", "y"]
    found = score("RedditClustering", {"default": {"test": [{"sentences": texts, "labels": labels}]}})

    def entropy(*shares):
        return -sum(share * log(share) for share in shares)

    homogeneity = 1 - 4 / 6 * entropy(3 / 4, 1 / 4) / entropy(1 / 2, 1 / 2)
    completeness = 1 - 1 / 2 * entropy(1 / 3, 2 / 3) / entropy(4 / 6, 2 / 6)
    assert found.score("v_measure") == pytest.approx(
        2 * homogeneity * completeness / (homogeneity + completeness), abs=1e-9
    )

"""Scores of a task: aggregation, short names, and what is said about a metric that is not there."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import pytest

from pytest_embedqa.core.errors import TaskError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.truncation import Truncation
from pytest_embedqa.quality.facts import truncation_facts
from pytest_embedqa.quality.own_tasks import bitext_task
from pytest_embedqa.quality.task import TaskQuery, TaskResult, TaskScores


def scores(type_="Retrieval", main_score="ndcg_at_10", **parts):
    """Scores of one split, by subset."""
    parts = parts or {"default": {"ndcg_at_10": 0.5, "recall_at_100": 0.9, "hf_subset": "default"}}
    return TaskScores("T", type_, main_score, {"test": parts}, {}, "revision")


def test_score_is_the_mean_over_splits_and_subsets():
    """Every subset of every split weighs the same, as mteb aggregates."""
    of_two = TaskScores(
        "T", "STS", "f1", {"test": {"en": {"f1": 0.1}, "de": {"f1": 0.2}}, "dev": {"en": {"f1": 0.6}}}, {}, "r"
    )
    assert of_two.score("f1") == pytest.approx(0.3)


def test_main_score_is_the_default():
    """Without a metric it is the one that the leaderboard shows."""
    assert scores().score() == scores().score("main_score") == scores().score("ndcg_at_10") == 0.5


@pytest.mark.parametrize(
    ("type_", "short", "key"),
    [
        ("STS", "spearman", "cosine_spearman"),
        ("STS", "pearson", "cosine_pearson"),
        ("PairClassification", "ap", "max_ap"),
        ("PairClassification", "f1", "max_f1"),
        ("PairClassification", "spearman", "spearman"),
        ("Retrieval", "spearman", "spearman"),
        ("BitextMining", "f1", "f1"),
        ("STS", "main_score", "ndcg_at_10"),
    ],
)
def test_short_names_stand_for_mtebs_keys(type_, short, key):
    """What users call spearman on STS is mteb's cosine_spearman; elsewhere the name is its own."""
    assert scores(type_).metric(short) == key
    assert scores(type_, default={key: 0.25}).score(short) == 0.25


def test_missing_metric_is_answered_with_the_nearest_and_all():
    """A slip in a metric names the nearest and lists the numbers there are, and nothing else."""
    with pytest.raises(
        TaskError,
        match=r"^T has no metric 'recall_at_10'\. Did you mean 'recall_at_100'\? It has: ndcg_at_10, recall_at_100\.$",
    ):
        scores().score("recall_at_10")


@pytest.mark.parametrize("second", [{}, {"f1": None}, {"f1": "0.5"}])
def test_metric_that_one_subset_lacks_is_missing(second):
    """A mean over some of the subsets would be another number."""
    with pytest.raises(TaskError, match="has no metric 'f1'"):
        scores(en={"f1": 0.5}, de=second).score("f1")


def test_no_parts_are_no_score():
    """Nothing evaluated is an error, not zero."""
    with pytest.raises(TaskError, match="T has no metric 'main_score'"):
        TaskScores("T", "STS", "f1", {}, {}, "r").score()


def test_nan_of_one_subset_is_nan():
    """NaN is not averaged away."""
    assert math.isnan(scores(en={"f1": 0.5}, de={"f1": math.nan}).score("f1"))


def test_query_is_named_after_its_task():
    """The name of an own task or of one of mteb's; equal queries are one key."""
    own = bitext_task(Path("data/pairs.csv"))
    assert TaskQuery(own).name == "pairs"
    assert TaskQuery("ArguAna").name == "ArguAna"
    assert len({TaskQuery("ArguAna"), TaskQuery("ArguAna"), TaskQuery("ArguAna", limit=5), TaskQuery(own)}) == 3


def test_result_is_evaluated_once_when_first_looked_at():
    """A test that looks at nothing costs nothing; many looks cost one evaluation."""
    calls = []
    encoder = SimpleNamespace(identity=Identity("m", "fake"))

    def evaluate(query, encoder):
        calls.append((query, encoder))
        return scores()

    result = TaskResult(TaskQuery("T"), encoder, evaluate)
    assert result.identity == encoder.identity
    assert calls == []
    assert (result["recall_at_100"], result.main_score) == (0.9, 0.5)
    assert result.scores["test"]["default"]["ndcg_at_10"] == 0.5
    assert calls == [(TaskQuery("T"), encoder)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, 512),
        ({"document_length": "256", "query_length": "32"}, None),
        ({"document_length": "256", "query_length": "256"}, 256),
        ({"query_length": "32"}, None),
    ],
)
def test_the_length_of_a_cut_is_said_where_all_texts_have_it(options, said):
    """Where queries and documents are cut at lengths of their own, the model's own length is not that of the cut."""
    result = SimpleNamespace(
        encoder=SimpleNamespace(spec="st:colbert"),
        query=SimpleNamespace(name="faq"),
        identity=Identity("colbert", "st", max_length=512, options=options),
        details=SimpleNamespace(truncation=Truncation(texts=3, cut=1)),
    )
    assert truncation_facts(result)["max_length"] == said

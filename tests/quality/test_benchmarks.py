"""A benchmark is mteb's benchmark: its tasks, splits, subsets and means, compared with mteb's own objects for every one on text."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import mteb
import pytest
from mteb.benchmarks.benchmark import BenchmarkAggregation
from mteb.results import TaskResult

from pytest_embedqa.core.errors import TaskError
from pytest_embedqa.core.requirement import Kind, Requirement
from pytest_embedqa.quality import evaluator
from pytest_embedqa.quality.mteb.listing import chosen
from pytest_embedqa.quality.mteb.tasks import find_task
from pytest_embedqa.quality.published import PublishedScores
from pytest_embedqa.quality.task import TaskScores

ON_TEXT = [one for one in mteb.get_benchmarks() if any(set(task.modalities) == {"text"} for task in one.tasks)]
MEANS = {"mean": BenchmarkAggregation.MEAN_TASK, "mean_by_type": BenchmarkAggregation.MEAN_TASK_TYPE}


def selection(task):
    """What is evaluated of a task, on which data, and by which metric."""
    parts = sorted((split, subset) for split in task.eval_splits for subset in task.hf_subsets)
    return task.metadata.name, task.metadata.revision, task.metadata.main_score, parts


@pytest.mark.parametrize("known", ON_TEXT, ids=lambda one: one.name)
def test_tasks_are_evaluated_as_the_benchmark_takes_them(known):
    """Every task on text, with the benchmark's own splits, subsets and revision; what is listed of it is the same."""
    theirs = [selection(task) for task in known.tasks if set(task.modalities) == {"text"}]
    queries = evaluator.benchmark_queries(known.name)
    assert [selection(find_task(query)) for query in queries.values()] == theirs
    listed = [
        sorted((split, one) for split, subsets in task.parts.items() for one in subsets)
        for task in chosen([known.name])
    ]
    assert listed == [parts for *_, parts in theirs]


def test_every_benchmark_was_compared():
    """The comparison is not an empty one: there are dozens, and some take a part of a task only."""
    assert len(ON_TEXT) > 50
    queries = [query for one in ON_TEXT for query in evaluator.benchmark_queries(one.name).values()]
    assert sum(query.subsets is not None for query in queries) > 100
    assert sum(query.splits is not None for query in queries) > 10


def test_known_part():
    """STS17 has eleven pairs of languages, and the English benchmark takes one of them."""
    query = evaluator.benchmark_queries("MTEB(eng, v2)")["STS17"]
    assert (query.splits, query.subsets) == (None, ("en-en",))
    (listed,) = [task for task in chosen(["MTEB(eng, v2)"]) if task.name == "STS17"]
    assert (listed.samples, listed.languages, dict(listed.parts)) == (250, ("eng",), {"test": ["en-en"]})


@pytest.fixture(scope="module")
def published():
    """Main scores of multilingual-e5-small on 539 tasks by split and subset, from mteb's public results repository."""
    packed = (Path(__file__).parent / "published.json.gz").read_bytes()
    return json.loads(gzip.decompress(packed))["scores"]


def results(published, name):
    """Published results on all tasks of a benchmark, as mteb has them and as we have them; none if one is missing."""
    theirs, ours = [], []
    for query in evaluator.benchmark_queries(name).values():
        task = find_task(query)
        parts = published.get(query.name, {})
        if any(subset not in parts.get(split, {}) for split in task.eval_splits for subset in task.hf_subsets):
            return [], []
        scores = {
            split: {
                subset: {"main_score": parts[split][subset], "hf_subset": subset, "languages": ["eng-Latn"]}
                for subset in task.hf_subsets
            }
            for split in task.eval_splits
        }
        theirs.append(TaskResult.from_task_results(task, scores, evaluation_time=1))
        ours.append(TaskScores(query.name, task.metadata.type, "main_score", scores, {}, "revision"))
    return theirs, ours


@pytest.mark.parametrize(("measure", "how"), MEANS.items(), ids=MEANS)
def test_means_are_those_of_mteb(published, measure, how):
    """On published results, over tasks and over types of task, to the last digits; of many benchmarks."""
    compared = 0
    for known in ON_TEXT:
        theirs, ours = results(published, known.name)
        if theirs and all(set(task.modalities) == {"text"} for task in known.tasks):
            (expected,) = how.aggregate(theirs).values()
            assert evaluator.benchmark_means(ours)[measure] == pytest.approx(expected, abs=1e-12), known.name
            compared += 1
    assert compared > 40


def test_both_means_differ(published):
    """Types of task with few tasks weigh more in one of them."""
    means = evaluator.benchmark_means(results(published, "MTEB(eng, v2)")[1])
    assert abs(means["mean"] - means["mean_by_type"]) > 0.01


@pytest.mark.parametrize(
    ("name", "measure", "said"),
    [
        (
            "RTEB(fra, beta)",
            "mean_by_type",
            r"min_mean_by_type=0.5: the leaderboard has no such mean of .* It shows: mean\.",
        ),
        ("HUME(v1)", "mean", r"has no such mean of HUME.*Bound its tasks instead"),
        ("MIEB(eng)", "mean", r"has no such mean of MIEB"),
    ],
)
def test_a_mean_that_the_leaderboard_does_not_show_is_refused(name, measure, said):
    """Nor is there one over the tasks on text of a benchmark on images too."""
    with pytest.raises(TaskError, match=said):
        evaluator.check_means(name, [Requirement(Kind.MIN, measure, 0.5)])


@pytest.mark.parametrize("known", ON_TEXT, ids=lambda one: one.name)
def test_means_that_can_be_bounded_are_those_shown(known):
    """As the benchmark's own list of columns says."""
    on_text = all(set(task.modalities) == {"text"} for task in known.tasks)
    for measure, how in MEANS.items():
        requirement = Requirement(Kind.MIN, measure, 0.5)
        if on_text and how in known.aggregations:
            evaluator.check_means(known.name, [requirement])
        else:
            with pytest.raises(TaskError, match="has no such mean"):
                evaluator.check_means(known.name, [requirement])


def test_benchmark_without_a_task_on_text_is_refused():
    """It has nothing to evaluate here."""
    with pytest.raises(
        TaskError, match=r"ViDoRe\(v3\) has no task on text alone, and only text is encoded here. Choose an"
    ):
        evaluator.benchmark_queries("ViDoRe(v3)")


def test_task_on_more_than_text_is_refused():
    """A task on texts and images is no task on text, whatever its texts would score."""
    mixed = next(task for task in mteb.get_tasks() if {"text", "image"} <= set(task.modalities))
    with pytest.raises(
        TaskError,
        match=r"is a task on .*; only text is encoded here, and images, audio and video stay out. Choose a task on text alone.",
    ):
        evaluator.check(evaluator.TaskQuery(mixed.metadata.name), [])


def test_published_score_is_of_the_part_that_is_evaluated(published, tmp_path):
    """What ``vs_published`` compares with is the benchmark's own part: of STS17 another number than over all subsets."""
    source = tmp_path / "scores.json"
    task = {"STS17": [{"scores": published["STS17"], "data_revision": "r", "model_revision": ""}]}
    source.write_text(json.dumps({"models": {"model": task}}))
    found = PublishedScores(source).find("model", "STS17")
    part = find_task(evaluator.benchmark_queries("MTEB(eng, v2)")["STS17"])
    assert (
        found.score({split: dict.fromkeys(part.hf_subsets) for split in part.eval_splits})
        == published["STS17"]["test"]["en-en"]
    )
    assert found.score({"test": dict.fromkeys(published["STS17"]["test"])}) < published["STS17"]["test"]["en-en"] - 0.01

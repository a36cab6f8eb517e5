"""The tasks of the tutorial: argument retrieval, bitext, code search, similarity, fact checking.

Each is held to the published score of the model under test (at most 1.5 points below), and to an absolute
threshold where ``targets.toml`` has one for that model.

    pytest suites/quality/test_tutorial.py --embedqa-model st:Qwen/Qwen3-Embedding-4B?dtype=bfloat16
"""

import sys
from pathlib import Path

from pytest_embedqa import mteb_task

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # comes with pytest there

TARGETS = tomllib.loads(Path(__file__).with_name("targets.toml").read_text(encoding="utf-8"))


def targets(task):
    """Return ``min_<metric>`` by model, as the marker takes it."""
    return {f"min_{metric}": by_model for metric, by_model in TARGETS[task].items()}


@mteb_task("ArguAna", vs_published=-0.015, **targets("ArguAna"))
def test_argument_retrieval(): ...


@mteb_task("ArguAna", min_spearman=0.78)
def test_arguments_are_told_apart():
    """Tell relevant from random pairs: not the leaderboard's metric; only a broken model fails."""


@mteb_task("BUCC.v2", vs_published=-0.015, **targets("BUCC.v2"))
def test_bitext_of_the_news(): ...


@mteb_task("Tatoeba", subsets=["cmn-eng"], vs_published=-0.015)
def test_bitext_chinese_english(): ...


@mteb_task("CodeSearchNetRetrieval", vs_published=-0.015, **targets("CodeSearchNetRetrieval"))
def test_code_search(): ...


@mteb_task("MBPPRetrieval", **targets("MBPPRetrieval"))
def test_code_search_by_problem(): ...


@mteb_task("STSBenchmark", vs_published=-0.015, **targets("STSBenchmark"))
def test_sentence_similarity(): ...


@mteb_task("SciFact", vs_published=-0.015, **targets("SciFact"))
def test_fact_checking(task_result):
    """Look at the scores in the body of a test, which runs once the thresholds hold."""
    assert task_result["recall_at_100"] > task_result["recall_at_10"]

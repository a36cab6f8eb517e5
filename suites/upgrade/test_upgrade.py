"""Comparison of a new model with the model in use, on data that ships with this repository, against a saved baseline.

pytest suites/upgrade --embedqa-model NEW --embedqa-baseline=suites/baselines/builtin.json

A baseline of your own model: pytest suites/upgrade --embedqa-model YOURS --embedqa-save-baseline=baselines/prod.json.
Every other quality test is gated by --embedqa-baseline in the same way; these tests have no other threshold.
"""

import pytest

from pytest_embedqa import bitext_task, mteb_task, retrieval_task, sts_task


@pytest.fixture(autouse=True)
def _only_to_compare(request):
    """Skip without a baseline: there is nothing to judge then."""
    option = request.config.option
    if not (option.embedqa_baseline or option.embedqa_save_baseline):
        pytest.skip("compares with a baseline: --embedqa-baseline=suites/baselines/builtin.json")


@mteb_task(retrieval_task("../data/handbook"), max_regression=0.01)
def test_handbook_search(): ...


@mteb_task(retrieval_task("../data/code", instruction="Find the function that does this"), max_regression=0.01)
def test_code_search(): ...


@mteb_task(sts_task("../data/similarity/test.jsonl"), max_regression=0.01)
def test_sentence_similarity(): ...


@mteb_task(bitext_task("../data/zh_en/test.jsonl"), max_regression=0.01)
def test_chinese_english_translations(): ...

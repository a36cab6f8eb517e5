"""Quality on data that ships with this repository: runs anywhere, with no network, in under a minute.

The data is hard on purpose (near-miss passages, negations, swapped roles), so that a worse model shows.
Each bound is the embedded model's score, less a few points; docs/quality.md has the scores of other models.
"""

import pytest

from pytest_embedqa import bitext_task, mteb_task, retrieval_task, sts_task


@mteb_task(retrieval_task("../data/handbook"), min_ndcg_at_10=0.70, min_recall_at_100=0.97)
def test_handbook_search():
    """Find among 340 passages of ten domains the right fact for each of 120 questions, not its near twin."""


@mteb_task(sts_task("../data/similarity/test.jsonl"), min_spearman=0.60)
def test_sentence_similarity(task_result):
    """Grade 160 pairs, with negation, swapped roles and paraphrases that share no word."""
    assert task_result["cosine_pearson"] > 0.55


@mteb_task(retrieval_task("../data/code", instruction="Find the function that does this"), min_ndcg_at_10=0.64)
def test_code_search():
    """Find 130 functions in Python and JavaScript without docstrings by what they do."""


@pytest.fixture
def _english_models_fail(request, encoder):
    """Expect English models to fail, which is no defect: all-MiniLM-L6-v2 scores 0.019 on Tatoeba's Chinese as well."""
    if encoder.name == "sentence-transformers/all-MiniLM-L6-v2":
        reason = "an English model (Tatoeba cmn-eng: 0.019); try python:suites.multilingual:universal"
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))


@pytest.mark.usefixtures("_english_models_fail")
@mteb_task(bitext_task("../data/zh_en/test.jsonl"), min_f1=0.60)
def test_chinese_english_translations():
    """Find for each of 160 Chinese sentences its English translation among near misses.

    The bound stands between models that know Chinese (0.66 and 0.77 measured) and a model that does not (0.07).
    """

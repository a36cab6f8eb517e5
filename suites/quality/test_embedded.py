"""Quality on data that ships with this repository: runs anywhere, with no network."""

from pytest_embedqa import bitext_task, mteb_task, retrieval_task, sts_task


@mteb_task(retrieval_task("../data/handbook"), min_ndcg_at_10=0.7, min_recall_at_100=0.9, min_spearman=0.7)
def test_handbook(): ...


@mteb_task(sts_task("../data/similarity/test.jsonl"), min_spearman=0.6)
def test_sts(task_result):
    assert task_result["cosine_pearson"] > 0.5


@mteb_task(retrieval_task("../data/code"), min_ndcg_at_10=0.6)
def test_code(): ...


@mteb_task(bitext_task("../data/zh_en/test.jsonl"), min_f1=0.6)
def test_bitext(): ...

"""Whole benchmarks, with one test for each task and one for the mean. They take hours, so they run only when named.

pytest suites/quality/whole_benchmarks.py -k english --embedqa-model st:Qwen/Qwen3-Embedding-4B?dtype=bfloat16
"""

from pytest_embedqa import mteb_benchmark


@mteb_benchmark("MTEB(eng, v2)", vs_published=-0.015, min_mean=0.50)
def test_english(): ...


@mteb_benchmark("MTEB(cmn, v1)", vs_published=-0.015)
def test_chinese(): ...


@mteb_benchmark("MTEB(Code, v1)", vs_published=-0.015)
def test_code(): ...

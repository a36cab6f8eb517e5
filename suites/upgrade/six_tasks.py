"""An upgrade on public data: search, sentence pairs, translations and code, English and Chinese.

The name keeps this out of ordinary runs, as it takes minutes; name the file to run it:

pytest suites/upgrade/six_tasks.py --embedqa-model OLD --embedqa-save-baseline=baselines/old.json
pytest suites/upgrade/six_tasks.py --embedqa-model NEW --embedqa-baseline=baselines/old.json
"""

from pytest_embedqa import mteb_task


@mteb_task("ArguAna")
def test_arguments(): ...


@mteb_task("SciFact")
def test_claims(): ...


@mteb_task("MBPPRetrieval")
def test_code(): ...


@mteb_task("STSBenchmark")
def test_sentence_pairs(): ...


@mteb_task("LCQMC")
def test_chinese_questions(): ...


@mteb_task("Tatoeba", subsets=["cmn-eng"])
def test_translations(): ...

"""Does this set-up reproduce the leaderboard? Half a point below the published score is already a finding.

A difference here is rarely the model: look at prompts, maximum length, pooling, dtype, data revision.
"""

from pytest_embedqa import mteb_task

LANGUAGES = ["eng_Latn", "deu_Latn", "zho_Hant", "arb_Latn", "hin_Deva"]


@mteb_task("STS12", vs_published=-0.005)
def test_sts12(): ...


@mteb_task("STS14", vs_published=-0.005)
def test_sts14(): ...


@mteb_task("STS16", vs_published=-0.005)
def test_sts16(): ...


@mteb_task("LCQMC", vs_published=-0.005)
def test_chinese_questions(): ...


@mteb_task("AFQMC", vs_published=-0.005)
def test_chinese_finance(): ...


@mteb_task("Banking77Classification", vs_published=-0.005)
def test_intents(): ...


@mteb_task("SIB200Classification", subsets=LANGUAGES, vs_published=-0.005)
def test_topics(): ...


@mteb_task("SIB200ClusteringS2S", subsets=LANGUAGES, vs_published=-0.005)
def test_topic_clusters(): ...


@mteb_task("Tatoeba", subsets=["fra-eng", "deu-eng", "spa-eng"], vs_published=-0.005)
def test_bitext_of_europe(): ...

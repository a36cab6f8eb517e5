"""The embedded model on real benchmark data reproduces its published scores."""

from __future__ import annotations

import pytest

from pytest_embedqa.quality.published import PublishedScores
from pytest_embedqa.quality.task import TaskQuery
from pytest_embedqa.session import Session
from pytest_embedqa.settings import Settings

pytestmark = pytest.mark.slow

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
LANGUAGES = ("eng_Latn", "deu_Latn", "zho_Hant", "arb_Latn", "hin_Deva")
# How near a score must come. ArguAna's data was rebuilt: plain mteb gives 0.50188 on it.
TASKS = {
    "STSBenchmark": (None, 0.001),
    "STS12": (None, 0.005),
    "STS14": (None, 0.005),
    "STS16": (None, 0.005),
    "LCQMC": (None, 0.005),
    "AFQMC": (None, 0.005),
    "MBPPRetrieval": (None, 0.005),
    "Banking77Classification": (None, 0.005),
    "SIB200Classification": (LANGUAGES, 0.005),
    "SIB200ClusteringS2S": (LANGUAGES, 0.005),
    "Tatoeba": (("cmn-eng", "fra-eng"), 0.005),
    "SciFact": (None, 0.002),
    "ArguAna": (None, 0.002),
}


@pytest.fixture(scope="module")
def session(datasets_folder):
    """The embedded model with the user's store, so that nothing is encoded that the suites have encoded."""
    from platformdirs import user_cache_path

    settings = Settings(datasets=datasets_folder, store=user_cache_path("pytest-embedqa") / "vectors.sqlite")
    session = Session(settings)
    yield session
    session.close()


@pytest.mark.parametrize("task", TASKS)
def test_score_is_the_published_one(session, task):
    """Neither below nor above: a score that is too good is as wrong as one that is too low."""
    subsets, tolerance = TASKS[task]
    result = session.result(TaskQuery(task, subsets=subsets), session.encoder(session.settings.models[0]))
    published = PublishedScores().find(MODEL, task).score(result.scores)
    assert result.main_score == pytest.approx(published, abs=tolerance)


def test_spearman_of_arguana_is_near_its_ceiling(session):
    """Separation of a sound model saturates, which is why the docs steer gates to ndcg_at_10."""
    result = session.result(TaskQuery("ArguAna"), session.encoder(session.settings.models[0]))
    assert 0.85 < result["spearman"] < 0.8661

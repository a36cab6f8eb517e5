"""What an evaluation costs is known before it is run."""

from __future__ import annotations

import pytest

from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.spec import Spec
from pytest_embedqa.encoders.store import Store
from pytest_embedqa.quality import cost
from pytest_embedqa.quality.cost import Pace
from pytest_embedqa.quality.own_tasks import bitext_task, retrieval_task, sts_task
from pytest_embedqa.quality.task import TaskQuery
from pytest_embedqa.quality.work import Work
from tests.unit.encoders.conftest import FakeEngine

ENGLISH, CHINESE = ("eng_Latn",), ("zho_Hans",)
# Every type of task of which real data is at hand.
REAL = [
    TaskQuery("MBPPRetrieval"),
    TaskQuery("SciFact", limit=20),
    TaskQuery("STSBenchmark"),
    TaskQuery("LCQMC", limit=300),
    TaskQuery("Tatoeba", subsets=("cmn-eng", "fra-eng")),
    TaskQuery("Banking77Classification"),
    TaskQuery("SIB200Classification", subsets=ENGLISH, splits=("test",)),
    TaskQuery("SIB200ClusteringS2S", subsets=("eng_Latn", "deu_Latn")),
]


@pytest.fixture
def engine():
    """Encodes without a model, and remembers what."""
    return FakeEngine()


@pytest.fixture
def encoder(engine):
    """An encoder that stores its vectors in memory."""
    return Encoder(engine, Store(None), spec=Spec("fake", engine="fake", model="fake"))


@pytest.mark.parametrize("query", REAL, ids=lambda query: query.name)
def test_estimate_is_what_the_data_has(query, encoder, datasets_folder):
    """Texts and characters that are known beforehand are within 10 % of those counted in the task's real data."""
    estimate, counted = cost.work(query), cost.missing(query, encoder, datasets_folder)
    assert estimate.texts == pytest.approx(counted.texts, rel=0.1)
    assert estimate.characters == pytest.approx(counted.characters, rel=0.1)


@pytest.mark.parametrize("query", [REAL[1], REAL[2]], ids=lambda query: query.name)
def test_what_was_encoded_is_not_missing(query, engine, encoder, datasets_folder):
    """An evaluation encodes what was estimated, within 10 %, and the same evaluation then has nothing to encode."""
    from pytest_embedqa.quality.mteb.evaluation import evaluate

    estimate = cost.work(query)
    encoded = evaluate(query, encoder, datasets=datasets_folder).encoded
    texts = {text for batch in engine.batches for text in batch}
    assert estimate.texts == pytest.approx(encoded, rel=0.1)
    assert estimate.characters == pytest.approx(sum(map(len, texts)), rel=0.1)
    assert cost.missing(query, encoder, datasets_folder) == Work(0, 0)


@pytest.mark.parametrize(
    ("task", "texts"),
    [
        (retrieval_task("handbook"), 460),
        (sts_task("similarity/test.jsonl"), 320),
        (bitext_task("zh_en/test.jsonl"), 320),
    ],
)
def test_own_files_are_counted(task, texts, pytestconfig):
    """The user's own data has no statistics; a limit counts what it keeps."""
    folder = pytestconfig.rootpath / "suites/data"
    whole, sampled = (cost.work(TaskQuery(task.beside(folder), limit=limit)) for limit in (None, 2))
    assert whole.texts == pytest.approx(texts, rel=0.05)
    assert whole.characters > 10 * whole.texts
    assert sampled.texts < whole.texts / 5


def test_languages_in_many_pairs_are_counted_once():
    """In a parallel corpus each language is encoded once, whatever number of pairs it is in."""
    two, four = (
        cost.work(TaskQuery("IN22ConvBitextMining", subsets=subsets))
        for subsets in (("asm_Beng-ben_Beng",), ("asm_Beng-ben_Beng", "ben_Beng-asm_Beng", "asm_Beng-eng_Latn"))
    )
    assert four.texts == pytest.approx(1.5 * two.texts, rel=0.02)


def test_task_without_statistics_is_unknown(monkeypatch):
    """Where mteb says nothing of a task, nothing is made up."""
    from mteb.abstasks.task_metadata import TaskMetadata

    monkeypatch.setattr(TaskMetadata, "descriptive_stats", None)
    assert cost.work(TaskQuery("STSBenchmark")) is None


def test_pace_is_that_of_texts_as_long():
    """What was measured on texts of a length counts for such texts; the nearest length stands for others."""
    pace, short = Pace(512), Work(100, 2000)
    pace.count(short, texts=10, seconds=5.0)
    assert pace.seconds(Work(50, 1100)) == 25
    assert pace.seconds(Work(50, 4 * 16 * 50)) == 50
    pace.count(Work(10, 10_000), texts=1, seconds=0.6)
    assert pace.seconds(Work(50, 50_000)) == pytest.approx(30)


def test_what_a_model_cuts_costs_nothing():
    """Characters beyond the longest input are not counted."""
    assert Work(2, 20_000).length(None) == 10_000
    assert Work(2, 20_000).length(512) == 2048
    assert Work(2, 40).length(512) == 20


def test_first_moments_say_nothing_of_a_pace():
    """Half a second is no measurement: the first batch is slow."""
    pace = Pace(None)
    pace.count(Work(100, 2000), texts=1, seconds=0.4)
    assert pace.seconds(Work(100, 2000)) is None

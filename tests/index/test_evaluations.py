"""What a baseline keeps of an index, and how a change is shared out between index and model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pytest_embedqa.core.evaluation import Subject
from pytest_embedqa.core.retrieval_data import RetrievalData
from pytest_embedqa.index.data import Data
from pytest_embedqa.index.evaluations import change_lines, evaluations, with_this_model
from pytest_embedqa.index.mark import IndexMark
from pytest_embedqa.index.measuring import measure

ROWS, QUERIES = 60, 20


class Index:
    """Exact search that leaves out each row whose number is divided by ``every``."""

    every = 0

    def build(self, vectors, ids):
        """Keep all."""
        self.kept = dict(zip(ids, vectors, strict=True))

    def add(self, vectors, ids):
        """Add some."""
        self.kept |= dict(zip(ids, vectors, strict=True))

    def remove(self, ids):
        """Remove some."""
        self.kept = {id_: vector for id_, vector in self.kept.items() if id_ not in ids}

    def search(self, queries, k):
        """Search what is not left out."""
        ids = [id_ for id_ in self.kept if not self.every or int(id_) % self.every]
        order = np.argsort(-(queries @ np.array([self.kept[id_] for id_ in ids]).T), axis=1)
        return [[ids[row] for row in rows[:k]] for rows in order]


class Starved(Index):
    """A third is left out."""

    every = 3


def result(index, *, noise=0.0, judged=True, **more):
    """Measures of an index on made data; a worse model has more noise."""
    random = np.random.default_rng(5)
    vectors = random.standard_normal((ROWS, 16)).astype(np.float32)
    queries = vectors[:QUERIES] + noise * random.standard_normal((QUERIES, 16)).astype(np.float32)
    ids, query_ids = [str(row) for row in range(ROWS)], [f"q{row}" for row in range(QUERIES)]
    relevant = {query: {str(row): 1.0} for row, query in enumerate(query_ids)} if judged else {}
    texts = RetrievalData(
        "made", dict.fromkeys(ids, "text"), {query: f"a  text of {query}" for query in query_ids}, relevant
    )
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    data = Data("made", ids, vectors, query_ids, queries, relevant, "cosine", texts=texts)
    return measure(IndexMark(index, **more), data, None)


def kept(index, **more):
    """What is kept of the index as it was built."""
    return evaluations(result(index, **more), Subject("made"), "test_it")[0]


def test_each_state_has_subjects_of_its_own():
    """After deletions and changes, each with what was measured."""
    every = evaluations(result(Index, delete_nearest=1, churn=1), Subject("made", splits=("test",)), "test_it")
    ndcg = ("recall_at_10", "ndcg_at_10", "exact_ndcg_at_10")
    # The relevant documents are the nearest: once they are gone, nothing is judged.
    states = {"": ndcg, ", after deleting the nearest 1": ndcg[:1], ", after 1 rounds of changes": ndcg[:1]}
    assert [str(one.subject) for state in every for one in state.all()] == [
        f"{measure} made test_it{state} (splits=['test'])" for state, measures in states.items() for measure in measures
    ]


def test_queries_are_kept_with_their_texts_and_rankings():
    """In one line each, to be shown where one gets worse."""
    exhibit = kept(Index).ndcg.exhibits["", "default"]
    assert exhibit.texts["q1"] == "a text of q1"
    assert exhibit.rankings["q1"][0] == "1"
    assert exhibit.relevant["q1"] == ["1"]


def test_other_data_has_another_revision():
    """Another text, another judgement, or rows that were made."""
    texts = RetrievalData("made", {"d": "text"}, {"q": "query"}, {"q": {"d": 1.0}})
    others = [replace(texts, documents={"d": "other"}), replace(texts, relevant={"q": {"d": 2.0}})]
    assert len({one.revision for one in [texts, *others]}) == 3
    revision = kept(Index).recall.data_revision
    grown = replace(result(Index), data=replace(result(Index).data, ids=[*map(str, range(ROWS + 5))]))
    (more,) = evaluations(grown, Subject("made"), "test_it")
    assert more.recall.data_revision == f"{revision} and 5 made rows"


def test_the_index_alone_got_worse():
    """The same model: its exact search is unchanged, and the nDCG to compare with is the baseline's own."""
    before, after = kept(Index), kept(Starved)
    assert with_this_model(before, after).score == before.ndcg.score
    worse, index, model = change_lines(before, after, same_model=True)
    assert worse.endswith("the index, not the model")
    assert index.startswith("index: Index to Starved; recall_at_10 1.0000 to 0.6")
    assert index.endswith("ndcg_at_10 lost 0.0000, now 0.3500")
    assert model == "model: the same; exact_ndcg_at_10 unchanged at 1.0000"


def test_the_model_alone_got_worse():
    """What exact search lost is taken out of the comparison."""
    before, after = kept(Index), kept(Index, noise=3)
    assert with_this_model(before, after).score == after.ndcg.score < before.ndcg.score
    worse, index, model = change_lines(before, after, same_model=False)
    assert worse.endswith("the model, not the index")
    assert "recall_at_10 unchanged at 1.0000; ndcg_at_10 lost 0.0000, now 0.0000" in index
    assert model.startswith("model: another; exact_ndcg_at_10 1.0000 to 0.")


def test_both_got_worse():
    """Each has its part, and the parts add up."""
    before, after = kept(Index), kept(Starved, noise=3)
    worse, _, _ = change_lines(before, after, same_model=False)
    assert worse.endswith("the index, and the model too")
    whole = after.ndcg.score - before.ndcg.score
    model, index = after.exact.score - before.exact.score, after.ndcg.score - with_this_model(before, after).score
    assert np.isclose(whole, model + index)
    assert model < 0 > index


def test_nothing_got_worse():
    """Neither is blamed."""
    worse, *_ = change_lines(kept(Index), kept(Index), same_model=True)
    assert worse == "neither the index nor the model is worse by more than chance explains"


def test_without_judgements_recall_is_all_there_is():
    """It is of the model's own neighbours, and says nothing about the model."""
    before, after = kept(Index, judged=False), kept(Starved, judged=False)
    assert after.all() == [after.recall]
    assert with_this_model(before, after) is None
    worse, _, model = change_lines(before, after, same_model=False)
    assert worse.endswith("the index, not the model")
    assert model == "model: another; recall is of its own nearest documents, and no judgements tell how good they are"


def test_a_baseline_without_units_is_compared_by_its_scores():
    """As the gate does: the margin alone decides."""
    before, after = kept(Index), kept(Starved)
    bare = replace(before, recall=replace(before.recall, evidence=None))
    _, index, _ = change_lines(bare, after, same_model=True)
    assert index.startswith("index: Index to Starved; recall_at_10 1.0000 to 0.6")

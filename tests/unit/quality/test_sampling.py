"""``limit=``: samples are seeded, and a sampled retrieval task can still be answered."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from datasets import Dataset

from pytest_embedqa.quality.sampling import sample


def rows(count):
    """Numbered rows."""
    return Dataset.from_dict({"sentence1": [f"a{number}" for number in range(count)], "score": list(range(count))})


def task_of(dataset, subsets=("default",), splits=("test",)):
    """What a sample looks at of one of mteb's tasks."""
    return SimpleNamespace(dataset=dataset, hf_subsets=list(subsets), eval_splits=list(splits))


def retrieval(queries=30, documents=2000, top_ranked=None):
    """A split of a retrieval task: query i has document 2i as relevant and 2i+1 as judged not relevant."""
    return {
        "queries": Dataset.from_dict({"id": [f"q{i}" for i in range(queries)], "text": ["?"] * queries}),
        "corpus": Dataset.from_dict({"id": [f"d{i}" for i in range(documents)], "text": ["."] * documents}),
        "relevant_docs": {f"q{i}": {f"d{2 * i}": 1, f"d{2 * i + 1}": 0} for i in range(queries)},
        "top_ranked": top_ranked,
    }


def sampled(data, limit, **shape):
    """The dataset of a task after sampling."""
    task = task_of(data, **shape)
    sample(task, limit)
    return task.dataset


def test_rows_are_drawn_from_evaluated_splits_alone():
    """Only what is evaluated is sampled; training data stays whole."""
    data = sampled({"test": rows(100), "train": rows(50)}, 10)
    assert data["test"].num_rows == 10
    assert data["train"].num_rows == 50


def test_sample_is_seeded_and_keeps_order():
    """Two encoders see the same rows, each at most once and in their order; they are not just the first ones."""
    one, two = (sampled({"test": rows(100)}, 10)["test"]["score"][:] for _ in range(2))
    assert one == two == sorted(set(one))
    assert one != list(range(10))


@pytest.mark.parametrize("limit", [5, 100])
def test_small_split_is_kept_whole(limit):
    """A limit of all rows, or of more, changes nothing."""
    assert sampled({"test": rows(5)}, limit)["test"]["score"][:] == [0, 1, 2, 3, 4]


def test_every_subset_is_sampled():
    """Each subset and each evaluated split has its own sample."""
    data = {"en": {"test": rows(40), "dev": rows(30)}, "de": {"test": rows(20), "dev": rows(3)}}
    sampled(data, 7, subsets=("en", "de"), splits=("test", "dev"))
    assert {name: {split: len(part) for split, part in splits.items()} for name, splits in data.items()} == {
        "en": {"test": 7, "dev": 7},
        "de": {"test": 7, "dev": 3},
    }


def test_pairs_in_the_lists_of_one_row():
    """Older pair tasks keep all pairs in one row: the pairs are sampled, and their columns stay in step."""
    columns = {"sent1": [f"a{i}" for i in range(50)], "sent2": [f"b{i}" for i in range(50)], "labels": list(range(50))}
    part = sampled({"test": Dataset.from_dict({name: [values] for name, values in columns.items()})}, 8)["test"]
    assert len(part) == 1
    row = part[0]
    assert len(row["labels"]) == 8
    assert row["sent1"] == [f"a{i}" for i in row["labels"]]
    assert row["sent2"] == [f"b{i}" for i in row["labels"]]


def test_one_row_of_ordinary_columns_is_a_row():
    """A split of a single sample is not taken for lists of pairs."""
    assert sampled({"test": rows(1)}, 3)["test"][:] == {"sentence1": ["a0"], "score": [0]}


def test_retrieval_keeps_every_judged_document():
    """Of ``limit`` queries all judged documents stay, relevant or not, and 20 others a query."""
    data = sampled({"test": retrieval()}, 5)["test"]
    queries, corpus = data["queries"]["id"][:], data["corpus"]["id"][:]
    judged = {document for query in queries for document in data["relevant_docs"][query]}
    assert len(queries) == 5
    assert set(data["relevant_docs"]) == set(queries)
    assert len(judged) == 10
    assert judged <= set(corpus)
    assert len(corpus) == len(set(corpus)) == 10 + 5 * 20
    assert corpus == sorted(corpus, key=lambda name: int(name[1:]))


def test_every_language_of_a_retrieval_task_is_sampled():
    """Each subset keeps its own queries and what is judged for them."""
    data = sampled({"en": {"test": retrieval(30)}, "de": {"test": retrieval(12)}}, 5, subsets=("en", "de"))
    for splits in data.values():
        part = splits["test"]
        judged = {document for documents in part["relevant_docs"].values() for document in documents}
        assert len(part["queries"]) == 5
        assert len(judged) == 10
        assert judged <= set(part["corpus"]["id"])


def test_instructions_stay_with_their_queries():
    """Of an instruction task a query keeps its instruction, and its judged documents stay whatever their grade."""
    whole = retrieval(top_ranked={f"q{i}": [f"d{1000 + i}"] for i in range(30)})
    whole["queries"] = whole["queries"].add_column("instruction", [f"as q{i}" for i in range(30)])
    data = sampled({"test": whole}, 5)["test"]
    assert [f"as {query}" for query in data["queries"]["id"]] == data["queries"]["instruction"][:]
    judged = {document for query in data["queries"]["id"] for document in whole["relevant_docs"][query]}
    assert judged <= set(data["corpus"]["id"])


def test_bitext_that_names_its_translations():
    """Where each sentence names its translation (BUCC), sentences are drawn, and the translations to search stay whole."""
    data = {
        "sentence1": [f"a{i}" for i in range(40)],
        "sentence2": [f"b{i}" for i in range(90)],
        "gold": [(i, 2 * i) for i in range(40)],
    }
    part = sampled({"de-en": {"test": dict(data)}}, 5, subsets=("de-en",))["de-en"]["test"]
    assert len(part["sentence1"]) == len(part["gold"]) == 5
    assert part["sentence1"] == [f"a{i}" for i, _ in part["gold"]]
    assert part["sentence2"] == data["sentence2"]


def test_retrieval_sample_is_seeded():
    """The same queries and documents are drawn each time."""
    one, two = (sampled({"test": retrieval()}, 5)["test"] for _ in range(2))
    assert one["queries"]["id"][:] == two["queries"]["id"][:]
    assert one["corpus"]["id"][:] == two["corpus"]["id"][:]


def test_queries_that_nobody_judged_are_not_drawn():
    """A query without judgements measures nothing."""
    whole = retrieval()
    whole["relevant_docs"] = {"q3": {"d6": 1}, "q7": {}, "q9": {"d18": 1}}
    assert sampled({"test": whole}, 5)["test"]["queries"]["id"][:] == ["q3", "q9"]


def test_small_corpus_is_kept_whole():
    """Where there are fewer other documents than would be drawn, all stay."""
    assert len(sampled({"test": retrieval(queries=3, documents=10)}, 2)["test"]["corpus"]) == 10


def test_reranking_keeps_the_documents_to_rank():
    """Documents that are to be reranked for a drawn query stay, judged or not; other queries' lists go."""
    top_ranked = {f"q{i}": [f"d{2 * i}", f"d{1000 + i}"] for i in range(29)}
    data = sampled({"test": retrieval(top_ranked=top_ranked)}, 5)["test"]
    queries = set(data["queries"]["id"])
    assert data["top_ranked"] == {query: ranked for query, ranked in top_ranked.items() if query in queries}
    assert {document for ranked in data["top_ranked"].values() for document in ranked} <= set(data["corpus"]["id"])


@pytest.mark.parametrize("drawn", [(0.1, None), (None, 50)])
@pytest.mark.parametrize("limit", [30, 49, 50, 1000])
def test_clustering_clusters_its_sample(drawn, limit):
    """A task that clusters 50 of its 500 rows clusters ``limit`` of them; from 50 up it is mteb's own draw."""
    share, most = drawn
    task = task_of({"test": rows(500)})
    task.max_fraction_of_documents_to_embed, task.max_document_to_embed = share, most
    sample(task, limit)
    assert task.dataset["test"].num_rows == (limit if limit < 50 else 500)
    left = (task.max_fraction_of_documents_to_embed, task.max_document_to_embed)
    assert left == ((None, None) if limit < 50 else drawn)


def test_clustering_of_every_row_is_sampled_as_others():
    """Where all rows are clustered there is no share to take of them."""
    task = task_of({"test": rows(500)})
    task.max_fraction_of_documents_to_embed = task.max_document_to_embed = None
    sample(task, 30)
    assert task.dataset["test"].num_rows == 30


def test_split_is_looked_at_without_reading_its_rows(monkeypatch):
    """A large split is told from a retrieval task without a walk over all its rows."""
    part = rows(100)
    monkeypatch.setattr(Dataset, "__iter__", lambda _self: pytest.fail("all rows were read"))
    assert len(sampled({"test": part}, 3)["test"]) == 3

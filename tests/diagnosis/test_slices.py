"""Slices of tasks: uniform draws, the right texts, and relevance as the task has it."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from pipeline_faults import slice_of

from pytest_embedqa.core.slice import Pairs, Ranking
from pytest_embedqa.quality.mteb import evaluation, slices
from pytest_embedqa.quality.mteb.slices import make_slice
from pytest_embedqa.quality.mteb.tasks import find_task
from pytest_embedqa.quality.own_tasks import OwnTask
from pytest_embedqa.quality.task import TaskQuery


def write(path, rows):
    """A file of JSON Lines."""
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def own_task(tmp_path):
    """A retrieval task of 300 queries and 400 documents, of which the last 200 are lost on the way."""
    folder = tmp_path / "beir"
    folder.mkdir()
    write(
        folder / "corpus.jsonl", [{"_id": f"d{row}", "title": f"T{row}", "text": f"text {row}"} for row in range(400)]
    )
    write(folder / "queries.jsonl", [{"_id": f"q{row}", "text": f"query {row}"} for row in range(300)])
    qrels = "".join(f"q{row}\td{row}\t1\n" for row in range(300))
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{qrels}", encoding="utf-8")
    task = find_task(TaskQuery(OwnTask(type="Retrieval", path=folder, name="own")))
    rows = task.dataset["default"]["test"]
    rows["corpus"] = rows["corpus"].select(range(200))
    return task


def test_own_retrieval(own_task):
    """Queries are drawn from all, each brings its document, near and random ones; lost documents are counted."""
    rankings = {("test", "default"): {f"q{row}": [f"d{(row + 7) % 200}"] for row in range(300)}}
    part = make_slice(own_task, rankings)
    assert (len(part), part.judged, part.missing) == (slices.UNITS, 300, 100)
    numbers = [int(text.split()[1]) for text in part.first]
    assert 100 < np.mean(numbers) < 200  # neither the first nor the worst
    assert sorted(part.absent) == [query for query, number in enumerate(numbers) if number >= 200]
    for query, number in enumerate(numbers):
        relevant = [part.second[row] for row in part.relevant[query]]
        assert relevant == ([f"T{number} text {number}"] if number < 200 else [])
        drawn = [part.second[row] for row in part.drawn[query]]
        assert f"T{(number + 7) % 200} text {(number + 7) % 200}" in drawn
        assert set(relevant) <= set(drawn)
    assert make_slice(own_task, rankings) == part


@pytest.mark.parametrize(
    ("task", "options", "kind"),
    [
        ("MBPPRetrieval", {}, "asymmetric"),
        ("MBPPRetrieval", {"limit": 50}, "asymmetric"),
        ("ArguAna", {}, "asymmetric"),
        ("Tatoeba", {"subsets": ("fra-eng",)}, "symmetric"),
        ("Banking77Classification", {}, "symmetric"),
        ("SIB200ClusteringS2S", {"subsets": ("eng_Latn",)}, "symmetric"),
        ("SIB200Classification", {"subsets": ("eng_Latn",)}, "symmetric"),
        ("STSBenchmark", {}, "pairs"),
        ("LCQMC", {}, "pairs"),
    ],
)
def test_real_tasks(datasets_folder, task, options, kind):
    """Every type of task gives a slice on which the truth scores perfectly."""
    part, context = slice_of(TaskQuery(task, **options), datasets_folder)
    assert context.name == task
    assert all(isinstance(text, str) and text for text in [*part.first, *part.second])
    if kind == "pairs":
        assert isinstance(part, Pairs)
        assert len(set(part.gold)) > 1
        return
    assert isinstance(part, Ranking)
    assert part.symmetric is (kind == "symmetric")
    assert len(part) == options.get("limit", slices.UNITS)
    assert part.missing < 0.01 * part.judged or not part.judged  # ArguAna itself lacks 5 of 1,406
    # Vectors that hold nothing but the judgements: a query is the sum of its relevant documents.
    documents = np.eye(len(part.second))
    queries = np.stack([documents[list(part.relevant[query])].sum(axis=0) for query in range(len(part))])
    found = part.scores(queries, documents, dot=True)
    assert [value for query, value in enumerate(found) if query not in part.absent] == pytest.approx(
        [1] * (len(part) - len(part.absent))
    )


def test_pair_classification_of_the_user(tmp_path):
    """Pairs with labels are pairs with a gold of 1 and 0."""
    write(
        tmp_path / "pairs.jsonl",
        [{"sentence1": f"a{row}", "sentence2": f"b{row}", "label": row % 2} for row in range(40)],
    )
    part, _ = slice_of(TaskQuery(OwnTask(type="PairClassification", path=tmp_path / "pairs.jsonl", name="own")), None)
    assert sorted(part.gold) == [0] * 20 + [1] * 20
    assert all(int(text[1:]) % 2 == gold for text, gold in zip(part.first, part.gold, strict=True))


def test_what_a_sample_lacks_is_counted_over_the_whole_task(datasets_folder):
    """Of ArguAna's 1,406 relevant documents 5 are not in its corpus; a sample holds two of them in a hundred by chance."""
    query = TaskQuery("ArguAna", limit=100)
    part, _ = evaluation.slice_of(query, SimpleNamespace(exhibits={}), None, datasets=datasets_folder)
    assert (len(part), part.judged, part.missing) == (100, 1406, 5)

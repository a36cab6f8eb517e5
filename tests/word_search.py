"""A search for shared words, as a project's own pipeline, and the run files of one: what tests of retrievers share."""

from __future__ import annotations

# A search for shared words. It counts its calls in a file, so that other processes count too.
SEARCH = """
import json
from pathlib import Path

ROWS = [json.loads(line) for line in Path("data/corpus.jsonl").read_text().splitlines()]

class Words:
    name = "words"
    form = staticmethod(lambda row, score: (row["_id"], score))
    best_first = True

    def __call__(self, query, k):
        with open("calls", "a") as file:
            print(k, query, file=file)
        words = set(query.split())
        found = [(row, float(len(words & set(row["text"].split())))) for row in ROWS]
        found = sorted((pair for pair in found if pair[1]), key=lambda pair: -pair[1])[:k]
        return [self.form(row, score) for row, score in (found if self.best_first else found[::-1])]

"""
CONFTEST = """
import pytest
from search import Words

@pytest.fixture(scope="session")
def retriever():
    return Words()
"""
TEST = """
from pytest_embedqa import mteb_task, retrieval_task

@mteb_task(retrieval_task("data"), retriever="retriever", min_ndcg_at_10=0.9)
def test_search(task_result): ...
"""
# A model that can't be loaded: no test of a retriever needs it.
NO_MODEL = "python:nowhere:encode"
SAMPLED = 3


def trec(ranks=(1,), queries=16):
    """The lines of a run that puts the queries' documents at these ranks in turn, among others."""
    lines = []
    for number in range(queries):
        others = [other for other in range(16) if other != number]
        others.insert(ranks[number % len(ranks)] - 1, number)
        lines += [f"q{number} Q0 d{one} {rank} {1 / rank:.6f} tool\n" for rank, one in enumerate(others[:10], 1)]
    return "".join(lines)

"""mteb's own prompts, found without loading a model."""

from __future__ import annotations

import pytest

from pytest_embedqa.encoders.prompts import DOCUMENT, QUERY, SYMMETRIC
from pytest_embedqa.quality.mteb.prompts import model_prompts, task_context
from pytest_embedqa.quality.mteb.tasks import find_task
from pytest_embedqa.quality.task import TaskQuery


def effective(model: str, task: str, kind):
    """What is put in front of a text of this kind."""
    return model_prompts(model).resolve(kind, task_context(find_task(TaskQuery(task))))


def test_qwen3_instructs_queries_only():
    """The instruction of the task goes to queries, in the model's own format; documents get nothing."""
    instruction = find_task(TaskQuery("ArguAna")).metadata.prompt["query"]
    assert effective("Qwen/Qwen3-Embedding-4B", "ArguAna", QUERY) == f"Instruct: {instruction}\nQuery:"
    assert effective("Qwen/Qwen3-Embedding-4B", "ArguAna", DOCUMENT) == ""


def test_qwen3_instructs_both_sides_of_a_pair():
    """Where neither side asks, both get the instruction, as on the leaderboard."""
    assert effective("Qwen/Qwen3-Embedding-4B", "STSBenchmark", SYMMETRIC).startswith("Instruct: ")


@pytest.mark.parametrize(("kind", "prefix"), [(QUERY, "query: "), (DOCUMENT, "passage: ")])
def test_e5_has_prefixes(kind, prefix):
    """A fixed prefix for each kind."""
    assert effective("intfloat/multilingual-e5-small", "ArguAna", kind) == prefix


@pytest.mark.parametrize("model", ["sentence-transformers/all-MiniLM-L6-v2", "nobody/knows-this"])
def test_no_prompts(model):
    """A model that needs none, or that mteb does not know, has none of mteb's."""
    assert model_prompts(model) is None

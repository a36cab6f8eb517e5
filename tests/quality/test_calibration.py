"""What int8 is calibrated on: the values that an index of the task would hold."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from mteb.types import PromptType

from pytest_embedqa.core.identity import Identity
from pytest_embedqa.quality.mteb.evaluation import MtebModel

QUERY, DOCUMENT = PromptType.query, PromptType.document
VECTORS = {"a": [1, -2, 0], "b": [-1, 3, 0], "c": [0, 5, 7], "far": [99, -99, 99]}


def ranges_after(*calls):
    """Ranges of a model that has encoded these texts, (prompt type, texts) a call."""
    encoder = SimpleNamespace(
        identity=Identity("m", "e"),
        encode=lambda texts, _kind, _task: np.array([VECTORS[text] for text in texts], np.float32).reshape(-1, 3),
    )
    model = MtebModel(encoder)
    for prompt_type, texts in calls:
        inputs = SimpleNamespace(dataset={"text": texts})
        model.encode(inputs, task_metadata=SimpleNamespace(name="task"), prompt_type=prompt_type)
    return None if model.ranges is None else model.ranges.tolist()


@pytest.mark.parametrize(
    "calls",
    [
        [(DOCUMENT, ["a", "b", "c"])],
        [(DOCUMENT, ["c", "a"]), (DOCUMENT, ["b"])],
        [(QUERY, ["far"]), (DOCUMENT, ["a", "b", "c"]), (QUERY, ["far"]), (DOCUMENT, [])],
        [(None, ["b", "c"]), (None, ["a"])],
    ],
)
def test_ranges_are_those_of_each_dimension_over_all_documents(calls):
    """Over every call, queries left out; over all texts where a task has no documents."""
    assert ranges_after(*calls) == [[-1, -2, 0], [1, 5, 7]]


def test_nothing_encoded_has_no_ranges():
    """No numbers are made up."""
    assert ranges_after((DOCUMENT, [])) is None

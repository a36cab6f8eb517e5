"""What stands beside a score that was compared with another one."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pytest_embedqa.core.identity import Identity
from pytest_embedqa.core.requirement import Kind, Requirement
from pytest_embedqa.quality.evaluator import _notes
from pytest_embedqa.quality.published import Published
from pytest_embedqa.quality.task import TaskScores

MINILM = "sentence-transformers/all-MiniLM-L6-v2"


def notes(published, *, data="aaaa1111cccc", revision=None):
    """What is noted of a score of MiniLM that is compared with a published one."""
    scores = TaskScores("ArguAna", "Retrieval", "ndcg_at_10", {}, {}, data_revision=data)
    encoder = SimpleNamespace(name=MINILM, identity=Identity(MINILM, "st", revision=revision))
    against = Requirement(Kind.VS_PUBLISHED, "main_score", -0.01)
    return list(_notes(against, "ndcg_at_10", SimpleNamespace(details=scores, encoder=encoder), published))


def test_published_on_other_data():
    """A published score of another revision of the data is compared, and both revisions are named."""
    published = Published({}, "aaaa1111cccc", "8b3219a92973c328a8e22fadcfa821b5dc75636a")
    assert notes(published, data="bbbb2222cccc") == ["published on data revision aaaa1111, measured on bbbb2222"]
    assert notes(published) == notes(published, data="sha256:bbbb") == []


@pytest.mark.parametrize(
    ("published", "measured", "note"),
    [
        ("8b3219a92973c328a8e22fadcfa821b5dc75636a", None, []),
        ("8b3219a92973c328a8e22fadcfa821b5dc75636a", "8b3219a", []),
        ("c" * 40, "c" * 40, []),
        ("c" * 40, "d" * 40, ["published for revision cccccccc of the model; measured with dddddddd"]),
        ("c" * 40, None, ["published for revision cccccccc of the model; mteb names 8b3219a9"]),
        ("external", "main", ["published for an unknown revision of the model; measured with main"]),
    ],
)
def test_published_for_another_revision_of_the_model(published, measured, note):
    """A published score of other weights than those that are measured, or than mteb's entry names, is told."""
    assert notes(Published({}, "aaaa1111cccc", published), revision=measured) == note

"""What stands beside a score that was compared with another one."""

from __future__ import annotations

from pytest_embedqa.core.requirement import Kind, Requirement
from pytest_embedqa.quality.evaluator import _notes
from pytest_embedqa.quality.published import Published
from pytest_embedqa.quality.task import TaskScores


def test_published_on_other_data():
    """A published score of another revision of the data is compared, and both revisions are named."""
    scores = TaskScores("ArguAna", "Retrieval", "ndcg_at_10", {}, {}, data_revision="bbbb2222cccc")
    against = Requirement(Kind.VS_PUBLISHED, "main_score", -0.01)
    published = Published({}, "aaaa1111cccc")
    notes = list(_notes(against, "ndcg_at_10", scores, published))
    assert notes == ["published on data revision aaaa1111, measured on bbbb2222"]

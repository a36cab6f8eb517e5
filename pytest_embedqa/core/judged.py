"""The texts and judgements of a retrieval task, for whoever searches by other means than mteb's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Judged:
    """Documents, queries, and which document is relevant to which query.

    Attributes:
        name: Name of the task.
        documents: Texts as models read them, by id.
        queries: Texts of the queries, by id.
        relevant: Grades of the documents that are relevant to a query (above 0), by document id, by query id; empty
            where nothing is judged.
        is_own_result: Whether a document with the id of a query counts as a result of it; ArguAna's does not.
    """

    name: str
    documents: Mapping[str, str]
    queries: Mapping[str, str]
    relevant: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    is_own_result: bool = True
